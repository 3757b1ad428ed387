"""Times of a series: read, checked for equal steps, and a step in words."""

from __future__ import annotations

import math
from calendar import monthrange
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np

from recurra.data.files import counted, shortened
from recurra.data.table_cells import number_in
from recurra.errors import ConfigError, DataError

UNITS = (("week", 604_800), ("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
"""Units of a step, and their seconds."""


def check_time_format(name: str) -> str:
    """Raise `ConfigError` for a format of times that says nothing; gives it. "iso" is ISO 8601."""
    if name != "iso" and "%" not in name:
        raise ConfigError(f'reader.time_format = {name!r}, expected "iso", or signs as in "%d.%m.%Y %H:%M".')
    return name


def moment(cell: str, form: str = "iso") -> datetime | None:
    """The date in a cell; None where it holds none. Months without a day are their first: 2020-01."""
    try:
        if form != "iso":
            return datetime.strptime(cell, form)
        return datetime.fromisoformat(f"{cell}-01" if len(cell) == 7 and cell[4] == "-" else cell)
    except ValueError:
        return None


def check_times(times: Sequence[str], path: Path, lines: Sequence[int], form: str = "iso") -> str:
    """The usual step in words, "" of numbers and of a single time.

    Raises `DataError` where times are none, do not rise, or not by equal steps.
    """
    said, dt = time_steps(times, path, lines, form)
    for line, cell, step in zip(lines[1:], times[1:], dt[1:], strict=True):
        if not math.isclose(step, 1, rel_tol=1e-6):
            raise DataError(
                f"{path}:{line}: {cell} is not one step behind the time above it, as most others are. Take it as it "
                "is: --set reader.missing=seen, or put in the rows that are missing: --set reader.every_step=true "
                "--set reader.missing=forward"
            )
    return said


def time_steps(times: Sequence[str], path: Path, lines: Sequence[int], form: str = "iso") -> tuple[str, np.ndarray]:
    """The usual step in words as of `check_times`, and how long before each time the one above it lies, in units of the
    usual step, 1 of the first: [T]. Raises `DataError` where times are none or do not rise."""
    moments = [moment(each, form) for each in times]
    dates = moments[0] is not None
    numbers = [number_in(each) for each in times]
    for line, cell, at, number in zip(lines, times, moments, numbers, strict=True):
        if (at if dates else number) is None:
            like = "as in ISO 8601 (2020-01-31 12:00)" if form == "iso" else f"like {form}"
            what = f"a date {like}" if dates or number is None else "a number"
            move = "" if dates or form != "iso" else ' Or say how it is written: --set reader.time_format="%d.%m.%Y"'
            raise DataError(f"{path}:{line}: {shortened(cell)} is no time, expected {what}.{move}")
    zoned = [each is not None and each.tzinfo is not None for each in moments]
    if dates and len(set(zoned)) > 1:
        k = zoned.index(not zoned[0])
        raise DataError(
            f"{path}:{lines[k]}: {times[k]} is {'in' if zoned[k] else 'without'} a time zone, unlike the first. Write "
            "one for all, or for none."
        )
    known = [each for each in moments if each]
    steps, monthly = _steps(known) if dates else (np.diff([each or 0.0 for each in numbers]).tolist(), False)
    usual = float(np.median(steps)) if steps else 0.0
    for line, cell, step in zip(lines[1:], times[1:], steps, strict=True):
        if step <= 0:
            how = "repeats the time before it" if step == 0 else "lies before the time above it"
            raise DataError(f"{path}:{line}: {cell} {how}, expected times that rise. Sort the rows, a row a time.")
    said = in_words(usual, monthly) if dates and steps else ""
    return said, np.concatenate(([1.0], np.asarray(steps) / usual if steps else []))


def times_between(times: Sequence[str], places: Sequence[int]) -> list[str]:
    """The times of all steps, those of a file standing at `places` from 0: between two of them at equal distances, in
    whole months where those are."""
    found: list[str] = []
    moments = [moment(each) for each in times]
    monthly = None not in moments and _steps([each for each in moments if each])[1]
    for k, (here, after) in enumerate(pairwise(places)):
        found.append(times[k])
        for part in range(1, after - here):
            a, b = moments[k], moments[k + 1]
            if a is None or b is None:
                low, high = float(times[k]), float(times[k + 1])
                found.append(f"{low + (high - low) * part / (after - here):g}")
                continue
            if monthly:
                months = 12 * a.year + a.month - 1
                months += round((12 * b.year + b.month - 1 - months) * part / (after - here))
                year, month = divmod(months, 12)
                last = monthrange(year, month + 1)[1]
                ends = a.day == monthrange(a.year, a.month)[1] and b.day == monthrange(b.year, b.month)[1]
                at = a.replace(year=year, month=month + 1, day=last if ends else min(a.day, last))
            else:
                at = a + (b - a) * part / (after - here)
            found.append(_written_like(at, times[k]))
    return [*found, times[-1]]


def _written_like(at: datetime, cell: str) -> str:
    """A date as ISO 8601, as short as another one is written."""
    said = at.isoformat(sep=cell[10] if len(cell) > 10 else " ")
    return said if at.tzinfo is not None else said[: len(cell)]


def in_words(step: float, months: bool = False) -> str:
    """A step of so many seconds, or months: "15 minutes"."""
    if months:
        years, rest = divmod(round(step), 12)
        return counted(years, "year") if not rest else counted(round(step), "month")
    unit, size = next(((unit, size) for unit, size in UNITS if step % size == 0), ("second", 1))
    return counted(round(step / size), unit) if step % size == 0 else f"{step:g} seconds"


def _steps(moments: Sequence[datetime]) -> tuple[list[float], bool]:
    """How far each time is from the next: in months where all are of one hour of one day of the month, or of its last;
    else in seconds; and which of both."""
    ends = all(each.day == monthrange(each.year, each.month)[1] for each in moments)
    if len({(ends or each.day, each.time()) for each in moments}) == 1:
        return np.diff([12 * each.year + each.month for each in moments]).astype(float).tolist(), True
    return [(b - a).total_seconds() for a, b in pairwise(moments)], False
