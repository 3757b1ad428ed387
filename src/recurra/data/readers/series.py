"""Series of numbers in a table: a row a step, a column a variable, maybe one of times."""

from __future__ import annotations

import math
import re
from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from recurra.data.column import check_column, from_left
from recurra.data.files import check_encoding, counted, head_lines, read_lines, shortened
from recurra.data.sample import Sample
from recurra.errors import ConfigError, DataError, did_you_mean
from recurra.registry import part
from recurra.types import Example

SEPARATORS = {"tab": "\t", "comma": ",", "semicolon": ";"}
MISSING = ("", "na", "n/a", "nan", "null", "none", "?")
"""What stands for a value that is not there, in any case."""
TIMES = ("date", "time", "datetime", "timestamp", "ds")
"""What a column of times is called, in any case."""
_DECIMAL_COMMA = re.compile(r"-?\d+,\d+")
_THOUSANDS = re.compile(r"-?\d{1,3}(,\d{3})+(\.\d+)?")


@part("reader", "series")
class SeriesReader:
    """One example a file: the `series` of its columns of numbers, [T, W], their `names`, the `times` where there is a
    column of them, and the `place`.

    `columns` are those of numbers, by the name in the header or by number from 1; "auto": all but that of times. `time`
    is the column of times, "none" where there is none; "auto": the first, if it is called a time or holds dates.
    Times are dates as in ISO 8601, or numbers; they must rise by equal steps. Months and years are equal steps, too.
    `header` "auto": the first line is one unless it holds numbers. `separator` is told by the first line.
    `missing` says what becomes of empty cells, NA and the like: they are refused, or filled "forward" from the value
    before, or on a straight line between the values at both sides ("linear", which looks ahead); in front of the first
    value there is by that one, behind the last by that.
    A column without a name is called by its number.

    Raises `DataError` for a cell that is no number, for another number of cells, for two columns of one name, for times
    that repeat, go back, leave one out or are of a time zone here and of none there, for missing values unless they are
    filled, and for a file without numbers.
    """

    recipe = "forecast"
    fields: ClassVar[Mapping[str, str]] = {"series": "vectors", "times": "times"}
    sample: ClassVar[Sample] = Sample({"a.csv": "date,größe\n2020-01-01,1\n2020-01-02,2.5\n2020-01-03,4\n"}, 1)

    def __init__(
        self,
        encoding: str = "utf-8",
        columns: tuple[str | int, ...] | Literal["auto"] = "auto",
        time: str | int = "auto",
        separator: Literal["auto", "tab", "comma", "semicolon"] = "auto",
        header: bool | Literal["auto"] = "auto",
        missing: Literal["refuse", "forward", "linear"] = "refuse",
    ) -> None:
        for name, column in (("time", time), *(("columns", each) for each in columns if columns != "auto")):
            if not isinstance(column, str):
                check_column(name, column)
        self.encoding = check_encoding(encoding)
        self.columns, self.time, self.separator, self.header, self.missing = columns, time, separator, header, missing

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The series of the files, in the order given."""
        for path in map(Path, paths):
            yield self._series(path)

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the file; None if its first lines are no numbers with or without times."""
        lines = [line for line in head_lines(Path(path), self.encoding) if line.strip()][:20]
        if len(lines) < 3:
            return None
        rows = [_cells(line, _separator(lines[0])) for line in lines]
        first = rows[1][1:] if _is_time(rows[1][0]) else rows[1]
        numbers = bool(first) and all(_number(cell) is not None or _is_missing(cell) for cell in first)
        same = len({len(row) for row in rows}) == 1 and any(_number(cell) is not None for cell in first)
        return "a table of numbers" if numbers and same else None

    def _series(self, path: Path) -> Example:
        lines = [(number, line) for number, line in read_lines(path, self.encoding) if line.strip()]
        if not lines:
            raise DataError(f"{path}: no row of numbers, expected one a step. Name another file.")
        separator = SEPARATORS.get(self.separator) or _separator(lines[0][1])
        rows = [(number, _cells(line, separator)) for number, line in lines]
        if all(len(cells) > 1 and cells[-1] == "" for _, cells in rows):  # a separator at the end of each line
            rows = [(line, cells[:-1]) for line, cells in rows]
        named = self.header if self.header != "auto" else not any(_number(cell) is not None for cell in rows[0][1])
        names = [name or str(k) for k, name in enumerate(rows[0][1], 1)] if named else []
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise DataError(
                f"{path}:{rows[0][0]}: two columns are called {twice}, expected a name for each. Rename one."
            )
        rows = rows[1:] if named else rows
        if not rows:
            raise DataError(f"{path}: no row of numbers, expected one a step. Name another file.")
        width = len(names or rows[0][1])
        time = self._time(names, rows[0][1], f"{path}:{rows[0][0]}")
        columns = self._columns(names, width, time, str(path))
        values = np.empty((len(rows), len(columns)))
        for k, (line, cells) in enumerate(rows):
            if len(cells) != width:
                raise DataError(
                    f"{path}:{line}: {counted(len(cells), 'cell')}, expected {width} as in the first line. Is there a "
                    f"separator ({separator!r}) inside a cell, or one missing?"
                )
            values[k] = [self._value(cells[column], f"{path}:{line}") for column in columns]
        called = [names[column] if named else str(column + 1) for column in columns]
        example = {"series": self._filled(values, called, path, [line for line, _ in rows]), "names": called}
        if time is not None:
            times = [cells[time] for _, cells in rows]
            _check_times(times, path, [line for line, _ in rows])
            example["times"] = times
        return {**example, "place": f"{path}:{rows[0][0]}"}

    def _time(self, names: Sequence[str], first: Sequence[str], place: str) -> int | None:
        """The place of the column of times; None where there is none."""
        if self.time == "none":
            return None
        if self.time != "auto":
            return _column("time", self.time, names, len(first), place)
        called = bool(names) and names[0].lower() in TIMES
        return 0 if called or (_is_time(first[0]) and _number(first[0]) is None) else None

    def _columns(self, names: Sequence[str], width: int, time: int | None, place: str) -> list[int]:
        if self.columns == "auto":
            found = [k for k in range(width) if k != time]
        else:
            found = [_column("columns", each, names, width, place) for each in self.columns]
        if not found:
            raise DataError(f"{place}: no column of numbers. Name one: --set reader.columns=2")
        return found

    def _value(self, cell: str, place: str) -> float:
        number = _number(cell)
        if number is None and _is_missing(cell):
            return math.nan
        if number is None:
            move = "Leave the column out: --set reader.columns=… names the others."
            if _THOUSANDS.fullmatch(cell):
                move = "Write thousands without separators."
            elif _DECIMAL_COMMA.fullmatch(cell):
                move = "Write decimals with a point."
            raise DataError(f"{place}: {shortened(cell)} is no number. {move}")
        if math.isinf(number):
            raise DataError(f"{place}: {cell} is not finite, expected a number. Leave it empty if it is not known.")
        return number

    def _filled(self, values: np.ndarray, names: Sequence[str], path: Path, lines: Sequence[int]) -> np.ndarray:
        gaps = np.isnan(values)
        if not gaps.any():
            return values
        row, column = map(int, np.argwhere(gaps)[0])
        if self.missing == "refuse":
            raise DataError(
                f"{path}:{lines[row]}: no value of {names[column]}, and {counted(int(gaps.sum()), 'value')} missing in "
                "all. Fill them: --set reader.missing=forward, or =linear"
            )
        for k, name in enumerate(names):
            known = np.flatnonzero(~gaps[:, k])
            if not len(known):
                raise DataError(f"{path}: no value of {name} at all. Leave the column out: --set reader.columns=…")
            if self.missing == "linear":
                values[:, k] = np.interp(np.arange(len(values)), known, values[known, k])
            else:
                before = np.maximum(np.searchsorted(known, np.arange(len(values)), side="right") - 1, 0)
                values[:, k] = values[known[before], k]
        return values


