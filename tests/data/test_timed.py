"""Which text trains, validates and tests, and which steps of a series."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from recurra import registry
from recurra.config import Data
from recurra.data import fingerprint, parts, sets, sources, timed
from recurra.data.parts import text_of
from recurra.data.readers.text import TextReader
from recurra.data.sets import DataSet, Reader
from recurra.errors import ConfigError, DataError, UnknownName

READER = TextReader()


@dataclass
class Texts:
    train: str
    valid: str
    test: str
    split: str


def gather(data: Data, reader: Reader) -> Texts:
    """The text of each part."""
    found = parts.gather(data, reader, "time")
    return Texts(*map(text_of, (found.train, found.valid, found.test)), found.split)


def lines(seed: int, count: int = 200) -> str:
    draw = random.Random(seed)
    return "".join("".join(draw.choices("abcde ", k=draw.randint(1, 9))) + "\n" for _ in range(count))


@pytest.fixture
def texts(tmp_path) -> dict[str, str]:
    """Part → path of a file of its own."""
    paths = {}
    for seed, part in enumerate(("train", "valid", "test")):
        path = tmp_path / f"{part}.txt"
        path.write_text(lines(seed))
        paths[part] = str(path)
    return paths


def test_files_are_taken_as_given(texts: dict[str, str]) -> None:
    data = Data(train=(texts["train"],), valid=(texts["valid"],), test=(texts["test"],))
    found = gather(data, READER)
    assert (found.train, found.valid, found.test) == (lines(0), lines(1), lines(2))
    assert found.split == "files as given"


@pytest.mark.parametrize("given", [(), ("valid",), ("test",)])
def test_what_is_missing_is_cut_off_the_end_of_the_training_text(given: tuple[str, ...], texts: dict[str, str]) -> None:
    shares = {"valid_fraction": 0.2, "test_fraction": 0.1}
    found = gather(Data(train=(texts["train"],), **{part: (texts[part],) for part in given}, **shares), READER)
    cut = [found.train, *(getattr(found, part) for part in ("valid", "test") if part not in given)]
    assert "".join(cut) == lines(0)
    assert all(part.endswith("\n") for part in cut)
    total = len(lines(0))
    for part, share in (("valid", 0.2), ("test", 0.1)):
        if part in given:
            assert getattr(found, part) == lines(("train", "valid", "test").index(part))
        else:
            assert len(getattr(found, part)) == pytest.approx(share * total, abs=12)
            assert f"{part} {len(getattr(found, part)):,} (" in found.split


def test_a_fraction_of_0_cuts_nothing(texts: dict[str, str]) -> None:
    found = gather(Data(train=(texts["train"],), valid_fraction=0.0, test_fraction=0.0), READER)
    assert (found.train, found.valid, found.test) == (lines(0), "", "")


def test_several_files_are_one_text(tmp_path) -> None:
    for name, text in (("a", "one\n"), ("b", "two"), ("c", "three")):
        (tmp_path / name).write_text(text)
    assert timed.read_text([tmp_path / name for name in "abc"], READER) == "one\ntwo\nthree"
    assert timed.read_text([], READER) == ""


def known(monkeypatch: pytest.MonkeyPatch, **parts: object) -> None:
    made = DataSet("known", **parts)  # type: ignore[arg-type]
    monkeypatch.setattr(timed, "find_set", lambda name: made)
    monkeypatch.setattr(sources, "check_set", lambda name: None)


def example(seed: int) -> tuple[dict[str, str]]:
    return ({"text": lines(seed), "path": "known"},)


def test_a_sets_own_exact_cut_and_a_validation_text_off_its_training_part(monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, train=example(0), fractions=(0.9, 0.1), split="first 90 %, last 10 %")
    found = gather(Data(set="known", valid_fraction=0.1), READER)
    place = int(0.9 * len(lines(0)))
    assert found.train + found.valid == lines(0)[:place]
    assert found.test == lines(0)[place:]
    assert len(found.valid) == pytest.approx(0.1 * place, abs=12)
    assert found.split.startswith("known: first 90 %, last 10 %; cut ")


def test_a_set_with_a_split_of_its_own_is_cut_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, train=example(0), valid=example(1), split="its own train and valid")
    found = gather(Data(set="known"), READER)
    assert (found.train, found.valid, found.test) == (lines(0), lines(1), "")
    assert found.split == "known: its own train and valid"


def test_files_stand_in_the_place_of_a_set(monkeypatch: pytest.MonkeyPatch, texts: dict[str, str]) -> None:
    known(monkeypatch, train=example(5), test=example(6), split="its own")
    found = gather(Data(set="known", train=(texts["train"],)), READER)
    assert found.train + found.valid + found.test == lines(0)
    found = gather(Data(set="known", test=(texts["test"],)), READER)
    assert (found.train + found.valid, found.test) == (lines(5), lines(2))


def test_pydoc_is_always_there() -> None:
    found = gather(Data(set="pydoc"), READER)
    assert found.train + found.valid + found.test == sets.find_set("pydoc").train[0]["text"]  # type: ignore[index]
    assert min(map(len, (found.train, found.valid, found.test))) > 10_000


def test_the_fingerprint_is_the_training_texts(texts: dict[str, str]) -> None:
    one = Data(train=(texts["train"],), valid=(texts["valid"],), test=(texts["test"],))
    other = Data(train=(texts["train"],), valid=(texts["test"],), test=(texts["test"],))
    found = parts.gather(one, READER, "time").fingerprint
    assert found == parts.gather(other, READER, "time").fingerprint == fingerprint.of_text(lines(0))
    assert found != fingerprint.of_text(lines(1))


def test_no_training_text() -> None:
    with pytest.raises(ConfigError, match=r"there are no training data. Name files after the recipe, or a data set"):
        gather(Data(), READER)


def test_an_unknown_set_is_refused_even_where_files_stand_in_its_place(texts: dict[str, str]) -> None:
    with pytest.raises(UnknownName, match="unknown data set 'pydocs': did you mean 'pydoc'"):
        gather(Data(set="pydocs", train=(texts["train"],)), READER)


def test_paths_that_are_no_files(tmp_path: Path, texts: dict[str, str]) -> None:
    with pytest.raises(DataError, match=r"tran.txt: no such file: did you mean 'train.txt'"):
        gather(Data(train=(str(tmp_path / "tran.txt"),)), READER)
    with pytest.raises(DataError, match=r"a folder, expected a text file. Name the files in it"):
        gather(Data(train=(texts["train"],), test=(str(tmp_path),)), READER)


def test_the_validation_text_may_be_cut_off_the_start(texts: dict[str, str]) -> None:
    whole = Path(texts["train"]).read_text(encoding="utf-8")
    found = gather(Data(train=(texts["train"],), valid_from="start", valid_fraction=0.2, test_fraction=0.2), READER)
    assert found.valid + found.train + found.test == whole
    assert len(found.valid) <= 0.2 * len(whole)
    assert "into valid" in found.split


class Measured:
    """Series of two numbers a step, a label of each step, and the name of what was measured."""

    fields: ClassVar[dict[str, str]] = {"series": "vectors", "hour": "integers", "name": "label"}

    def __init__(self, lengths: Sequence[int]) -> None:
        self.lengths = lengths

    def read(self, *paths: str | Path) -> Iterator[dict[str, Any]]:
        for path in paths:
            for n in self.lengths:
                rows = np.arange(2.0 * n).reshape(n, 2)
                yield {"series": rows, "hour": list(range(n)), "name": f"of {n}", "place": f"{path}:1"}


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "series.npz").write_bytes(b"\x00")
    return str(tmp_path / "series.npz")


@pytest.mark.parametrize("order", ["end", "start"])
def test_a_series_is_cut_by_time(file: str, order: Any) -> None:
    data = Data(train=(file,), valid_fraction=0.2, test_fraction=0.3, valid_from=order)
    found = parts.gather(data, Measured([10, 20]), "time")
    names = ("valid", "train", "test") if order == "start" else ("train", "valid", "test")
    for k, n in enumerate((10, 20)):
        pieces = [getattr(found, name)[k] for name in names]
        assert np.array_equal(np.concatenate([piece["series"] for piece in pieces]), np.arange(2.0 * n).reshape(n, 2))
        assert [step for piece in pieces for step in piece["hour"]] == list(range(n))
        assert all(piece["name"] == f"of {n}" for piece in pieces)
        assert len(found.test[k]["hour"]) == 0.3 * n and len(found.valid[k]["hour"]) == 0.2 * n
        assert found.test[k]["place"] == f"{file}:1, steps {int(0.7 * n)} to {n - 1}"
    assert "cut each of 2 series by time, 30 steps in all, into " in found.split and "test 9 (30.0%)" in found.split


def test_series_in_files_of_their_own_are_not_cut(file: str) -> None:
    found = parts.gather(Data(train=(file,), valid=(file,), test=(file,)), Measured([5]), "time")
    assert [len(part[0]["series"]) for part in (found.train, found.valid, found.test)] == [5, 5, 5]
    assert found.split == "files as given" and found.train[0]["place"] == f"{file}:1"
    assert parts.read([Path(file)], Measured([5]), "time")[0]["hour"] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("lengths", "fractions", "error", "message"),
    [
        (
            [9],
            (0.1, 0.5),
            DataError,
            r":1: a series of 9 steps is too short to be cut into train, valid, test, of 2",
        ),
        ([9], (0.5, 0.6), ConfigError, r"^a series cannot be cut by the fractions -0.1, 0.5, 0.6: expected positive"),
        ([], (0.1, 0.1), DataError, r"^there is no training series in what was read\."),
    ],
)
def test_series_that_cannot_be_cut(
    file: str, lengths: list[int], fractions: tuple[float, float], error: type[Exception], message: str
) -> None:
    valid, test = fractions
    with pytest.raises(error, match=message):
        parts.gather(Data(train=(file,), valid_fraction=valid, test_fraction=test), Measured(lengths), "time")


def test_fields_of_a_series_that_differ_in_length(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {"series": np.zeros((5, 2)), "hour": [1], "place": "x:3"}
    monkeypatch.setattr(Measured, "read", lambda self, *paths: iter([wrong]))
    with pytest.raises(DataError, match=r"^x:3: fields of different lengths, series 5, hour 1, expected a value"):
        parts.gather(Data(train=(file,)), Measured([5]), "time")


def test_later_parts_begin_early_to_be_looked_back_on(file: str) -> None:
    data = Data(train=(file,), valid_fraction=0.2, test_fraction=0.2, context=3)
    found = parts.gather(data, Measured([20, 10]), "time")
    expected = [(20, 12, (9, 16), (13, 20)), (10, 6, (3, 8), (5, 10))]
    for k, (n, end, valid, test) in enumerate(expected):
        whole = np.arange(2.0 * n).reshape(n, 2)
        assert np.array_equal(found.train[k]["series"], whole[:end])
        assert np.array_equal(found.valid[k]["series"], whole[slice(*valid)])
        assert np.array_equal(found.test[k]["series"], whole[slice(*test)])
    assert found.split.endswith("each part but the first begins 3 steps early, which are looked back on alone")


def test_parts_by_numbers_of_steps(file: str) -> None:
    found = parts.gather(Data(train=(file,), valid_steps=4, test_steps=3, context=2), Measured([20, 11]), "time")
    lengths = [[len(each["series"]) for each in some] for some in (found.train, found.valid, found.test)]
    assert lengths == [[13, 4], [6, 6], [5, 5]]
    mixed = parts.gather(Data(train=(file,), valid_fraction=0.25, test_steps=3), Measured([20]), "time")
    assert [len(some[0]["series"]) for some in (mixed.train, mixed.valid, mixed.test)] == [12, 5, 3]
    with pytest.raises(DataError, match="a series of 8 steps cannot be cut into train 1, valid 4, test 3"):
        parts.gather(Data(train=(file,), valid_steps=4, test_steps=3), Measured([20, 8]), "time")


def test_a_test_goes_on_where_training_ends(file: str, tmp_path: Path) -> None:
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    train.write_text("a,1,2,3,4\nb,5,6,7,8,9\n", encoding="utf-8")
    test.write_text("b,10,11\na,5,6\n", encoding="utf-8")
    reader = registry.construct("reader", {"kind": "series-rows"})
    data = Data(train=(str(train),), test=(str(test),), valid_fraction=0.4, context=3, continues=True)
    found = parts.gather(data, reader, "time")
    assert [each["series"][:, 0].tolist() for each in found.train] == [[1, 2], [5, 6, 7]]
    assert [each["series"][:, 0].tolist() for each in found.valid] == [[1, 2, 3, 4], [5, 6, 7, 8, 9]]
    assert [each["series"][:, 0].tolist() for each in found.test] == [[7, 8, 9, 10, 11], [2, 3, 4, 5, 6]]
    assert [each["context"] for each in found.test] == [3, 3] and [each["context"] for each in found.valid] == [2, 3]
    assert "5 steps in all" not in found.split and "9 steps in all, into train 5" in found.split
    test.write_text("c,10,11\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"test\.csv:1: a series 'c' is not among the training's"):
        parts.gather(data, reader, "time")


def test_a_set_may_say_how_many_steps_its_parts_have(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = DataSet("mine", (Path(file),), steps=(10, 4, 3), split="its own")
    monkeypatch.setattr(timed, "check_sources", lambda *_, **__: None)
    monkeypatch.setattr(timed, "find_set", lambda name: known)
    found = parts.gather(Data(set="mine", context=2), Measured([20]), "time")
    assert [len(part[0]["series"]) for part in (found.train, found.valid, found.test)] == [10, 6, 5]
    assert found.test[0]["hour"] == [12, 13, 14, 15, 16]
    with pytest.raises(DataError, match="a series of 16 steps, expected 17 as the set's own split says"):
        parts.gather(Data(set="mine"), Measured([16]), "time")
