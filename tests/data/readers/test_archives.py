"""The files of the time-series archives: what is read of them, and one sentence for what cannot be."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recurra import registry
from recurra.errors import DataError

HEAD = "# a remark\n@problemName x\n@timeStamps false\n@classLabel true a b\n"


def read(kind: str, folder: Path, text: str, **settings: Any) -> list[dict[str, Any]]:
    (folder / "a.ts").write_text(text, encoding="utf-8")
    return [dict(each) for each in registry.construct("reader", {"kind": kind, **settings}).read(folder / "a.ts")]


def refused(kind: str, folder: Path, text: str, message: str, **settings: Any) -> None:
    with pytest.raises(DataError, match=re.escape(message)) as error:
        read(kind, folder, text, **settings)
    assert str(error.value).startswith(str(folder))


def test_dimensions_and_unequal_lengths(tmp_path: Path) -> None:
    first, second = read("ts", tmp_path, HEAD + "@data\n1,2,3:4,5,6:a\n\n-1e1,.5:7,8:b\n")
    assert np.array_equal(first["vectors"], [[1, 4], [2, 5], [3, 6]]) and first["label"] == "a"
    assert np.array_equal(second["vectors"], [[-10, 7], [0.5, 8]]) and second["place"] == f"{tmp_path / 'a.ts'}:8"


def test_a_file_in_gzip_and_one_without_labels(tmp_path: Path) -> None:
    (tmp_path / "b.ts.gz").write_bytes(gzip.compress(b"@problemName x\n@classLabel false\n@data\n1,2:3,4\n"))
    (found,) = registry.construct("reader", {"kind": "ts"}).read(tmp_path / "b.ts.gz")
    assert found.keys() == {"vectors", "place"} and np.array_equal(found["vectors"], [[1, 3], [2, 4]])


def test_missing_values_and_padding(tmp_path: Path) -> None:
    text = HEAD + "@data\n?,1,?,4,NaN:2,3,4,5,NaN:a\n"
    refused("ts", tmp_path, text, "a.ts:6: no value of dimension 1 of this sequence, and 2 values missing in all.")
    (found,) = read("ts", tmp_path, text, missing="linear")
    assert np.array_equal(found["vectors"], [[1, 2], [1, 3], [2.5, 4], [4, 5]])  # the padding is left out
    (found,) = read("ts", tmp_path, text, missing="forward")
    assert found["vectors"][:, 0].tolist() == [1, 1, 1, 4]


def test_times_with_values(tmp_path: Path) -> None:
    head = HEAD.replace("false", "true")
    text = head + "@data\n(0,1),(2.5,3):(0,4),(1,5),(2.5,6):a\n"
    text += "(2020-01-01 10:00:00,1),(2020-01-01 11:00:00,2):(0,3):b\n"
    first, second = read("ts", tmp_path, text, missing="forward")
    assert np.array_equal(first["vectors"], [[1, 4], [1, 5], [3, 6]])
    assert np.array_equal(second["vectors"], [[1, 3], [1, 3], [2, 3]]) and second["label"] == "b"
    refused("ts", tmp_path, head + "@data\n(1,1),(1,2):a\n", "a.ts:6: the time 1 does not rise")
    refused("ts", tmp_path, head + "@data\n1,2:a\n", "'1,2', expected pairs (time,value), as @timeStamps says.")
    refused("ts", tmp_path, head + "@data\n(1,1)(2,2):a\n", "'' before (2,2), expected (time,value),(time,value)…")
    refused("ts", tmp_path, head + "@data\n(x,1):a\n", "'x' is no time")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("@data\n1,2:3,4:a\n1,2:b\n", "a.ts:7: 1 dimension, expected 2 as the first sequence has."),
        ("@dimensions 3\n@data\n1:2:a\n", "a.ts:7: 2 dimensions, expected 3 as @dimensions says."),
        ("@data\n1,x:a\n", "a.ts:6: 'x' is no number"),
        ("@data\n1,1_0:a\n", "a.ts:6: '1_0' is no number"),
        ("@data\n1,inf:a\n", "a.ts:6: inf is not finite"),
        ("@data\n1,2:c\n", "a.ts:6: the label 'c', expected one of @classLabel: a, b."),
        ("@data\n1,2\n", "a.ts:6: the label '1,2', expected one of @classLabel: a, b."),
        ("@data\n?,?:a\n", "a.ts:6: no value that is known"),
        ("@data\n", "no sequence behind @data"),
        ("1,2:a\n", "a.ts:5: '1,2:a', expected a word with @ before @data."),
        ("", "no line @data"),
        ("@dimensions two\n@data\n1:a\n", "a.ts:5: @dimensions 'two', expected a whole number from 1."),
        ("@equalLength maybe\n@data\n1:a\n", "a.ts:5: @equallength 'maybe', expected true or false."),
        ("@equalLength true\n@seriesLength 2\n@data\n1,2,3:a\n", "3 steps, expected 2 as @seriesLength says."),
        ("@targetLabel true\n@data\n1:2\n", "numbers are the targets (@targetLabel), expected names"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, body: str, message: str) -> None:
    refused("ts", tmp_path, HEAD + body, message)


def test_a_second_file_has_the_dimensions_of_the_first(tmp_path: Path) -> None:
    for name, body in (("a", "1:2:a"), ("b", "1:b")):
        (tmp_path / f"{name}.ts").write_text(f"{HEAD}@data\n{body}\n")
    with pytest.raises(DataError, match=r"b\.ts:6: 1 dimension, expected 2 as the first sequence has\."):
        list(registry.construct("reader", {"kind": "ts"}).read(tmp_path / "a.ts", tmp_path / "b.ts"))


SERIES = "@relation x\n@attribute series_name string\n@attribute start date\n@attribute n numeric\n@frequency daily\n"


def test_series_of_the_forecasting_archive(tmp_path: Path) -> None:
    text = SERIES + "@data\nT1:1979-01-01 00-00-00:3:1,2,3\nT2:2000-02-03:?:-4,?,6\n"
    refused("tsf", tmp_path, text, "a.ts:8: no value of the series of T2, and 1 value missing in all.")
    first, second = read("tsf", tmp_path, text, missing="linear")
    assert first["names"] == ["T1"] and np.array_equal(first["series"], [[1], [2], [3]])
    assert np.array_equal(second["series"], [[-4], [1], [6]]) and second["place"].endswith("a.ts:8")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("@data\nT1:2000-01-01:1,2\n", "a.ts:7: 2 attributes before the values, expected 3: series_name, start, n."),
        ("@data\nT1:soon:1:1,2\n", "a.ts:7: 'soon' is no time"),
        ("@data\nT1:2000-01-01:1:1,x\n", "a.ts:7: 'x' is no number"),
        ("@data\nT1:2000-01-01:1:?\n", "a.ts:7: no value that is known"),
        ("@attribute odd text\n@data\n", "a.ts:6: @attribute 'odd text', expected a name and string, numeric, date."),
        ("@data\n", "no series behind @data"),
    ],
)
def test_series_that_cannot_be_read(tmp_path: Path, body: str, message: str) -> None:
    refused("tsf", tmp_path, SERIES + body, message)


def test_a_short_line_does_not_stand_for_a_large_array(tmp_path: Path) -> None:
    line = ":".join("1" for _ in range(5_000)) + ":" + ",".join("1" for _ in range(5_000))
    refused("ts", tmp_path, HEAD + f"@data\n{line}:a\n", "5,001 dimensions with 5,000 steps between them")


def test_differences_stand_beside_numbers(tmp_path: Path) -> None:
    (found,) = read("ts", tmp_path, HEAD + "@data\n1,3,2:4,4,9:a\n", differences=True)
    assert found["vectors"].tolist() == [[1, 4, 0, 0], [3, 4, 2, 0], [2, 9, -1, 5]]
