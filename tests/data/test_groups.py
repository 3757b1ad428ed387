"""Examples that say whose they are: no group is in two parts, and a set's own split by groups."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from recurra.config import Data
from recurra.data import sets
from recurra.data.readers.sniff import AutoReader
from recurra.data.recordings import TONE
from recurra.data.sets import Marked, find_set, read_sources
from recurra.data.shuffled import gather
from recurra.errors import DataError
from recurra.registry import construct

TABLE = "sequence,a,label,who\n" + "".join(f"{k},{k},{'xy'[k % 2]},{'pqrst'[k % 5]}\n" for k in range(30))


class Grouped:
    """The table, read by whose rows they are."""

    fields: ClassVar[Mapping[str, str]] = {"vectors": "vectors", "label": "label"}

    def read(self, *paths: Any) -> Iterator[dict[str, Any]]:
        from recurra.data.readers.sequences import SequencesReader

        yield from map(dict, SequencesReader(group="who").read(*paths))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "a.csv").write_text(TABLE)
    return tmp_path / "a.csv"


def test_groups_stay_together(file: Path) -> None:
    parts = gather(Data(train=(str(file),), valid_fraction=0.2, test_fraction=0.4), Grouped())
    whose = [{each["group"] for each in part} for part in (parts.train, parts.valid, parts.test)]
    assert [len(each) for each in whose] == [2, 1, 2] and len(set.union(*whose)) == 5
    assert sum(map(len, (parts.train, parts.valid, parts.test))) == 30
    assert "cut 5 groups, each with its examples, shuffled with seed 0, into train 2 (40.0%)" in parts.split


def test_groups_may_be_left_aside(file: Path) -> None:
    data = Data(train=(str(file),), valid_fraction=0.2, test_fraction=0.4, by_group=False)
    parts = gather(data, Grouped())
    assert (len(parts.train), len(parts.valid), len(parts.test)) == (12, 6, 12) and "30 examples" in parts.split


def test_a_set_split_by_groups(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    described = {
        "reader": {"kind": "sequences", "group": "who"},
        "groups": {"train": ["p", "q", "r"], "test": ["s", "t"]},
        "train": {"a.csv": hashlib.sha256(file.read_bytes()).hexdigest()},
        "split": "by people",
    }
    monkeypatch.setattr(sets, "_table", lambda: {"mine": described})
    monkeypatch.setenv("RECURRA_DATA", str(file.parent))
    found = find_set("mine")
    assert found.test == (Marked(file, "test", ("s", "t")),) and not found.valid
    assert {each["group"] for each in read_sources(found.test, Grouped())} == {"s", "t"}
    parts = gather(Data(set="mine", valid_fraction=0.34), AutoReader(gives="numbers"))
    assert [len({each["group"] for each in part}) for part in (parts.train, parts.valid, parts.test)] == [2, 1, 2]


def test_the_reader_is_found_and_kept(file: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.csv:2: 'p' is no number\. Say what its column is, reader\.label, "):
        gather(Data(train=(str(file),)), AutoReader(gives="numbers"))
    file.write_text("\n".join(line.rpartition(",")[0] for line in TABLE.splitlines()))
    parts = gather(Data(train=(str(file),)), AutoReader(gives="numbers"))
    assert parts.reader == {"kind": "sequences", "encoding": "utf-8"} and len(parts.train) == 25
    other = tmp_path / "b.csv"
    other.write_text("text,label\nwell,x\n")
    with pytest.raises(DataError, match=r"no reader knows this file .* tried npz, idx, intervals, ts, sequences"):
        list(AutoReader(gives="numbers").read(other))


def test_a_folder_s_files_together_and_parts_that_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "mine"
    (folder / "wavs").mkdir(parents=True)
    for name in ("a.wav", "b.wav"):
        (folder / "wavs" / name).write_bytes(TONE)
    table = "file,label,split\na.wav,x,train\nb.wav,y,test\n"
    (folder / "index.csv").write_text(table)
    sums = "".join(f"{name} {hashlib.sha256(TONE).hexdigest()}\n" for name in ("a.wav", "b.wav"))
    both = {
        "index.csv": hashlib.sha256(table.encode()).hexdigest(),
        "wavs/*": hashlib.sha256(sums.encode()).hexdigest(),
    }
    described = {"reader": {"kind": "sound-table"}, "marked": ["train", "test"], "train": {"mine": both}}
    monkeypatch.setattr(sets, "_table", lambda: {"mine": described})
    monkeypatch.setenv("RECURRA_DATA", str(tmp_path))
    found = find_set("mine")
    reader = construct("reader", {"kind": "sound-table"})
    read = [[each["label"] for each in read_sources(part, reader)] for part in (found.train, found.valid, found.test)]
    assert read == [["x"], [], ["y"]]
    (folder / "wavs" / "c.wav").write_bytes(TONE)
    with pytest.raises(DataError, match=r"wavs: not the files of the data set 'mine'.*nothing beside them"):
        find_set("mine")
