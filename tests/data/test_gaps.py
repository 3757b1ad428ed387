"""What is missing in a series, as data: which values were seen, how long ago, and rows that times leave out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recurra.data.batching.layout import Layout
from recurra.data.batching.windows import Windows
from recurra.data.gaps import since_seen
from recurra.data.readers.series import SeriesReader
from recurra.data.times import times_between
from recurra.errors import ConfigError, DataError


def read(folder: Path, text: str, **settings: Any) -> dict[str, Any]:
    file = folder / "a.csv"
    file.write_text(text, encoding="utf-8")
    (example,) = SeriesReader(**{"missing": "seen", **settings}).read(file)
    return dict(example)


def test_since_is_the_recurrence_of_che_et_al() -> None:
    """2018, eq. 1: δ_t = dt_t + δ_{t−1} where the value was not seen at t − 1, else dt_t."""
    draw = np.random.default_rng(0)
    seen, dt = draw.integers(0, 2, (50, 3)).astype(float), draw.random(50) * 3
    before, rows = dt[0] * np.ones(3), []
    for t in range(50):
        if t:
            before = dt[t] + np.where(seen[t - 1] > 0, 0, before)
        rows.append(before)
    assert np.allclose(since_seen(seen, dt), rows, atol=1e-12)


def test_values_that_are_missing_are_said(tmp_path: Path) -> None:
    found = read(tmp_path, "v,w\n,1\n2,NA\n?,nan\n8,4\n")
    assert np.array_equal(found["series"], [[2, 1], [2, 1], [2, 1], [8, 4]])
    assert np.array_equal(found["seen"], [[0, 1], [1, 0], [0, 0], [1, 1]])
    assert np.array_equal(found["since"], [[1, 1], [2, 1], [1, 2], [2, 3]])
    assert np.array_equal(found["dt"], np.ones(4))
    assert "seen" not in read(tmp_path, "v\n1\n2\n", missing="forward")


ROWS = "date,v\n2020-01-01 00:00,1\n2020-01-01 01:00,\n2020-01-01 04:00,3\n2020-01-01 05:00,4\n"


def test_rows_that_are_missing_are_steps_of_another_length(tmp_path: Path) -> None:
    found = read(tmp_path, ROWS)
    assert np.array_equal(found["dt"], [1, 1, 3, 1]) and np.array_equal(found["seen"][:, 0], [1, 0, 1, 1])
    assert np.array_equal(found["since"][:, 0], [1, 1, 4, 1]) and found["step"] == "1 hour"
    uneven = read(tmp_path, "time,v\n0,1\n2,1\n2.5,1\n4.5,1\n6.5,1\n", time=1)
    assert np.allclose(uneven["dt"], [1, 1, 0.25, 1, 1])


def test_or_are_put_in_as_rows_without_a_value(tmp_path: Path) -> None:
    found = read(tmp_path, ROWS, every_step=True)
    assert np.array_equal(found["seen"][:, 0], [1, 0, 0, 0, 1, 1]) and np.array_equal(found["dt"], np.ones(6))
    assert np.array_equal(found["series"][:, 0], [1, 1, 1, 1, 3, 4])
    assert np.array_equal(found["since"][:, 0], [1, 1, 2, 3, 4, 1])
    assert found["times"] == [f"2020-01-01 0{hour}:00" for hour in range(6)]
    germans = read(
        tmp_path,
        "date,v\n01.02.2020,1\n03.02.2020,1\n04.02.2020,1\n05.02.2020,1\n",
        time_format="%d.%m.%Y",
        every_step=True,
    )
    assert germans["times"][1][:10] == "2020-02-02" and np.array_equal(germans["seen"][:, 0], [1, 0, 1, 1, 1])
    with pytest.raises(DataError, match=r"a\.csv:4: 0\.25 usual steps behind the time above it, expected a whole"):
        read(tmp_path, "time,v\n0,1\n2,1\n2.5,1\n4.5,1\n6.5,1\n", every_step=True)
    with pytest.raises(DataError, match=r"a\.csv:5: 1,000,001 usual steps behind .* Is the time right\?"):
        read(tmp_path, "time,v\n0,1\n1,1\n2,1\n1000003,1\n", every_step=True)
    with pytest.raises(ConfigError, match=r"reader\.every_step puts in rows .* 'refuse'\. Set it"):
        SeriesReader(every_step=True)
    (tmp_path / "a.csv").write_text("time,v\n0,1\n1,2\n2,3\n4,5\n", encoding="utf-8")
    (found,) = SeriesReader(missing="linear", every_step=True).read(tmp_path / "a.csv")
    assert found["series"][:, 0].tolist() == [1, 2, 3, 4, 5] and "seen" not in found


def test_what_no_filling_mends(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="2020-01-01 repeats the time before it"):
        read(tmp_path, "date,v\n2020-01-01,1\n2020-01-01,2\n")
    with pytest.raises(DataError, match="no value of v at all"):
        read(tmp_path, "v,w\n,1\n,2\n")
    with pytest.raises(DataError, match=r"is not one step behind .* --set reader\.missing=seen, or put in the rows"):
        read(tmp_path, ROWS, missing="forward")


@pytest.mark.parametrize(
    ("times", "places", "between"),
    [
        (("2020-01-31", "2020-03-31"), (0, 2), ["2020-02-29"]),
        (("2020-11-15", "2021-02-15"), (0, 3), ["2020-12-15", "2021-01-15"]),
        (("2020-01-01T00:00Z", "2020-01-01T02:00Z"), (0, 2), ["2020-01-01T01:00:00+00:00"]),
        (("0.5", "2.5"), (0, 4), ["1", "1.5", "2"]),
    ],
)
def test_times_of_rows_that_are_put_in(times: tuple[str, ...], places: tuple[int, ...], between: list[str]) -> None:
    assert times_between(times, places) == [times[0], *between, times[1]]


def test_windows_say_which_of_their_targets_were_seen() -> None:
    seen = np.random.default_rng(0).integers(0, 2, (30, 2)).astype(np.float32)
    encoded = {"place": "a", "input": np.arange(60, dtype=np.float32).reshape(30, 2), "seen": seen}
    layouts = {"input": Layout((None, 2), along=True), "seen": Layout((None, 2), along=True, following="target_seen")}
    for batch in Windows(steps=7, size=3, stride=2).batches([encoded], layouts):
        for b in range(len(batch.fields["input"])):
            n = 7 if batch.structure.values is None else int(batch.structure.values[b])
            start = int(batch.fields["input"][b, 0, 0]) // 2
            assert np.array_equal(batch.fields["seen"][b, :n], seen[start : start + n])
            assert np.array_equal(batch.fields["target_seen"][b, :n], seen[start + 1 : start + 1 + n])
