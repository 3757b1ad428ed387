"""What is missing in a series: which values were seen, how long ago, and rows that times leave out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recurra.errors import DataError

Numbers = NDArray[np.float64]
MOST_ROWS = 1_000_000
"""Rows that may be put in between two that a file has."""


def since_seen(seen: Numbers, dt: Numbers) -> Numbers:
    """How long before each step a value was last seen, [T, W], in units of the usual step: 1 where it was seen at the
    step before and that was a usual one. Before it is seen first it is counted from one step before the beginning.

    `seen` [T, W] holds 1 and 0, `dt` [T] the time since the step before.
    """
    time = np.cumsum(dt)[:, None]
    known = np.where(seen > 0, time, time[:1] - dt[:1])  # the time of what was seen, else of the beginning
    last = np.maximum.accumulate(known, 0)
    before = np.concatenate((np.broadcast_to(time[:1] - dt[:1], (1, seen.shape[1])), last[:-1]))
    since: Numbers = time - before
    return since


def rows_with_gaps(dt: Numbers, path: Path, lines: Sequence[int]) -> NDArray[np.int64]:
    """Where the rows of a file stand among all steps, from 0, when each left out between two of them is one.

    Raises `DataError` for a time that is no whole number of usual steps behind the one above, or too far.
    """
    steps = np.rint(dt)
    wrong = np.flatnonzero(~np.isclose(steps, dt, rtol=1e-6, atol=1e-6) | (steps < 1))
    if len(wrong):
        raise DataError(
            f"{path}:{lines[wrong[0]]}: {dt[wrong[0]]:g} usual steps behind the time above it, expected a whole "
            "number, so that rows can be put in between. Leave reader.every_step out: dt then says how far apart they "
            "are."
        )
    if (steps > MOST_ROWS).any():
        far = int(np.argmax(steps))
        raise DataError(
            f"{path}:{lines[far]}: {steps[far]:,.0f} usual steps behind the time above it, expected {MOST_ROWS:,} at "
            "most. Is the time right? Else leave reader.every_step out."
        )
    return np.cumsum(steps).astype(np.int64) - int(steps[0])


def with_rows(values: Numbers, places: NDArray[np.int64]) -> Numbers:
    """Rows at their places among all steps; those between hold NaN."""
    found = np.full((int(places[-1]) + 1, values.shape[1]), np.nan)
    found[places] = values
    return found


def lines_of(lines: Sequence[int], places: NDArray[np.int64]) -> list[int]:
    """The line of each step's row in its file; of a row that was put in, that of the row before."""
    rows = np.searchsorted(places, np.arange(int(places[-1]) + 1), side="right") - 1
    return [lines[row] for row in rows]
