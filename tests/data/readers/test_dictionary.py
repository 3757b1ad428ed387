"""Dictionaries: words with several pronunciations, and words without one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.data.readers.dictionary import DictionaryReader
from recurra.errors import DataError

LETTERS = st.text("ABC'(-.1É字", min_size=1, max_size=5).filter(lambda word: not re.search(r"\(\d+\)$", word))
PHONEMES = st.lists(st.sampled_from(["AH", "B", "K1"]), min_size=1, max_size=4)


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def words(*paths: Path, encoding: str = "utf-8") -> dict[str, list[str]]:
    return {e["source"]: e["targets"] for e in DictionaryReader(encoding).read(*paths)}


@settings(deadline=None)
@given(st.lists(st.tuples(LETTERS, PHONEMES), min_size=1), st.booleans())
def test_words_come_back(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[str, list[str]]], numbered: bool
) -> None:
    expected: dict[str, list[str]] = {}
    lines = []
    for word, phonemes in entries:
        said = expected.setdefault(word, [])
        variant = f"({len(said)})" if numbered and said else ""
        lines.append(f"{word}{variant}  {' '.join(phonemes)}\n")
        if " ".join(phonemes) not in said:
            said.append(" ".join(phonemes))
    path = write(tmp_path_factory.mktemp("dictionary") / "d", "".join(lines))
    assert words(path) == expected and list(words(path)) == list(expected)


def test_what_is_read(tmp_path: Path) -> None:
    path = write(
        tmp_path / "d",
        ";;; a comment\n\nTWO  T UW\n'EM  AH M\nREAD  R EH D\r\nNEW YORK\tN UW Y AO R K\nREAD(1)   R IY D # verb\n"
        "READ  R EH D\n(2)  T\n",
    )
    assert list(DictionaryReader().read(path)) == [
        {"source": "TWO", "targets": ["T UW"], "place": f"{path}:3"},
        {"source": "'EM", "targets": ["AH M"], "place": f"{path}:4"},
        {"source": "READ", "targets": ["R EH D", "R IY D"], "place": f"{path}:5"},
        {"source": "NEW YORK", "targets": ["N UW Y AO R K"], "place": f"{path}:6"},
        {"source": "(2)", "targets": ["T"], "place": f"{path}:9"},
    ]
    other = write(tmp_path / "e", "TWO  T AH\nÉTÉ  E T E\n", "latin-1")
    assert words(path, other, encoding="latin-1")["TWO"] == ["T UW", "T AH"]
    assert words(other, encoding="latin-1")["ÉTÉ"] == ["E T E"]


@pytest.mark.parametrize("line", ["WORD", "WORD  ", "WORD\t", "WORD  # noun"])
def test_a_word_without_a_pronunciation(tmp_path: Path, line: str) -> None:
    path = write(tmp_path / "d", f"TWO  T UW\n{line}\n")
    said = f"{path}:2: 'WORD' has no pronunciation, expected a word, white space and its phonemes, such as `TWO  T UW`."
    with pytest.raises(DataError, match=f"^{re.escape(said)} Write it there, or leave"):
        words(path)


def test_no_word_at_all(tmp_path: Path) -> None:
    path = write(tmp_path / "d", ";;; nothing\n\n")
    with pytest.raises(DataError, match=r"d: no word in it, expected words and their phonemes\. Name another file"):
        words(path)


def test_sniff(tmp_path: Path) -> None:
    reader = DictionaryReader()
    path = write(tmp_path / "d", ";;; c\nTWO  T UW\nA  AH\nA(1)  EY\n")
    assert reader.sniff(path) == "a word, two spaces and its phonemes a line"
    for newer in ("'bout B AW1 T\na(2) EY1\naalborg AO1 L B AO0 R G # place, danish\n", "ABBEY AE B IY\n"):
        assert reader.sniff(write(tmp_path / "n", newer)) == "a word, a space and its sounds in ARPAbet a line"
    for other in ("A dog runs.\n", "a\tb c\n", ";;; c\n"):
        assert reader.sniff(write(tmp_path / "e", other)) is None
