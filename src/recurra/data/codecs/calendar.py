"""Where a time stands in its day, week, month and year."""

from __future__ import annotations

import math
from calendar import monthrange
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from recurra.data.times import moment
from recurra.errors import ConfigError, DataError, did_you_mean
from recurra.registry import part

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

DAY = 24 * 60
PLACES: Mapping[str, Callable[[datetime], float]] = {
    "hour": lambda at: (60 * at.hour + at.minute) / DAY,
    "weekday": lambda at: (at.weekday() + (60 * at.hour + at.minute) / DAY) / 7,
    "day": lambda at: (at.day - 1) / monthrange(at.year, at.month)[1],
    "month": lambda at: (at.month - 1 + (at.day - 1) / monthrange(at.year, at.month)[1]) / 12,
}
"""The part of its period, from 0 to below 1, that a time has behind it."""


@part("codec", "calendar")
class Calendar:
    """sin 2πφ and cos 2πφ of each of `names`, "hour", "weekday", "day" and "month", φ the part of the day, week, month
    or year that a time has behind it: [T, 2 · names], float32.

    With `ahead` it is that of so many times behind the last one, by the last step there is: [ahead, 2 · names]. A step
    from one day of a month to the same of the next is a month. Times are dates as in ISO 8601.

    Raises ConfigError for a name that it does not know, `encode` DataError for times that are no dates, and for fewer
    than two where those behind them are asked for.
    """

    forms: ClassVar[tuple[str, ...]] = ("times",)
    dtype: ClassVar[type[np.generic]] = np.float32
    padding: ClassVar[float] = 0.0
    comes_back: ClassVar[bool] = False
    """Many times have the same place."""

    def __init__(self, names: tuple[str, ...] = ("hour", "weekday"), ahead: int = 0) -> None:
        for name in names:
            if name not in PLACES:
                raise ConfigError(f"calendar: {name!r} is no part of it{did_you_mean(name, list(PLACES))}")
        if not names or ahead < 0:
            raise ConfigError(f"a calendar of {len(names)} names and {ahead} steps ahead, expected one name or more.")
        self.names, self.ahead = tuple(names), ahead

    @property
    def size(self) -> int:
        return 2 * len(self.names)

    @property
    def shape(self) -> tuple[int | None, ...]:
        return (self.ahead or None, self.size)

    def fit(self, values: Iterable[Any]) -> Self:
        return self

    def encode(self, value: Sequence[str]) -> NDArray[np.float32]:
        """The sines of times, or of those behind them."""
        if not self.ahead:
            return self._sines([_date(each) for each in value])
        if len(value) < 2:
            raise DataError(f"{len(value)} times, expected two or more: the last step says what follows.")
        return self._sines(_behind(_date(value[-2]), _date(value[-1]), self.ahead))

    def _sines(self, times: Sequence[datetime]) -> NDArray[np.float32]:
        turns = np.array([[PLACES[name](at) for name in self.names] for at in times]).reshape(-1, len(self.names))
        return np.concatenate([np.sin(2 * math.pi * turns), np.cos(2 * math.pi * turns)], 1).astype(np.float32)

    def decode(self, array: ArrayLike) -> NDArray[np.float64]:
        """The sines themselves: many times have the same."""
        return np.asarray(array, np.float64)

    def record(self) -> dict[str, Any]:
        return {"kind": "calendar", "settings": {"names": list(self.names), "ahead": self.ahead}}

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {}

    def restore(self, record: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        return self


def _date(cell: str) -> datetime:
    found = moment(str(cell))
    if found is None:
        raise DataError(f"{cell!r} is no date as in ISO 8601, expected one of each step for its place in the calendar.")
    return found


def _behind(before: datetime, last: datetime, count: int) -> list[datetime]:
    """The times behind two that follow each other."""
    months = 12 * (last.year - before.year) + last.month - before.month
    alike = (before.day, before.time()) == (last.day, last.time())
    step = last - before
    if months and (alike or (_ends(before) and _ends(last))):
        return [_later(last, k * months, _ends(last) and _ends(before)) for k in range(1, count + 1)]
    try:
        return [last + k * step for k in range(1, count + 1)]
    except OverflowError as error:
        raise DataError(f"times behind {last} lie beyond the calendar.") from error


def _ends(at: datetime) -> bool:
    return at.day == monthrange(at.year, at.month)[1]


def _later(at: datetime, months: int, end: bool) -> datetime:
    year, month = divmod(12 * at.year + at.month - 1 + months, 12)
    try:
        last = monthrange(year, month + 1)[1]
        return at.replace(year=year, month=month + 1, day=last if end else min(at.day, last))
    except (ValueError, OverflowError) as error:
        raise DataError(f"times behind {at} lie beyond the calendar.") from error