def _cells(line: str, separator: str) -> list[str]:
    """The cells of a row, without white space and quotation marks around them."""
    return [cell.strip().removeprefix('"').removesuffix('"').strip() for cell in line.split(separator)]


def _separator(line: str) -> str:
    return next((mark for mark in ("\t", ";", ",") if mark in line), ",")


def _number(cell: str) -> float | None:
    """A finite or infinite number; None of anything else, 1_000 included, which Python alone takes for one."""
    if "_" in cell or cell.strip().lower() in MISSING:
        return None
    try:
        return float(cell)
    except ValueError:
        return None


def _is_missing(cell: str) -> bool:
    return cell.strip().lower() in MISSING


def _is_time(cell: str) -> bool:
    return _moment(cell.strip()) is not None


def _moment(cell: str) -> datetime | None:
    try:
        return datetime.fromisoformat(cell)
    except ValueError:
        return None


def _column(setting: str, column: str | int, names: Sequence[str], width: int, place: str) -> int:
    if isinstance(column, str):
        if column not in names:
            known = f"The columns are {', '.join(names)}." if names else "There is no header: give a number from 1."
            raise DataError(f"{place}: reader.{setting} = {column!r} is no column{did_you_mean(column, names)} {known}")
        return list(names).index(column)
    found = from_left(column, width)
    if not 0 <= found < width:
        raise ConfigError(f"reader.{setting} = {column}, but {place} has {counted(width, 'column')}.")
    return found


