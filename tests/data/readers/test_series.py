"""Tables of numbers: what is read of them, and one sentence for what cannot be."""

from __future__ import annotations

import gzip
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recurra.data.readers.series import SeriesReader
from recurra.errors import ConfigError, DataError


def read(folder: Path, text: str, **settings: Any) -> dict[str, Any]:
    file = folder / "a.csv"
    file.write_text(text, encoding="utf-8")
    (example,) = SeriesReader(**settings).read(file)
    return dict(example)


def test_columns_beside_times(tmp_path: Path) -> None:
    found = read(tmp_path, "date,a,b\n2020-01-01 00:00,1,2.5\n2020-01-01 01:00,-3,4e2\n")
    assert found["names"] == ["a", "b"] and found["times"] == ["2020-01-01 00:00", "2020-01-01 01:00"]
    assert np.array_equal(found["series"], [[1, 2.5], [-3, 400]]) and found["place"] == f"{tmp_path / 'a.csv'}:2"


def test_chosen_columns_without_header_and_times(tmp_path: Path) -> None:
    text = "1;2;3;\n4;5;6;\n"
    assert np.array_equal(read(tmp_path, text)["series"], [[1, 2, 3], [4, 5, 6]])
    found = read(tmp_path, text, columns=(3, 1), time=2)
    assert np.array_equal(found["series"], [[3, 1], [6, 4]]) and found["names"] == ["3", "1"]
    assert found["times"] == ["2", "5"]
    named = read(tmp_path, "x\ty\n1\t2\n", columns=("y",), time="none")
    assert np.array_equal(named["series"], [[2]]) and "times" not in named


def test_a_column_without_a_name_is_called_by_its_number(tmp_path: Path) -> None:
    assert read(tmp_path, ",v\n0,1\n1,2\n")["names"] == ["1", "v"]


def test_a_packed_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"v\n1\n2\n"))
    (example,) = SeriesReader().read(tmp_path / "a.csv.gz")
    assert np.array_equal(example["series"], [[1], [2]])


@pytest.mark.parametrize(
    "times",
    [
        ("2020-01-31", "2020-02-29", "2020-03-31"),
        ("2020-01-01", "2020-02-01", "2020-03-01"),
        ("2020-02-28", "2020-02-29", "2020-03-01"),
        ("1", "1.5", "2"),
        ("2020-01-31 00:00", "2020-01-31 01:00", "2020-01-31 02:00"),
        ("9999-12-30", "9999-12-31"),
    ],
)
def test_equal_steps(tmp_path: Path, times: tuple[str, ...]) -> None:
    """Months and their ends are equal steps, too."""
    assert read(tmp_path, "time,v\n" + "".join(f"{time},1\n" for time in times))["times"] == [*times]


def test_gaps_are_filled_as_asked(tmp_path: Path) -> None:
    text = "v,w\n,1\n2,NA\n?,nan\n8,4\n"
    with pytest.raises(DataError, match=r"a\.csv:2: no value of v, and 4 values missing in all\. Fill them: --set"):
        read(tmp_path, text)
    assert np.array_equal(read(tmp_path, text, missing="forward")["series"], [[2, 1], [2, 1], [2, 1], [8, 4]])
    assert np.array_equal(read(tmp_path, text, missing="linear")["series"], [[2, 1], [2, 2], [5, 3], [8, 4]])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,x\n", r":2: 'x' is no number\. Leave the column out"),
        ('a;b\n1;"2,5"\n', r":2: '2,5' is no number\. Write decimals with a point"),
        ('a;b\n1;"1,234,567.5"\n', r":2: '1,234,567\.5' is no number\. Write thousands without"),
        ("a,b\n1,inf\n", r":2: inf is not finite"),
        ("a,b\n1,2\n1\n", r":3: 1 cell, expected 2 as in the first line"),
        ("a,b\n", r"no row of numbers"),
        ("date,v\n2020-01-01,1\n2020-01-01,2\n", r":3: 2020-01-01 repeats the time before it"),
        ("date,v\n2020-01-02,1\n2020-01-01,2\n", r":3: 2020-01-01 lies before the time above it"),
        ("date,v\n2020-01-01,1\n2020-01-02,1\n2020-01-03,1\n2020-01-05,2\n", r":5: 2020-01-05 is not one step behind"),
        ("date,v\n2020-01-01,1\nlater,2\n", r":3: 'later' is no time, expected a date"),
        ("date,v\n2020-01-01T00:00Z,1\n2020-01-01T01:00,2\n", r":3: 2020-01-01T01:00 is without a time zone, unlike"),
        ("v,v\n1,2\n", r":1: two columns are called v"),
        ("v,w\nNA,1\n", r":2: no value of v, and 1 value missing"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read(tmp_path, text)


def test_columns_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"reader\.time = 'dat' is no column: did you mean 'date'\? The columns are date, v"
    ):
        read(tmp_path, "date,v\n2020-01-01,1\n", time="dat")
    with pytest.raises(ConfigError, match=r"reader\.columns = 3, but .* has 2 columns"):
        read(tmp_path, "date,v\n2020-01-01,1\n", columns=(3,))
    with pytest.raises(ConfigError, match=r"reader\.columns = 0, expected a column counted from 1"):
        SeriesReader(columns=(0,))
    with pytest.raises(DataError, match="no value of w at all"):
        read(tmp_path, "v,w\n1,\n2,\n", missing="linear")


