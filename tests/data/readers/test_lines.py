"""Sentences: a line each, or the texts of labelled examples; and those left out because they are scored later."""

from __future__ import annotations

from pathlib import Path

import pytest

from recurra.config import Data
from recurra.data.readers.sniff import SENTENCES
from recurra.data.shuffled import gather
from recurra.errors import DataError
from recurra.registry import construct, names


def test_lines_are_sentences(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(" one two \n\n\u3000three\u3000\n", encoding="utf-8")
    assert list(construct("reader", {"kind": "lines"}).read(path, path))[:2] == [
        {"text": "one two", "place": f"{path}:1"},
        {"text": "three", "place": f"{path}:3"},
    ]


def test_a_file_without_a_line_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(" \n\n")
    reader = construct("reader", {"kind": "lines"})
    assert reader.sniff(path) is None
    with pytest.raises(DataError, match=r"a\.txt: no example in it, expected lines of text\. Name another file\."):
        list(reader.read(path))


def test_sentences_are_the_texts_of_labelled_files_and_the_lines_of_others(tmp_path: Path) -> None:
    assert set(SENTENCES) <= set(names("reader"))
    plain, table = tmp_path / "a.txt", tmp_path / "b.csv"
    plain.write_text("a b c\nd e\n")
    table.write_text("text,label\na b,x\nc,y\n")
    for path, kind, texts in ((plain, "lines", ["a b c", "d e"]), (table, "table", ["a b", "c"])):
        reader = construct("reader", {"kind": "auto", "gives": "sentences"})
        assert [example["text"] for example in reader.read(path)] == texts and reader.kind == kind
    empty = tmp_path / "c.txt"
    empty.write_text("\n")
    with pytest.raises(DataError, match=r"c\.txt: nothing but blank lines, expected sentences\. Name another file\."):
        list(construct("reader", {"kind": "auto", "gives": "sentences"}).read(empty))


def parts(folder: Path, drop: bool, **files: str) -> tuple[list[list[str]], list[str]]:
    for name, text in files.items():
        (folder / name).write_text(text)
    found = {name: (str(folder / name),) for name in files}
    read = gather(Data(**found, drop_repeats=drop), construct("reader", {"kind": "lines"}))
    return [[example["text"] for example in part] for part in (read.train, read.valid, read.test)], read.notes


def test_what_is_scored_later_is_left_out_before(tmp_path: Path) -> None:
    files = {"train": "a\nb\nc d\nc  d\ne\ne\n", "valid": "b\ncd\nf\n", "test": "a\na\nf\n"}
    assert parts(tmp_path, True, **files) == (
        [["e", "e"], ["b", "cd"], ["a", "a", "f"]],
        ["4 training examples and 1 validation example left out, whose very text is in a later part, too."],
    )
    whole, notes = parts(tmp_path, False, **files)
    assert len(whole[0]) == 6 and len(notes) == 2 and "have the very words of a training example" in notes[0]
    alone = {"train": "a\nb\n", "valid": "c\n", "test": "d\n"}
    assert parts(tmp_path, True, **alone) == ([["a", "b"], ["c"], ["d"]], [])
    with pytest.raises(DataError, match=r"there are no training examples in what was read"):
        parts(tmp_path, True, train="a\n", valid="b\n", test="a\n")
