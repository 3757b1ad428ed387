"""Columns of Parquet and Arrow files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from recurra.errors import ConfigError, DataError
from recurra.registry import construct

TABLE = {
    "body": ["Zoë\nsleeps", None, "b", "c", "d"],
    "class": [1, 0, 1, 0, 1],
    "tags": [["x"], [], ["y", "z"], [], ["x"]],
    "words": [["a"], [], ["b", "c"], [], ["d"]],
}
SUFFIXES = ("parquet", "arrow", "stream")


@pytest.fixture
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path, table = tmp_path / f"a.{request.param}", pyarrow.table(TABLE)
    if request.param == "parquet":
        parquet.write_table(table, path, row_group_size=2)
    else:
        make = pyarrow.ipc.new_file if request.param == "arrow" else pyarrow.ipc.new_stream
        with make(str(path), table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    return path


@pytest.mark.parametrize("file", SUFFIXES, indirect=True)
def test_columns_are_read(file: Path) -> None:
    reader = construct("reader", {"kind": "arrow", "text": "body", "label": "class"})
    assert {*reader.fields} == {"text", "label", "labels"}
    found = [*reader.read(file)]
    assert [(each["text"], each["label"]) for each in found] == [
        ("Zoë\nsleeps", "1"),
        ("b", "1"),
        ("c", "0"),
        ("d", "1"),
    ]
    assert found[1]["place"] == f"{file}: row 3"
    tagged = construct("reader", {"kind": "arrow", "tokens": "words", "tags": "tags"})
    assert [(each["tokens"], each["tags"]) for each in tagged.read(file)][2] == (["b", "c"], ["y", "z"])
    assert {*construct("reader", {"kind": "arrow"}).fields} == {"text"}
    several = construct("reader", {"kind": "arrow", "text": "body", "label": "tags"})
    assert next(iter(several.read(file)))["labels"] == ["x"]


@pytest.mark.parametrize("file", SUFFIXES, indirect=True)
def test_blocks_are_the_whole(file: Path) -> None:
    reader = construct("reader", {"kind": "arrow", "text": "body"})
    cuts = reader.pieces(file, 1)
    if file.suffix == ".stream":
        assert cuts is None
        return
    assert cuts == [(0, 1), (1, 2), (2, 3)]
    assert reader.pieces(file, 1 << 20) == [(0, 3)]
    found = [each["text"] for cut in cuts for each in reader.read_piece(file, *cut)]
    assert found == [each["text"] for each in reader.read(file)]


@pytest.mark.parametrize("file", ["parquet"], indirect=True)
def test_what_is_wrong_is_named(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(path: Path, **settings: Any) -> list[Any]:
        return [*construct("reader", {"kind": "arrow", **settings}).read(path)]

    with pytest.raises(
        DataError, match=r"no column 'text'. Found body, class, tags, words. Name it: --set reader.text"
    ):
        read(file)
    with pytest.raises(DataError, match=r"a.parquet: row 1: 'class' is int, expected a string. Name another column"):
        read(file, text="class")
    with pytest.raises(DataError, match=r"a.parquet: row 1: 'body' is str, expected a list of strings"):
        read(file, tokens="body")
    (tmp_path / "text").write_text("some text\n")
    with pytest.raises(DataError, match=r"neither Parquet nor Arrow by its first bytes. Name its format"):
        read(tmp_path / "text")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"a.parquet wants pyarrow to be read: pip install 'recurra\[parquet\]'"):
        read(file)
