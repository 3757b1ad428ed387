"""Which examples train, validate and test."""

from __future__ import annotations

import gzip
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from recurra.config import Data
from recurra.data import fingerprint as prints
from recurra.data import shuffled as module
from recurra.data.sets import DataSet
from recurra.data.shuffled import Parts, gather, read
from recurra.errors import ConfigError, DataError, UnknownName
from recurra.registry import construct
from recurra.types import Example

needs_data = pytest.mark.skipif(not os.environ.get("RECURRA_DATA"), reason="RECURRA_DATA names no data folder")


class Lines:
    """A reader of `text` and its number as label; a line that begins with a blank is a phrase inside the one before."""

    def read(self, *paths: str | Path) -> Iterator[Example]:
        for path in paths:
            for number, line in enumerate(Path(path).read_text().splitlines(), start=1):
                inner = {"phrase": "inner"} if line.startswith(" ") else {}
                yield {"text": line.strip(), "label": str(number % 3), "place": f"{path}:{number}", **inner}


def texts(examples: list[Example]) -> list[str]:
    return [example["text"] for example in examples]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Part → path of a file of its own, 200 lines each, no two alike."""
    for part in ("train", "valid", "test"):
        (tmp_path / part).write_text("".join(f"{part} {k}\n" for k in range(200)))
    return {part: str(tmp_path / part) for part in ("train", "valid", "test")}


def known(monkeypatch: pytest.MonkeyPatch, **parts: Any) -> None:
    monkeypatch.setattr(module, "find_set", lambda name: DataSet("known", **parts))
    monkeypatch.setattr(module, "check_sources", lambda data, folders: None)


def made(word: str, count: int = 100) -> tuple[Example, ...]:
    return tuple({"text": f"{word} {k}", "label": "x", "place": f"{word}:{k}"} for k in range(count))


def test_files_are_taken_as_given(files: dict[str, str]) -> None:
    parts = gather(Data(train=(files["train"],), valid=(files["valid"],), test=(files["test"],)), Lines())
    for part, path in files.items():
        assert texts(getattr(parts, part)) == Path(path).read_text().splitlines()
    assert (parts.split, parts.notes, parts.reader) == ("files as given", [], None)


@pytest.mark.parametrize("given", [(), ("valid",), ("test",)])
def test_what_is_missing_is_cut_off_by_a_shuffle(given: tuple[str, ...], files: dict[str, str]) -> None:
    data = Data(
        train=(files["train"],), **{part: (files[part],) for part in given}, valid_fraction=0.2, test_fraction=0.1
    )
    parts = gather(data, Lines())
    lines = Path(files["train"]).read_text().splitlines()
    cut = {part: texts(getattr(parts, part)) for part in ("train", "valid", "test") if part not in given}
    assert Counter(line for part in cut.values() for line in part) == Counter(lines)
    for part, size in (("valid", 40), ("test", 20)):
        if part in cut:
            assert len(cut[part]) == size and f"{part} {size} ({size / 200:.1%})" in parts.split
            places = [lines.index(line) for line in cut[part]]
            assert places == sorted(places) and places[0] < 60 and places[-1] > 140
        else:
            assert texts(getattr(parts, part)) == [f"{part} {k}" for k in range(200)]
    assert parts.split.startswith("cut 200 examples, shuffled with seed 0, into train ")
    assert gather(data, Lines()) == parts


def test_a_fraction_of_0_cuts_nothing(files: dict[str, str]) -> None:
    parts = gather(Data(train=(files["train"],), valid_fraction=0.0, test_fraction=0.0), Lines())
    assert (len(parts.train), parts.valid, parts.test, parts.split) == (200, [], [], "files as given")


def test_a_sets_own_split_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, train=made("a"), valid=made("b"), split="its own")
    parts = gather(Data(set="known"), Lines())
    assert (len(parts.train), len(parts.valid), parts.test, parts.split) == (100, 100, [], "known: its own")
    known(monkeypatch, train=made("a"), test=made("c"), split="its own, no valid")
    parts = gather(Data(set="known"), Lines())
    assert (len(parts.train), len(parts.valid), len(parts.test)) == (95, 5, 100)
    assert parts.split == (
        "known: its own, no valid; cut 100 examples, shuffled with seed 0, into train 95 (95.0%), valid 5 (5.0%)"
    )


def test_files_stand_in_the_place_of_a_set(monkeypatch: pytest.MonkeyPatch, files: dict[str, str]) -> None:
    known(monkeypatch, train=made("a"), test=made("c"), split="its own")
    parts = gather(Data(set="known", train=(files["train"],)), Lines())
    assert {line.split()[0] for part in (parts.train, parts.valid, parts.test) for line in texts(part)} == {"train"}
    parts = gather(Data(set="known", test=(files["test"],)), Lines())
    assert texts(parts.test) == [f"test {k}" for k in range(200)] and parts.train[0]["text"] == "a 0"


def test_phrases_train_only_and_stay_with_their_tree(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("".join(f"tree {k}\n part {k}\n of {k}\n" for k in range(50)))
    parts = gather(Data(train=(str(tmp_path / "t"),), valid_fraction=0.2), Lines())
    assert (len(parts.train), len(parts.valid), len(parts.test)) == (3 * 35, 10, 5)
    assert all(line.startswith("tree") for line in texts([*parts.valid, *parts.test]))
    numbers = [{line.split()[1] for line in texts(part)} for part in (parts.train, parts.valid, parts.test)]
    assert sum(map(len, numbers)) == len(set.union(*numbers)) == 50
    assert texts(read([tmp_path / "t"], Lines())) == [f"tree {k}" for k in range(50)]


def test_what_scores_must_be_read_with_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    empty: tuple[Example, ...] = ({"tokens": [], "tags": [], "place": "e"},)
    known(monkeypatch, train=made("a") + empty, valid=made("a", 5) + made("b", 5), test=made("c"), split="its own")
    assert gather(Data(set="known"), Lines()).notes == [
        "5 of 10 validation examples (50.0%) have the very words of a training example.",
        "1 training example is empty.",
    ]


def test_the_fingerprint_is_the_training_examples() -> None:
    def fingerprint(example: dict[str, Any]) -> str:
        return prints.of_examples([example])

    one = fingerprint({"tokens": ["a b"], "tags": ["O"], "place": "x:1"})
    assert one == fingerprint({"tags": ["O"], "tokens": ["a b"], "place": "y:9"})
    assert one != fingerprint({"tokens": ["a", "b"], "tags": ["O"], "place": "x:1"})
    assert one != fingerprint({"tokens": ["a b"], "tags": ["B"], "place": "x:1"})
    assert fingerprint({"text": "\udc80"}) != fingerprint({"text": "\udc81"})
    assert one == "90fe069135c0e8d9", "runs of before go on"


def test_the_fingerprint_of_arrays_is_of_every_number() -> None:
    long = np.zeros(5000)
    other = long.copy()
    other[2500] = 1
    assert repr(long) == repr(other), "which is why it is not of that"
    same = prints.of_examples([{"series": long, "label": "x", "place": "a:1"}])
    assert same == prints.of_examples([{"label": "x", "series": long.copy(), "place": "b:2"}])
    changed = [
        {"series": other, "label": "x"},
        {"series": long.reshape(50, 100), "label": "x"},
        {"series": long.astype(np.float32), "label": "x"},
        {"series": long, "label": "y"},
        {"series": [long], "label": "x"},
        {"series": {"a": long}, "label": "x"},
    ]
    assert len({same, *(prints.of_examples([example]) for example in changed)}) == 7
    parts = [[{"a": np.zeros(2)}, {"a": np.zeros(1)}], [{"a": np.zeros(1)}, {"a": np.zeros(2)}]]
    assert prints.of_examples(parts[0]) != prints.of_examples(parts[1])


def pair(source: Any, **target: Any) -> Example:
    return {"source": source, "place": "p:1", **(target or {"target": f"{source}!"})}


def test_pairs_with_an_empty_side_are_left_out_of_training(monkeypatch: pytest.MonkeyPatch) -> None:
    empty = (pair("", target="x"), pair("y", target=" "), pair([], target="z"))
    whole = (*(pair(f"s {k}") for k in range(9)), pair("t", targets=["a", "b"]))
    known(monkeypatch, train=(*empty, *whole), valid=(*empty, pair("s 3"), pair("t")), test=(pair("new"),), split="own")
    parts = gather(Data(set="known"), Lines())
    assert parts.train == [*whole] and parts.valid[:3] == [*empty], "they stay where they are scored"
    assert parts.notes == [
        "3 of 13 training pairs left out, as a side is empty.",
        "2 of 5 validation examples (40.0%) have the very source of a training example.",
    ]
    known(monkeypatch, train=whole, valid=whole[:1], test=whole[:1], split="own")
    assert gather(Data(set="known"), Lines()).fingerprint == parts.fingerprint
    known(monkeypatch, train=(*whole, pair("u")), valid=whole[:1], test=whole[:1], split="own")
    assert gather(Data(set="known"), Lines()).fingerprint != parts.fingerprint
    known(monkeypatch, train=empty, valid=whole[:1], test=whole[:1], split="own")
    with pytest.raises(DataError, match=r"no training examples in what was read, but for 3 pairs with an empty side\."):
        gather(Data(set="known"), Lines())


def test_two_files_of_pairs_are_cut(tmp_path: Path) -> None:
    for side in ("en", "de"):
        (tmp_path / side).write_text("".join(f"{side} {k}\n" for k in range(50)))
    data = Data(train=(str(tmp_path / "en"), str(tmp_path / "de")), valid_fraction=0.2, test_fraction=0.1)
    parts = gather(data, construct("reader", {"kind": "auto", "gives": "pairs"}))
    assert (len(parts.train), len(parts.valid), len(parts.test)) == (35, 10, 5)
    assert parts.reader == {"kind": "parallel", "encoding": "utf-8"}
    for example in (*parts.train, *parts.valid, *parts.test):
        assert example["source"].replace("en", "de") == example["target"]


def columns(path: Path, packed: bool = False) -> str:
    raw = "".join(f"word{k} O\nAnn B-PER\n\n" for k in range(40)).encode()
    path.write_bytes(gzip.compress(raw) if packed else raw)
    return str(path)


def test_the_reader_auto_says_what_it_found(tmp_path: Path) -> None:
    parts = gather(Data(train=(columns(tmp_path / "t"),)), construct("reader", {"kind": "auto"}))
    assert parts.reader == {"kind": "columns", "encoding": "utf-8"}
    assert parts.notes[0].startswith(f"{tmp_path / 't'} read as columns: ")
    assert parts.train[0]["tags"] == ["O", "B-PER"]
    again = gather(Data(train=(str(tmp_path / "t"),)), construct("reader", parts.reader))
    assert again.train == parts.train


def test_the_reader_auto_gives_way_to_the_sets_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = {"kind": "columns", "tag": 1, "token": 2}
    known(monkeypatch, train=(Path(columns(tmp_path / "t", packed=True)),), split="its own", reader=own)
    parts = gather(Data(set="known"), construct("reader", {"kind": "auto"}))
    assert parts.train[0]["tags"] == ["word0", "Ann"] and parts.reader == own
    parts = gather(Data(set="known"), construct("reader", {"kind": "columns"}))
    assert parts.train[0]["tags"] == ["O", "B-PER"] and parts.reader is None, "a reader that is named stays"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"valid_fraction": 0.6, "test_fraction": 0.4}, r"data.valid_fraction = 0.6, .* less than 1 together with"),
        ({"test_fraction": -0.1}, r"data.test_fraction = -0.1, expected 0 or more, and"),
        ({"valid_from": "start"}, r"data.valid_from = 'start' is for one long text; examples are shuffled .* Leave it"),
    ],
)
def test_settings_that_cut_nothing_sensible(files: dict[str, str], settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        gather(Data(train=(files["train"],), **settings), Lines())


def test_too_few_examples(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("one\ntwo\n")
    with pytest.raises(DataError, match=r"^2 training examples, too few to cut valid and test off\. Use more"):
        gather(Data(train=(str(tmp_path / "t"),)), Lines())
    (tmp_path / "t").write_text("")
    with pytest.raises(DataError, match=r"there are no training examples in what was read\. Name another file"):
        gather(Data(train=(str(tmp_path / "t"),), valid_fraction=0.0, test_fraction=0.0), Lines())


def test_sources_that_are_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there are no training data"):
        gather(Data(), Lines())
    with pytest.raises(UnknownName, match="did you mean 'atis'"):
        gather(Data(set="attis"), Lines())
    with pytest.raises(DataError, match="absent: no such file"):
        gather(Data(train=(str(tmp_path / "absent"),)), Lines())
    known(monkeypatch, train=made("a"), fractions=(0.9, 0.1), split="first 90 %")
    with pytest.raises(ConfigError, match=r"the data set 'known' is one long text, expected labelled examples\. Name"):
        gather(Data(set="known"), Lines())


@needs_data
@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("multi30k", (29000, 1014, 1000)),
        ("tatoeba-cmn-eng", (21156, 1179, 1109)),
        ("cmudict-g2p", (102068, 5447, 11994)),
    ],
)
def test_the_named_sets_of_pairs(name: str, counts: tuple[int, int, int]) -> None:
    parts = gather(Data(set=name), construct("reader", {"kind": "auto", "gives": "pairs"}))
    assert (len(parts.train), len(parts.valid), len(parts.test)) == counts
    assert parts.split.startswith(f"{name}: ") and not any("empty" in note for note in parts.notes)


def read_set(name: str) -> Parts:
    return gather(Data(set=name), construct("reader", {"kind": "auto"}))


@needs_data
@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("atis", (4478, 500, 893)),
        ("snips", (13084, 700, 0)),
        ("weibo", (1350, 270, 270)),
        ("resume", (3821, 463, 477)),
        ("trec", (5179, 273, 500)),
        ("sst", (6920, 872, 1821)),
        ("reuters-r8", (5211, 274, 2189)),
        ("ud-chinese-gsd", (3997, 500, 500)),
        ("chnsenticorp", (9600, 1200, 1200)),
    ],
)
def test_the_named_sets(name: str, counts: tuple[int, int, int]) -> None:
    parts = read_set(name)
    assert (len(parts.train), len(parts.valid), len(parts.test)) == counts
    assert parts.split.startswith(f"{name}: ") and ("cut" in parts.split) == (name in ("trec", "reuters-r8"))
    target = "label" if "label" in parts.train[0] else "tags"
    assert all(target in example for example in (*parts.train, *parts.valid, *parts.test))


class Windows:
    """Examples that follow each other in time."""

    fields: ClassVar[dict[str, str]] = {"series": "numbers", "future": "numbers"}
    ordered = True

    def read(self, *paths: Any) -> Any:
        yield from ({"series": np.arange(3.0) + k, "future": np.array([k]), "place": f"x:{k}"} for k in range(20))


@pytest.mark.parametrize("valid_from", ["end", "start"])
def test_examples_in_order_are_cut_in_it(valid_from: Any, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    data = Data(train=(str(tmp_path / "x"),), valid_fraction=0.2, test_fraction=0.1, valid_from=valid_from)
    parts = gather(data, Windows())
    order = (parts.valid, parts.train, parts.test) if valid_from == "start" else (parts.train, parts.valid, parts.test)
    assert [int(example["future"][0]) for part in order for example in part] == list(range(20))
    assert [len(part) for part in (parts.train, parts.valid, parts.test)] == [14, 4, 2]
    assert "cut 20 examples, in their order, into train 14 (70.0%), valid 4" in parts.split
    assert parts.notes == [], "numbers are neither empty nor alike"
