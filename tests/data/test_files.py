"""Opening files: lines, heads and what is shown of them. What a broken file is told is in `test_text.py`."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from recurra.data.files import SNIFFED, blank_split, head_lines, numbered, read_head, read_lines, shortened, some
from recurra.errors import DataError


def test_lines_end_at_line_ends_only(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes("one\r\ntwo\u2028two\x85\x0b\f\n\nfour\rfour".encode())
    assert list(read_lines(path, "utf-8")) == [(1, "one"), (2, "two\u2028two\x85\x0b\f"), (3, ""), (4, "four\rfour")]


def test_a_last_line_end_begins_no_line() -> None:
    assert list(numbered("a\nb\n")) == [(1, "a"), (2, "b")]
    assert list(numbered("a\n\n")) == [(1, "a"), (2, "")]


def test_carriage_returns_alone_end_lines_where_nothing_else_does(tmp_path: Path) -> None:
    path = tmp_path / "old"
    path.write_bytes(b"one\rtwo\r")
    assert list(read_lines(path, "utf-8")) == [(1, "one"), (2, "two")]
    assert head_lines(path, "utf-8") == ["one", "two"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_head_has_whole_lines(tmp_path: Path, pack: type[bytes]) -> None:
    path = tmp_path / "long"
    path.write_bytes(pack(b"\xef\xbb\xbfone\r\n" + b"x" * SNIFFED))
    assert head_lines(path, "utf-8") == ["one"]
    path.write_bytes(pack(b"one\ntwo"))
    assert head_lines(path, "utf-8") == ["one", "two"]
    path.write_bytes(pack(b"x" * (SNIFFED + 9)))
    assert head_lines(path, "utf-8") == ["x" * SNIFFED]  # its only line, though cut


def test_no_head_no_lines(tmp_path: Path) -> None:
    path = tmp_path / "bytes"
    path.write_bytes(b"\xff\xfe")
    assert read_head(path, "utf-8") is None
    assert head_lines(path, "utf-8") == head_lines(tmp_path, "utf-8") == head_lines(tmp_path / "absent", "utf-8") == []


def test_words_are_parted_by_spaces_and_tabs_only() -> None:
    assert blank_split("  a \t b\u3000c\xa0 \u3000 ") == ["a", "b\u3000c\xa0", "\u3000"]


def test_nothing_but_blank_lines_is_refused() -> None:
    with pytest.raises(DataError, match=r"^a\.txt: no example in it, expected words\. Name another file"):
        list(some([], Path("a.txt"), "words"))
    assert list(some([{"text": ""}], Path("a.txt"), "words")) == [{"text": ""}]


def test_a_long_piece_is_shortened() -> None:
    assert shortened("a\tb") == r"'a\tb'"
    assert shortened("x" * 50) == repr("x" * 39 + "…")
