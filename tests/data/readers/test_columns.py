"""Columns: round trips, what parts them, and every broken file with its message."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.data.readers.columns import ColumnsReader
from recurra.errors import ConfigError, DataError
from recurra.registry import construct, names

CONLL = b"""-DOCSTART- -X- O O

EU NNP I-NP I-ORG
rejects VBZ I-VP O

. . O O
"""


def written(folder: Path, raw: bytes) -> Path:
    path = folder / "tags.txt"
    path.write_bytes(raw)
    return path


def read(path: Path, **settings: Any) -> list[Any]:
    return list(ColumnsReader(**settings).read(path))


WORDS = st.text(st.characters(exclude_characters=" \t\r\n\0", codec="utf-8"), min_size=1).filter(
    lambda word: word != "#" and not word.startswith(("\ufeff", "-DOCSTART-"))
)


@pytest.mark.parametrize("separator", [" ", "\t", "  ", "\t "])
@pytest.mark.parametrize("packed", [False, True])
def test_written_sentences_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, separator: str, packed: bool
) -> None:
    path = tmp_path_factory.mktemp("round") / "tags"

    @settings(max_examples=25)
    @given(st.lists(st.lists(st.tuples(WORDS, WORDS), min_size=1), min_size=1))
    def round_trip(sentences: list[list[tuple[str, str]]]) -> None:
        text = "\n\n".join("\n".join(separator.join(row) for row in sentence) for sentence in sentences) + "\n"
        path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
        found = [list(zip(e["tokens"], e["tags"], strict=True)) for e in ColumnsReader().read(path)]
        assert found == sentences

    round_trip()


def test_columns_places_and_document_lines(tmp_path: Path) -> None:
    path = written(tmp_path, CONLL)
    assert read(path) == [
        {"tokens": ["EU", "rejects"], "tags": ["I-ORG", "O"], "place": f"{path}:3"},
        {"tokens": ["."], "tags": ["O"], "place": f"{path}:6"},
    ]
    assert [e["tags"] for e in read(path, token=2, tag=-2)] == [["I-NP", "I-VP"], ["O"]]
    assert [e["tokens"] for e in read(path, token=2, tag=3)] == [["NNP", "VBZ"], ["."]]
    assert set(ColumnsReader.fields) < set(read(path)[0])


def test_a_document_line_ends_a_sentence(tmp_path: Path) -> None:
    assert [e["tokens"] for e in read(written(tmp_path, b"a O\n-DOCSTART- O\nb O\n"))] == [["a"], ["b"]]


def test_files_are_read_in_the_order_given_each_with_its_own_width(tmp_path: Path) -> None:
    (tmp_path / "two").write_text("a O\n")
    (tmp_path / "three").write_text("b X O\n")
    found = list(ColumnsReader().read(tmp_path / "three", str(tmp_path / "two")))
    assert [e["tokens"] for e in found] == [["b"], ["a"]]


COMMENTED = [
    ("# newdoc\n# sent_id = 1\n# text = a b\na X\nb Y\n\n# text = c\n# 3 en\nc X\n", {}, [["a", "b"], ["c"]]),
    ("# text = a\na B C D\nb B C E\n", {}, [["a", "b"]]),  # as many columns
    ("# O\nMAGA O\n\na B-x\n", {}, [["#", "MAGA"], ["a"]]),  # a word with a tag that others have
    ("a X\n# SYM\n", {}, [["a", "#"]]),  # within a sentence
    ("# global columns\na\tX\n\n# O\nb\tX\n", {}, [["a"], ["b"]]),
    ("# en\na X\n\n# de\nb X\n", {"comments": True}, [["a"], ["b"]]),
    ("# en\na X\n\n# de\nb X\n", {"comments": False}, [["#", "a"], ["#", "b"]]),
    ("# X\n", {}, [["#"]]),
    ("-DOCSTART- O\n\n# text = a\na O\n", {}, [["a"]]),
]


@pytest.mark.parametrize(("text", "settings", "tokens"), COMMENTED)
def test_comments_before_a_sentence_are_no_words(
    tmp_path: Path, text: str, settings: dict[str, Any], tokens: list[list[str]]
) -> None:
    path = written(tmp_path, text.encode())
    assert [e["tokens"] for e in read(path, **settings)] == tokens
    assert ColumnsReader(**settings).sniff(written(tmp_path, (text + "\n").encode() + b"b O\na B-x\n\n" * 40))


def test_symbols_that_look_blank_are_tokens(tmp_path: Path) -> None:
    assert read(written(tmp_path, "\u3000 O\n\xa0\tO\n\u2028 O".encode()))[0]["tokens"] == ["\u3000", "\xa0", "\u2028"]


def test_a_line_with_a_tab_keeps_its_spaces(tmp_path: Path) -> None:
    assert read(written(tmp_path, b"New York\tB-LOC\n"))[0]["tokens"] == ["New York"]


def test_positions_are_taken_off(tmp_path: Path) -> None:
    path = written(tmp_path, "科0\tB-PER\n技1\tO\n90\tO\n310\tO\n👍🏻0\tO".encode())
    assert read(path, strip_position=True)[0]["tokens"] == ["科", "技", "9", "3", "👍🏻"]
    assert read(path)[0]["tokens"] == ["科0", "技1", "90", "310", "👍🏻0"]


def test_other_encodings(tmp_path: Path) -> None:
    path = written(tmp_path, "中 B-LOC\n".encode("gb18030"))
    assert read(path, encoding="gb18030")[0]["tokens"] == ["中"]
    with pytest.raises(DataError, match=r"tags.txt:1: byte 0xd6 is not valid utf-8"):
        read(path)


def test_mixed_encodings_name_the_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"tags.txt:2: byte 0xe9 is not valid utf-8.*reader.encoding=latin-1"):
        read(written(tmp_path, "é O\n".encode() + "é O\n".encode("latin-1")))


BROKEN: dict[str, tuple[bytes, dict[str, Any], str]] = {
    "a tag is missing": (
        b"\na X O\nb X\n",
        {},
        ":3: 2 columns, expected 3 as in line 2: 'b X'. Is a token or tag missing, or a blank line between sentences?",
    ),
    "a column too many": (b"a O\n\nb c O\n", {}, ":3: 3 columns, expected 2 as in line 1: 'b c O'. "),
    "a header": (
        b"\nWord\tPOS\tTag\nEU\tNN\tO\n",
        {},
        ":2: 'Word\\tPOS\\tTag' looks like a header, expected a token and its tag. Leave this line out of the file.",
    ),
    "a comment in a sentence": (
        b"a O\n# 2 en\nb O\n",
        {},
        ":2: 3 columns, expected 2 as in line 1: '# 2 en'. A comment, '# …', may stand before a sentence, not in it: ",
    ),
    "a comment or a word": (
        b"a O\n\n# en\nb O\n",
        {},
        ":3: '# en' may be a comment, or a word with a tag that no other word has. Say which: --set "
        "reader.kind=columns --set reader.comments=true (or false)",
    ),
    "no comments": (b"a O\n\n# 2 en\nb O\n", {"comments": False}, ":3: 3 columns, expected 2 as in line 1: '# 2 en'. "),
    "comments alone": (b"# text = a\n\n# newdoc\n", {}, ": no example in it, expected lines of a token and its tag."),
    "one column": (
        b"a O\nb\n",
        {},
        ":2: 1 column, expected 2 as in line 1: 'b'. ",
    ),
    "no tags": (
        b"a\nb\n",
        {},
        ":1: 1 column, so that reader.token = 1 and reader.tag = -1 are the same; expected a token and a tag. Is",
    ),
    "same column": (b"a O\n", {"token": 2}, ":1: 2 columns, so that reader.token = 2 and reader.tag = -1 are the same"),
    "no such column": (
        b"a O\n",
        {"tag": 3},
        ":1: 2 columns, expected more: reader.tag = 3. Columns are counted from 1, or from -1 backwards. "
        "Name another: --set reader.kind=columns --set reader.tag=…",
    ),
    "no such column from the right": (b"a O\n", {"token": -3}, ":1: 2 columns, expected more: reader.token = -3. "),
    "empty token": (b"a\tO\n\tO\n", {}, ":2: column 1, the token, is empty. Write one there."),
    "empty tag": (b"a\tO\nb\t\n", {}, ":2: column 2, the tag, is empty. Write one there."),
    "no position": (
        "科0 O\n技 O\n".encode(),
        {"strip_position": True},
        ":2: token '技', expected a character and its position, like '科0'. Leave out --set "
        "reader.strip_position=true.",
    ),
    "nothing left of the token": (
        b"0 O\n",
        {"strip_position": True},
        ":1: token '0', expected a character and its position",
    ),
    "blank lines": (b"\n \n\t\n", {}, ": no example in it, expected lines of a token and its tag. Name"),
    "empty": (b"", {}, ": the file is empty, expected text. Name another file."),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_files_name_path_line_and_next_move(tmp_path: Path, kind: str) -> None:
    raw, settings, message = BROKEN[kind]
    path = written(tmp_path, raw)
    with pytest.raises(DataError, match=f"^{re.escape(str(path) + message)}"):
        read(path, **settings)


def test_token_and_tag_in_one_column_are_refused_before_any_file() -> None:
    with pytest.raises(ConfigError, match=r"reader.token and reader.tag are both column 1\. Set one of them"):
        ColumnsReader(token=1, tag=1)


@pytest.mark.parametrize("name", ["token", "tag"])
def test_columns_are_counted_from_1(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"reader\.{name} = 0, expected a column counted from 1, or from -1 back"):
        ColumnsReader(**{name: 0})


def test_the_registry_constructs_it() -> None:
    assert "columns" in names("reader")
    assert construct("reader", {"kind": "columns", "tag": 2, "strip_position": True}).tag == 2


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (CONLL, "lines of 4 columns, the tag column with tags like I-ORG"),
        (b"a B\nb E\n", "lines of 2 columns, the tag column with tags like B E"),
        (b"a O\n", "lines of 2 columns, the tag column with tags like O"),
        (b"the DT\ndog NN\n\nthe DT\ncat NN\n", "lines of 2 columns, blank lines between sentences"),
        (b"the DT\ndog NN\nthe DT\ncat NN\n", None),
        (b"the day\nis long\n\nand so\n", None),
        (b"a O\nb\n", None),
        (b"a\nb\n", None),
        (b"-DOCSTART-\n", None),
        (b"", None),
    ],
)
def test_sniff(tmp_path: Path, raw: bytes, reason: str | None) -> None:
    assert ColumnsReader().sniff(written(tmp_path, raw)) == reason


def test_sniff_looks_at_the_tag_column_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path, b"O word B-LOC\n")
    assert ColumnsReader(tag=1, token=2).sniff(path) is not None
    assert ColumnsReader(tag=2, token=1).sniff(path) is None
    assert ColumnsReader(tag=4).sniff(path) is ColumnsReader(tag=-4).sniff(path) is None
    assert ColumnsReader(tag=-3, token=2).sniff(path) is not None


def test_a_comment_of_fewer_columns_than_the_tag_is_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("# b\n1\tto\tTO\tO\n2\tgo\tVB\tB-x\n")
    found = list(ColumnsReader().read(tmp_path / "a"))
    assert [example["tags"] for example in found] == [["O", "B-x"]]
