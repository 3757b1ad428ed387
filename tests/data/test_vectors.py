"""Files of word vectors: both formats, gzip, words with spaces, and what is wrong with a broken one."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from recurra.data.vectors import read_vectors, vectors_path
from recurra.errors import DataError

WORDS = ["the", ",", "zürich", ". . .", "a\u2028b", "7", "new york"]
needs_data = pytest.mark.skipif(not os.environ.get("RECURRA_DATA"), reason="RECURRA_DATA names no data folder")


def written(words: list[str], vectors: np.ndarray, end: str = "\n") -> str:
    rows = zip(words, vectors, strict=True)
    return "".join(f"{word} {' '.join(str(float(x)) for x in row)}{end}" for word, row in rows)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("form", ["glove", "word2vec", "windows"])
def test_round_trip(tmp_path: Path, form: str, packed: bool) -> None:
    vectors = np.random.default_rng(0).standard_normal((len(WORDS), 5)).astype(np.float32)
    text = written(WORDS, vectors, {"glove": "\n", "word2vec": " \n", "windows": "\r\n"}[form])
    if form == "word2vec":
        text = f"{len(WORDS)} 5\n{text}\n"
    path = tmp_path / "vectors"
    raw = ("\ufeff" * (form == "windows") + text).encode()
    path.write_bytes(gzip.compress(raw) if packed else raw)
    words, found = read_vectors(path)
    assert words == WORDS
    assert found.dtype == np.float32 and (found == vectors).all() and found.flags.writeable


def test_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "v").write_bytes("ü 1 2\n".encode("latin-1"))
    assert read_vectors(tmp_path / "v", "latin-1")[0] == ["ü"]
    with pytest.raises(DataError, match=r"v:1: byte 0xfc is not valid utf-8\. Write the file anew in utf-8"):
        read_vectors(tmp_path / "v")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a 1 2\nb 1\n", r":2: 1 numbers after the word, expected 2\. Is the line cut"),
        ("a 1 2\n\nb 1 2 3\n", r":3: 3 numbers after the word, expected 2\. Is"),
        ("1 3\na 1 2\n", r":2: 2 numbers after the word, expected 3\. Is"),
        ("a\n", r":1: 0 numbers after the word, expected 1 or more\. Is the line cut off, or the file no text"),
        ("a 1 2\nb 1 x\n", r":2: could not convert string to float: 'x', expected 2 numbers after the word 'b'"),
        ("a 1 2\nb 1 nan\n", r":2: the vector of 'b' is not finite in float32\. Leave the word out"),
        ("a 1 2\n\n c d 1 1e40\n", r":3: the vector of ' c d' is not finite"),
        ("3 2\na 1 2\nb 1 2\n", r": 2 words, expected 3 as .* says\. Copy .* first line should be 2 2\."),
        ("1 2\na 1 2\nb 1 2\nc 1 2\n", r": 3 words, expected 1 as .* first line should be 3 2\."),
        (
            "a 1 2\n95 98 1 2\n",
            r":2: 3 numbers after the word, expected 2\. .* If '95 98' is a word, leave its line out",
        ),
        ("\n\n", r": no word vectors, expected lines of a word and its numbers\. Name another"),
    ],
)
def test_broken_files(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=f"^{path}{message}"):
        read_vectors(path)


def test_a_file_cut_off(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).standard_normal((500, 20))
    raw = gzip.compress(written([f"w{k}" for k in range(500)], vectors).encode())
    (tmp_path / "v").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(DataError, match=r"v: not a sound file after line \d+ \(.*\)\. Copy or download it again"):
        read_vectors(tmp_path / "v")


def test_names_and_paths(tmp_path: Path) -> None:
    assert vectors_path(tmp_path / "mine.txt") == tmp_path / "mine.txt"
    with pytest.raises(DataError, match=r"'glove-100d' is neither a file nor a set of word .* 'glove-100d-subset'"):
        vectors_path("glove-100d")
    with pytest.raises(DataError, match=r"mine\.txt: no such file"):
        read_vectors(vectors_path(tmp_path / "mine.txt"))
    with pytest.raises(DataError, match="a folder, expected a text file"):
        read_vectors(tmp_path)


@needs_data
def test_the_named_set() -> None:
    words, vectors = read_vectors(vectors_path("glove-100d-subset"))
    assert vectors.shape == (25_000, 100) and len(set(words)) == 25_000
    near = vectors @ vectors[words.index("france")] / np.linalg.norm(vectors, axis=1)
    assert {words[k] for k in np.argsort(-near)[:8]} >= {"france", "paris"}


@pytest.mark.parametrize("header", ["", "3 2\n", "2 2\n"])
@pytest.mark.parametrize("first", [0, 1, 2])
def test_thousands_are_words_and_a_count_may_leave_one_word_out(tmp_path: Path, header: str, first: int) -> None:
    """The name of the end of a line, for one, is not counted by every program."""
    rows = ["10 000 0.5 1", "1 000 000 2 3", "the 4 5"]
    rows = rows[first:] + rows[:first]
    (tmp_path / "v.txt").write_text(header + "\n".join(rows), encoding="utf-8")
    words, found = read_vectors(tmp_path / "v.txt")
    assert words == [row.rsplit(" ", 2)[0] for row in rows]
    assert found.tolist() == [[float(number) for number in row.split(" ")[-2:]] for row in rows]


def test_a_first_line_of_numbers_beyond_all_files(tmp_path: Path) -> None:
    (tmp_path / "a.vec").write_text(f"3 {'9' * 5000}\nthe 0.1 0.2\n")
    with pytest.raises(DataError, match=r"a\.vec:"):
        read_vectors(tmp_path / "a.vec")
