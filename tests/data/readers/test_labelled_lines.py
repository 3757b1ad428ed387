"""Labelled lines: TREC, fastText and tabs, and every broken file with its message."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.readers.labelled_lines import LabelledLinesReader
from recurra.errors import DataError
from recurra.registry import construct, names


def read(folder: Path, *lines: str, **settings: Any) -> list[Any]:
    path = folder / "a.label"
    path.write_bytes("\n".join(lines).encode())
    return list(LabelledLinesReader(**settings).read(path))


def pairs(examples: list[Any]) -> list[tuple[str, str]]:
    return [(e["label"], e["text"]) for e in examples]


def test_written_lines_are_read_back(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("round")
    texts = st.text(st.characters(exclude_characters="\r\n\0", codec="utf-8"))

    @given(st.lists(st.tuples(st.sampled_from(["pos", "very good", "中"]), texts), min_size=1))
    def round_trip(rows: list[tuple[str, str]]) -> None:
        assert pairs(read(folder, *map("\t".join, rows))) == rows

    round_trip()


def test_spaces_and_places(tmp_path: Path) -> None:
    found = read(tmp_path, "NUM:dist How far is it ?", "", "LOC:city  What county ?\tThis ? ")
    assert pairs(found) == [("NUM:dist", "How far is it ?"), ("LOC:city", "What county ? This ?")]
    assert [e["place"] for e in found] == [f"{tmp_path / 'a.label'}:{line}" for line in (1, 3)]
    assert pairs(read(tmp_path, "NUM:dist How far ?", level="coarse")) == [("NUM", "How far ?")]


def test_the_separator_can_be_named(tmp_path: Path) -> None:
    assert pairs(read(tmp_path, "x a\tb", separator="space")) == [("x", "a b")]
    assert pairs(read(tmp_path, "x y\ta\tb", separator="tab")) == [("x y", "a\tb")]


def test_fasttext(tmp_path: Path) -> None:
    lines = ("__label__x a  b __label__z", "__label__y\tc")
    assert pairs(read(tmp_path, *lines)) == [("x", "a  b __label__z"), ("y", "c")]
    found = read(tmp_path, *lines, "__label__y __label__x __label__y  c", "__label__x", multi_label=True)
    assert [e["labels"] for e in found] == [["x"], ["y"], ["y", "x"], ["x"]]
    assert [e["text"] for e in found][2:] == ["c", ""]
    assert set(found[0]) - {"place"} <= set(LabelledLinesReader.fields)


def test_several_labels_where_one_stands(tmp_path: Path) -> None:
    assert read(tmp_path, "x a", multi_label=True)[0]["labels"] == ["x"]


BROKEN: dict[str, tuple[tuple[str, ...], dict[str, Any], str]] = {
    "no tab": (
        ("x\ta", "y b"),
        {},
        ":2: no tab in 'y b', expected LABEL<TAB>text. Is the label or the text missing? What parts them is told by "
        "the first line, or by --set reader.kind=labelled-lines --set reader.separator=tab (or space)",
    ),
    "no space": (("x a", "", "y"), {}, ":3: no space in 'y', expected LABEL text. "),
    "no label": (
        ("x\ta", "\tb"),
        {},
        ":2: no label at the line's begin. Write one there, or leave the line out.",
    ),
    "no label before a space": (("x a", " b"), {}, ":2: no label at the line's begin. "),
    "an empty fastText label": (("__label__ a",), {}, ":1: no label at the line's begin. "),
    "several": (
        ("__label__x __label__y a",),
        {},
        ":1: 2 labels (x, y), expected one. To take them all: --set reader.kind=labelled-lines --set "
        "reader.multi_label=true",
    ),
    "no colon": (
        ("NUM:dist a", "NUM b"),
        {"level": "coarse"},
        ":2: label 'NUM', expected COARSE:fine. For labels as they are: --set reader.level=whole",
    ),
    "nothing before the colon": ((":dist a",), {"level": "coarse"}, ":1: label ':dist', expected COARSE:fine. "),
    "blank lines": (("", ""), {}, ": no example in it, expected lines of a class and a text. "),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_files_name_path_line_and_next_move(tmp_path: Path, kind: str) -> None:
    lines, settings, message = BROKEN[kind]
    with pytest.raises(DataError, match=f"^{re.escape(str(tmp_path / 'a.label') + message)}"):
        read(tmp_path, *lines, **settings)


def test_the_registry_constructs_it() -> None:
    assert "labelled-lines" in names("reader")
    assert construct("reader", {"kind": "labelled-lines", "level": "coarse", "separator": "tab"}).level == "coarse"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("__label__x a\n__label__y b\n", "lines that begin with __label__"),
        ("NUM:dist How far ?\nLOC:city Where ?\n", "lines that begin with COARSE:fine"),
        ("x\ta\ny\tb\nx\tc\nx\td\n", "lines of a class, a tab and a text; 2 classes in the first 4"),
        ("label\ttext\nx\ta\nx\tb\ny\tc\ny\td\nx\te\n", None),
        ("x\ta\ny\tb\n", None),
        ("x\ta\nx\tb\nx c\n", None),
        ("It was late.\nIt rained.\n", None),
        ("", None),
    ],
)
def test_sniff(tmp_path: Path, text: str, reason: str | None) -> None:
    path = tmp_path / "file"
    path.write_text(text)
    assert LabelledLinesReader().sniff(path) == reason