def _check_times(times: Sequence[str], path: Path, lines: Sequence[int]) -> None:
    """Raise `DataError` where times are none, do not rise, or not by equal steps."""
    moments = [_moment(each) for each in times]
    dates = moments[0] is not None
    numbers = [_number(each) for each in times]
    for line, cell, moment, number in zip(lines, times, moments, numbers, strict=True):
        if (moment if dates else number) is None:
            what = "a date as in ISO 8601 (2020-01-31 12:00)" if dates or number is None else "a number"
            raise DataError(f"{path}:{line}: {shortened(cell)} is no time, expected {what}.")
    zoned = [each is not None and each.tzinfo is not None for each in moments]
    if dates and len(set(zoned)) > 1:
        k = zoned.index(not zoned[0])
        raise DataError(
            f"{path}:{lines[k]}: {times[k]} is {'in' if zoned[k] else 'without'} a time zone, unlike the first. Write "
            "one for all, or for none."
        )
    steps = _steps([each for each in moments if each]) if dates else np.diff([each or 0.0 for each in numbers]).tolist()
    usual = float(np.median(steps)) if steps else 0.0
    for line, cell, step in zip(lines[1:], times[1:], steps, strict=True):
        if step <= 0:
            how = "repeats the time before it" if step == 0 else "lies before the time above it"
            raise DataError(f"{path}:{line}: {cell} {how}, expected times that rise. Sort the rows, a row a time.")
        if not math.isclose(step, usual, rel_tol=1e-6):
            raise DataError(
                f"{path}:{line}: {cell} is not one step behind the time above it, as most others are. Write the rows "
                "that are missing, with empty cells, and --set reader.missing=forward"
            )


def _steps(moments: Sequence[datetime]) -> list[float]:
    """How far each time is from the next: in months where all are of one hour of one day of the month, or of its last;
    else in seconds."""
    ends = all(each.day == monthrange(each.year, each.month)[1] for each in moments)
    if len({(ends or each.day, each.time()) for each in moments}) == 1:
        return np.diff([12 * each.year + each.month for each in moments]).astype(float).tolist()
    return [(b - a).total_seconds() for a, b in pairwise(moments)]
