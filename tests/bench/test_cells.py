"""What `recurra bench cells` measures, and that it does not measure what is wrong."""

from __future__ import annotations

import pytest

from recurra.bench import cells
from recurra.bench.cells import Shape, measure, multiplications
from recurra.errors import RecurraError
from recurra.registry import find


def test_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "check_cell", lambda name: None)
    rows = list(measure(["gru", "mgu"], [Shape(5, 4, 3, 8), Shape(10, 4, 3, 8, ragged=True)], [1], 0.1))
    assert [(row["cell"], row["shape"]) for row in rows] == [
        ("gru", "5,4,3,8"),
        ("mgu", "5,4,3,8"),
        ("gru", "10,4,3,8 ragged"),
        ("mgu", "10,4,3,8 ragged"),
    ]
    for row in rows:
        assert {"training", "inference"} <= row.keys() if row["cell"] == "gru" else "training" not in row
        assert all(row[name] > 0 for name in ("training ms", "inference ms", "share of sgemm", "bf16"))


def test_no_figure_while_the_suite_is_red(monkeypatch: pytest.MonkeyPatch) -> None:
    def red(name: str) -> None:
        raise AssertionError(f"{name}: differs")

    monkeypatch.setattr(cells, "check_cell", red)
    with pytest.raises(RecurraError, match=r"no figures for 'gru'.*gru: differs"):
        next(measure(["gru"], [Shape(5, 4, 3, 8)], [1], 0.1))


def test_multiplications() -> None:
    assert multiplications(find("cell", "lstm"), 3, 8) == 8 * (4 * 3 + 4 * 8)
    assert multiplications(find("cell", "gru-reset-before"), 3, 8) == 8 * (3 * 3 + 3 * 8)
    assert multiplications(find("cell", "min-gru"), 3, 8) == 8 * 2 * 3
