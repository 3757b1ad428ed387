"""A file read piece by piece is the file."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from recurra.data import pieces
from recurra.data.pieces import ReadsPieces, pieces_of
from recurra.errors import DataError
from recurra.registry import construct

FILES = {
    "text": "Zoë sleeps\n\nand so\r\n on \n" * 30 + "at last",
    "lines": "Zoë sleeps\n\nand so\r\n on \n" * 30 + "at last",
    "jsonl": '{"text": "Zoë", "label": "a"}\n\n{"tokens": ["x"], "tags": ["y"]}\n' * 30,
    "pairs": "Zoë\tsie\n\tx\na b\tc\n" * 30,
}


def content(example: Any) -> dict[str, Any]:
    return {name: value for name, value in example.items() if name not in ("place", "path")}


@pytest.mark.parametrize("kind", [*FILES])
@pytest.mark.parametrize("size", [1, 50, 100_000])
def test_pieces_are_the_whole(kind: str, size: int, tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(FILES[kind].encode())
    reader = construct("reader", {"kind": kind})
    cuts = pieces_of(reader, file, size)
    assert cuts is not None and len(cuts) == (1 if size > 10_000 else len(cuts)) and (size > 50 or len(cuts) > 5)
    found = [content(example) for cut in cuts for example in reader.read_piece(file, *cut)]
    whole = [content(example) for example in reader.read(file)]
    if kind == "text":
        assert "".join(each["text"] for each in found) == whole[0]["text"]
    else:
        assert found == whole


def test_what_cannot_be_cut_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"a\nb\n"))
    assert pieces_of(construct("reader", {"kind": "text"}), tmp_path / "a.gz", 1) is None
    (tmp_path / "a").write_bytes("a\nb\n".encode("utf-16"))
    assert pieces_of(construct("reader", {"kind": "text", "encoding": "utf-16"}), tmp_path / "a", 1) is None
    assert pieces_of(construct("reader", {"kind": "table"}), tmp_path / "a", 1) is None
    assert isinstance(construct("reader", {"kind": "arrow"}), ReadsPieces)


def test_a_piece_names_where_it_begins(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"good\nbad \xff\n")
    with pytest.raises(DataError, match=r"a, from byte 5:1: byte 0xff is not valid utf-8"):
        [*construct("reader", {"kind": "lines"}).read_piece(tmp_path / "a", 5, 11)]


def test_a_line_that_never_ends_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "LONGEST", 100)
    monkeypatch.setattr(pieces, "BLOCK", 40)
    (tmp_path / "a").write_bytes(b"a\n" + b"x" * 300 + b"\n")
    with pytest.raises(DataError, match=r"no line end in 100 bytes from byte 10 on. A corpus is read in pieces"):
        pieces_of(construct("reader", {"kind": "text"}), tmp_path / "a", 10)
