"""Features of recordings beside what was said in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recurra.data.readers.npz_jsonl import NpzJsonlReader
from recurra.data.stacked import packed
from recurra.errors import ConfigError, DataError

LINES = '{"id": "a", "text": "YES", "speaker": "ann", "frames": 2}\n{"text": "GO", "frames": 3}\n'


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    features, lines = tmp_path / "a.npz", tmp_path / "a.jsonl"
    features.write_bytes(packed(features=np.arange(10, dtype=np.float16).reshape(5, 2), offsets=[0, 2, 5]))
    lines.write_text(LINES)
    return features, lines


def test_pairs(pair: tuple[Path, Path]) -> None:
    features, lines = pair
    one, other, *again = NpzJsonlReader().read(features, lines, lines, features)
    assert one["vectors"].dtype == np.float16 and one["vectors"].tolist() == [[0, 1], [2, 3]] and len(again) == 2
    said = {name: value for name, value in one.items() if name != "vectors"}
    whose = {"id": "a", "speaker": "ann", "group": "ann"}
    assert said == {"transcript": "YES", **whose, "place": f"{lines}:1"}
    assert other.keys() == {"vectors", "transcript", "place"}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (LINES[: LINES.index("\n")], "1 line, expected one for each of 2 recordings of .*a.npz"),
        (LINES.replace('"frames": 3', '"frames": 4'), r"a.jsonl:2: 'frames' is 4, but its features have 3 steps"),
        (LINES.replace('"text": "GO"', '"txt": "GO"'), r"a.jsonl:2: no text in the key 'text', found 'txt'"),
        (LINES + "no", r"a.jsonl:3|3 lines"),
    ],
)
def test_what_does_not_fit(pair: tuple[Path, Path], lines: str, message: str) -> None:
    pair[1].write_text(lines)
    with pytest.raises(DataError, match=message):
        list(NpzJsonlReader().read(*pair))


def test_one_without_the_other(pair: tuple[Path, Path]) -> None:
    features, lines = pair
    with pytest.raises(DataError, match=r"the lines of what was said \(.jsonl\) is missing"):
        list(NpzJsonlReader().read(features, features))
    with pytest.raises(DataError, match=r"a file of features \(.npz\) is missing"):
        list(NpzJsonlReader().read(lines, lines))
    with pytest.raises(DataError, match=r"no array 'mfcc' \(reader.features\)"):
        list(NpzJsonlReader(features="mfcc").read(*pair))


def test_rows_side_by_side_are_a_step(pair: tuple[Path, Path]) -> None:
    one, other = NpzJsonlReader(stack=2).read(*pair)
    assert one["vectors"].tolist() == [[0, 1, 2, 3]] and other["vectors"].tolist() == [[4, 5, 6, 7]]
    with pytest.raises(ConfigError, match=r"reader.stack = 0"):
        NpzJsonlReader(stack=0)


def test_features_alone_are_to_be_asked_of_a_run(pair: tuple[Path, Path]) -> None:
    features, _ = pair
    one, other = NpzJsonlReader().read(features)
    assert one.keys() == {"vectors", "place"} and other["place"] == f"{features}: recording 2"
    assert other["vectors"].tolist() == [[4, 5], [6, 7], [8, 9]]