def test_what_it_takes_by_its_contents(tmp_path: Path) -> None:
    for text, taken in (
        ("a,b\n1,2\n3,4\n", True),
        ("text,label\nx,y\nz,y\n", False),
        ("date,v\n2020-01-01,1\n2020-01-02,1\n", True),
    ):
        (tmp_path / "b.csv").write_text(text, encoding="utf-8")
        assert (SeriesReader().sniff(tmp_path / "b.csv") is not None) == taken


def test_a_long_table_is_several_series(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(
        "unique_id,ds,y\nb,2020-01-01,1\na,2020-01-01,5\nb,2020-01-02,2\na,2020-01-02,6\n", encoding="utf-8"
    )
    one, other = SeriesReader().read(file)
    assert (one["id"], other["id"]) == ("b", "a") and one["names"] == ["y"] and one["step"] == "1 day"
    assert one["series"].tolist() == [[1], [2]] and other["series"].tolist() == [[5], [6]]
    assert one["times"] == ["2020-01-01", "2020-01-02"] and other["place"] == f"{file}:3"
    (whole,) = SeriesReader(id="none", columns=("y",), time="none").read(file)
    assert whole["series"][:, 0].tolist() == [1, 5, 2, 6]
    file.write_text("shop,day,y\nb,2020-01-01,1\na,2020-01-01,\n", encoding="utf-8")
    with pytest.raises(DataError, match=r":3: no value of y of a, and 1 value missing"):
        list(SeriesReader(id="shop", time="day").read(file))


def test_times_in_several_columns_and_in_a_format_of_their_own(tmp_path: Path) -> None:
    found = read(
        tmp_path, "year,month,day,hour,v\n2020,1,31,23,1\n2020,2,1,0,2\n", time=("year", "month", "day", "hour")
    )
    assert found["times"] == ["2020-01-31 23:00", "2020-02-01 00:00"] and found["step"] == "1 hour"
    found = read(tmp_path, "t,v\n31.01.2020 23:30,1\n31.01.2020 23:45,2\n", time="t", time_format="%d.%m.%Y %H:%M")
    assert found["step"] == "15 minutes"
    with pytest.raises(DataError, match=r":3: 'x' is no time, expected a date like %d\.%m\.%Y\."):
        read(tmp_path, "t,v\n31.01.2020,1\nx,2\n", time="t", time_format="%d.%m.%Y")
    with pytest.raises(DataError, match=r"31\.01\.2020' is no time, .* --set reader\.time_format"):
        read(tmp_path, "date,v\n31.01.2020,1\n01.02.2020,2\n")
    with pytest.raises(ConfigError, match=r"reader\.time_format = 'dd/mm'"):
        SeriesReader(time_format="dd/mm")
    assert read(tmp_path, "Month,v\n1949-01,1\n1949-02,2\n")["step"] == "1 month"


def test_a_parquet_file_is_read_as_its_table(tmp_path: Path) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "a.parquet"
    times = [datetime(2020, 1, 1, hour) for hour in (0, 1, 2)]
    parquet.write_table(pyarrow.table({"unique_id": ["a", "a", "b"], "ds": times, "y": [1.5, None, -3.0]}), file)
    one, other = SeriesReader(missing="forward").read(file)
    assert one["series"].tolist() == [[1.5], [1.5]] and other["series"].tolist() == [[-3]] and one["step"] == "1 hour"
    assert SeriesReader().sniff(file)
    with pytest.raises(DataError, match=r"a\.parquet:3: no value of y of a"):
        list(SeriesReader().read(file))
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(DataError, match="is no Parquet file that can be read"):
        list(SeriesReader().read(file))


def test_a_name_before_the_numbers_is_asked_about(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.csv:2: 'H1' is no number\. .* reader\.kind=series-rows\. .* reader\.id=1"):
        read(tmp_path, "V1,V2,V3\nH1,1,2\nH2,3,4\n")
