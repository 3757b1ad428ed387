"""Pairs in one file: columns, empty sides, and lines of too few columns."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.data.readers.pairs import PairReader
from recurra.errors import ConfigError, DataError
from recurra.registry import construct

SIDE = st.text(st.characters(exclude_characters="\0\n\r\t\ufeff", exclude_categories=["Cs"]), max_size=8)


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


def sides(path: Path, **settings: int) -> list[tuple[str, str]]:
    return [(e["source"], e["target"]) for e in construct("reader", {"kind": "pairs", **settings}).read(path)]


@settings(deadline=None)
@given(st.lists(st.tuples(SIDE, SIDE), min_size=1))
def test_pairs_come_back(tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]]) -> None:
    path = write(tmp_path_factory.mktemp("pairs") / "p", "".join(f"{one}\t{other}\n" for one, other in pairs))
    assert list(PairReader().read(path)) == [
        {"source": one.strip(), "target": other.strip(), "place": f"{path}:{number}"}
        for number, (one, other) in enumerate(pairs, start=1)
    ]


def test_further_columns_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", 'Hi.\t嗨。\tCC-BY\r\n"Run" \t 跑\n')
    assert sides(path) == [("Hi.", "嗨。"), ('"Run"', "跑")]
    assert list(PairReader().read(path, path)) == list(PairReader().read(path)) * 2


def test_columns_may_be_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", "1\tשלום\thello\n2\tיום\tday\n")
    assert sides(path, source=3, target=2) == [("hello", "שלום"), ("day", "יום")]


def test_empty_sides_are_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "a", "a\tb\n\n\tc\nd\t\n \t \n")
    assert sides(path) == [("a", "b"), ("", ""), ("", "c"), ("d", ""), ("", "")]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "1 column, expected 2 or more, source in 1 and target in 2, parted by tabs: 'c  d'. Are there spaces in"),
        ({"source": 5}, "2 columns, expected 5 or more, source in 5 and target in 2, parted by tabs: 'a\\tb'. Are th"),
    ],
)
def test_too_few_columns(tmp_path: Path, settings: dict[str, int], said: str) -> None:
    path = write(tmp_path / "a", "a\tb\nc  d\n")
    with pytest.raises(DataError, match=f"^{re.escape(str(path))}:{1 if settings else 2}: {re.escape(said)}"):
        sides(path, **settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"source": 0}, "reader.source = 0, expected 1 or more: columns are counted from 1"),
        ({"target": -1}, "reader.target = -1, expected 1 or more"),
        ({"source": 2}, "reader.source and reader.target are both 2. Set one of them to another column"),
    ],
)
def test_columns_that_cannot_be(settings: dict[str, int], said: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(said)}"):
        construct("reader", {"kind": "pairs", **settings})


def test_sniff(tmp_path: Path) -> None:
    path = write(tmp_path / "a", "a\tb\nc\td\te\n\n")
    assert PairReader().sniff(path) == "source and target parted by a tab"
    assert PairReader(target=3).sniff(path) is None
    assert PairReader().sniff(write(tmp_path / "b", "one\ntwo\n")) is None
