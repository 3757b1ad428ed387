"""What every registered reader does with a small sound file, and with broken ones: a new reader needs a sample here."""

from __future__ import annotations

import codecs
import gzip
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from recurra.errors import ConfigError, DataError
from recurra.registry import construct, names

ABOUT = {"place", "path", "phrase", "story", "segments"}
"""What an example may hold beside its reader's fields."""


@dataclass(frozen=True)
class Sample:
    """The files a reader reads together, by name, and how many examples are in them. `folder`: they are named by it."""

    files: dict[str, str]
    count: int
    folder: bool = False

    def written(self, at: Path, change: Any = str.encode) -> list[Path]:
        at.mkdir(exist_ok=True)
        for name, text in self.files.items():
            (at / name).write_bytes(change(text))
        return [at] if self.folder else [at / name for name in self.files]


SAMPLES = {
    "aligned": Sample({"seq.in": "to Óbidos\nhi\n", "seq.out": "O B-to\nO\n", "label": "fly\ngreet\n"}, 2, folder=True),
    "auto": Sample({"a": "EU B-ÓRG\n. O\n"}, 1),
    "columns": Sample({"a": "EU B-ÓRG\n. O\n\nits O\n"}, 2),
    "conllu": Sample({"a": "# text = é\n1\té\té\tDT\tDT\t_\t0\troot\t_\t_\n"}, 1),
    "dictionary": Sample({"a": ";;; é\nTWO  T UW\nREAD  R EH D\nREAD(1)  R IY D\n"}, 2),
    "jsonl": Sample({"a": '{"text": "é", "label": "x"}\n{"text": "b", "label": "y"}\n'}, 2),
    "labelled-lines": Sample({"a": "x\té\nx\tb\n"}, 2),
    "pairs": Sample({"a": "Hi.\t嗨。\tCC-BY\nRun.\t跑。\n"}, 2),
    "parallel": Sample({"a": "one\ntwo\n", "b": "ein\nzwéi\n"}, 2),
    "segmented": Sample({"a": "我们 走 吧\n好\n"}, 2),
    "stories": Sample({"a": "1 Mary went to é.\n2 Where is Mary?\té\t1\n"}, 1),
    "table": Sample({"a.csv": "text,label\né,x\nb,y\n"}, 2),
    "text": Sample({"a": "é\nb\n"}, 1),
    "trees": Sample({"a": "(3 (2 Ít) (4 works))\n"}, 1),
}


def read(kind: str, paths: list[Path], **settings: Any) -> list[dict[str, Any]]:
    return [dict(example) for example in construct("reader", {"kind": kind, **settings}).read(*paths)]


def content(examples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in e.items() if name not in ("place", "path")} for e in examples]


def test_every_reader_is_here() -> None:
    assert sorted(SAMPLES) == names("reader")


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_sound_file(kind: str, tmp_path: Path) -> None:
    sample = SAMPLES[kind]
    paths = sample.written(tmp_path)
    examples = read(kind, paths)
    assert len(examples) == sample.count and read(kind, [*paths, *paths])[: sample.count] == examples
    fields = construct("reader", {"kind": kind}).fields
    for example in examples:
        assert example.keys() <= fields.keys() | ABOUT and example.keys() & fields.keys()
        where = example.get("place", example.get("path"))
        assert where.startswith(str(tmp_path)) and (kind == "text" or re.search(r":[0-9]+$", where))


@pytest.mark.parametrize("kind", SAMPLES)
def test_other_ways_to_write_the_same(kind: str, tmp_path: Path) -> None:
    sample = SAMPLES[kind]
    expected = content(read(kind, sample.written(tmp_path / "plain")))
    ways = {
        "gzip": lambda text: gzip.compress(text.encode()),
        "lines": lambda text: text.replace("\n", "\r\n").encode(),
        "mark": lambda text: codecs.BOM_UTF8 + text.encode(),
        "no end": lambda text: text.rstrip("\n").encode() if kind != "text" else text.encode(),
    }
    for way, change in ways.items():
        assert content(read(kind, sample.written(tmp_path / way, change))) == expected, way
    utf16 = sample.written(tmp_path / "utf-16", lambda text: text.encode("utf-16"))
    assert content(read(kind, utf16, encoding="utf-16")) == expected


@pytest.mark.parametrize("kind", SAMPLES)
def test_broken_files_are_named(kind: str, tmp_path: Path) -> None:
    sample = SAMPLES[kind]
    absent = [tmp_path / "absent" / path.name for path in sample.written(tmp_path / "there")]
    broken = {
        "empty": lambda text: b"",
        "latin-1": lambda text: re.sub("[^\0-\x7f]", "é", text).encode("latin-1"),
        "cut": lambda text: gzip.compress(text.encode() * 99)[:-20],
        "nul": lambda text: text.encode() + b"\0",
    }
    with pytest.raises(DataError, match=f"^{re.escape(str(tmp_path))}"):
        read(kind, absent)
    for way, change in broken.items():
        with pytest.raises(DataError, match=f"^{re.escape(str(tmp_path / way))}.+[.)]$"):
            read(kind, sample.written(tmp_path / way, change))
    with pytest.raises(ConfigError, match=r"reader.encoding = 'utf-88' is no text encoding"):
        construct("reader", {"kind": kind, "encoding": "utf-88"})


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_reader_says_why_it_takes_a_file(kind: str, tmp_path: Path) -> None:
    sample = SAMPLES[kind]
    reader = construct("reader", {"kind": kind})
    why = reader.sniff(sample.written(tmp_path / "sound")[0])
    assert why is None if kind == "segmented" else why, "any text has words, so that one is only taken by its name"
    assert reader.sniff(tmp_path / "absent") is None
    binary = sample.written(tmp_path / "binary", lambda text: bytes(range(256)))
    assert kind == "aligned" or reader.sniff(binary[0]) is None
