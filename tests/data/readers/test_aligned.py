"""Aligned files: a folder read back, and folders whose files do not fit together."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pytest

from recurra.data.readers.aligned import AlignedReader
from recurra.errors import DataError
from recurra.registry import construct

FILES = {"seq.in": "to  paris\n\nhello\n", "seq.out": "O B-to\n\nO\n", "label": "flight\nnone\ngreeting\n"}


def folder(at: Path, **files: str | None) -> Path:
    """A folder of `FILES`, some changed, or left out where None; `_` for `.` in the keywords."""
    for name, text in (FILES | {key.replace("_", "."): text for key, text in files.items()}).items():
        if text is not None:
            (at / name).write_text(text, encoding="utf-8")
    return at


def read(path: Path) -> list[Any]:
    return list(AlignedReader().read(path))


def test_a_folder_is_read(tmp_path: Path) -> None:
    words = folder(tmp_path) / "seq.in"
    expected = [
        {"tokens": ["to", "paris"], "tags": ["O", "B-to"], "label": "flight", "place": f"{words}:1"},
        {"tokens": [], "tags": [], "label": "none", "place": f"{words}:2"},
        {"tokens": ["hello"], "tags": ["O"], "label": "greeting", "place": f"{words}:3"},
    ]
    assert read(tmp_path) == read(words) == expected
    assert list(AlignedReader().read(tmp_path, str(tmp_path))) == expected * 2


def test_without_labels(tmp_path: Path) -> None:
    assert [set(e) for e in read(folder(tmp_path, label=None))] == [{"tokens", "tags", "place"}] * 3


def test_packed_files(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    assert [e["label"] for e in read(tmp_path)] == ["flight", "none", "greeting"]
    assert read(tmp_path / "seq.in.gz") == read(tmp_path)
    assert AlignedReader().sniff(tmp_path / "seq.in.gz") == "a folder with seq.in and seq.out"


BROKEN: dict[str, tuple[dict[str, str | None], str]] = {
    "tags end early": (
        {"seq_out": "O B-to\n\n"},
        "{folder}/seq.out:2: the file ends after 2 lines, expected 3 as in {folder}/seq.in. "
        "Line k of each file belongs to the same sentence: copy them again.",
    ),
    "tags go on": (
        {"seq_out": "O B-to\n\nO\nO\n"},
        "{folder}/seq.out:4: a line too many after 3 lines, expected 3 as in {folder}/seq.in. ",
    ),
    "labels end early": ({"label": "flight\n"}, "{folder}/label:1: the file ends after 1 line, expected 3 as in "),
    "a tag too few": (
        {"seq_out": "O\n\nO\n"},
        "{folder}/seq.out:1: 1 tag, expected 2, one for each word in {folder}/seq.in:1. Mend this line in one of",
    ),
    "a tag for no word": ({"seq_out": "O B-to\nO\nO\n"}, "{folder}/seq.out:2: 1 tag, expected 0, one for each"),
    "no label": (
        {"label": "flight\n\ngreeting\n"},
        "{folder}/label:2: no label, expected that of {folder}/seq.in:2. Write one there.",
    ),
    "no tags": (
        {"seq_out": None},
        "{folder}: no seq.out or seq.out.gz in this folder, found label, seq.in. Put it there, or name another folder",
    ),
    "empty file": ({"seq_out": ""}, "{folder}/seq.out: the file is empty, expected text. "),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_folders_name_path_line_and_next_move(tmp_path: Path, kind: str) -> None:
    files, message = BROKEN[kind]
    with pytest.raises(DataError, match="^" + re.escape(message.format(folder=tmp_path))):
        read(folder(tmp_path, **files))


def test_a_file_or_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no seq.in or seq.in.gz in this folder, found nothing\. Put it there"):
        read(tmp_path)
    path = tmp_path / "other.txt"
    path.write_text("x")
    with pytest.raises(DataError, match=r"other.txt: no folder, expected one with seq.in, seq.out and label\. Name"):
        read(path)


def test_sniff(tmp_path: Path) -> None:
    reader = construct("reader", {"kind": "aligned"})
    assert reader.sniff(tmp_path) is None
    assert reader.sniff(folder(tmp_path)) == reader.sniff(tmp_path / "seq.in") == "a folder with seq.in and seq.out"
    assert reader.sniff(tmp_path / "label") is None
    assert reader.sniff(tmp_path / "absent") is None
