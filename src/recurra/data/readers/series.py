"""Series of numbers in a table: a row a step, a column a variable, maybe one of times and one of the series' names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from recurra.data.column import check_column, from_left
from recurra.data.files import check_encoding, counted, head_lines, read_lines, shortened
from recurra.data.gaps import lines_of, rows_with_gaps, since_seen, with_rows
from recurra.data.parquet import is_parquet, parquet_rows
from recurra.data.sample import Sample
from recurra.data.table_cells import (
    SEPARATORS,
    Filling,
    cells_of,
    filled,
    is_missing,
    number_in,
    separator_of,
    value_of,
)
from recurra.data.times import check_time_format, check_times, moment, time_steps, times_between
from recurra.errors import ConfigError, DataError, did_you_mean
from recurra.registry import part
from recurra.types import Example

TIMES = ("date", "time", "datetime", "timestamp", "month", "ds")
"""What a column of times is called, in any case."""
NAMES = ("unique_id", "series_id", "item_id", "series")
"""What a column of the series' names is called, in any case."""


@part("reader", "series")
class SeriesReader:
    """One example a file, or of a long table one a series: the `series` of its columns of numbers, [T, W], their
    `names`, the `times` and the usual `step` where there is a column of times, the `id` where there is one of names,
    and the `place`.

    `columns` are those of numbers, by the name in the header or by number from 1; "auto": all but those of times, names
    and what stands beside: `past`, columns that are known up to now, [T, P] of the example, and `known`, those whose
    later values are known, [T, K]; of rows at the end in which the others are all empty they are `known_to_come`.
    `time` is the column of times, "none" where there is none; "auto": the first, or the one beside the series' names,
    if it is called a time or holds dates. Several columns are put together: year, month, day and hour, then minute and
    second. Times are dates as in ISO 8601 or as `time_format` says (Python's signs, "%d.%m.%Y %H:%M"), or numbers; they
    must rise by equal steps. Months and years are equal steps, too. `id` is the column that says which series a row
    belongs to, "none" where all are of one; "auto": a first column called unique_id, series_id, item_id or series. Rows
    of different series may be mixed.
    `header` "auto": the first line is one unless it holds numbers. `separator` is told by the first line.
    `missing` says what becomes of empty cells, NA and the like: they are refused, or filled "forward" from the value
    before, or on a straight line between the values at both sides ("linear", which looks ahead); in front of the first
    value there is by that one, behind the last by that. "keep" leaves them NaN. With "seen" they are data: filled
    forward, and said in three more fields, in units of the usual step: `seen` [T, W], 1 where a value is there and 0
    where one stands for it, `since` [T, W], how long ago it was last seen, and `dt` [T], the time since the row before.
    Times may then be any that rise. With `every_step` those that they leave out are put in, as rows in which nothing is
    seen, to be filled like empty cells.
    A column without a name is called by its number. A file called .parquet is read with pyarrow (an extra).

    Raises `DataError` for a cell that is no number, for another number of cells, for two columns of one name, for times
    that repeat, go back, leave one out or are of a time zone here and of none there, for missing values unless they are
    filled, and for a file without numbers.
    """

    recipe = "forecast"
    fields: ClassVar[Mapping[str, str]] = {
        "series": "vectors",
        "times": "times",
        "past": "vectors",
        "known": "vectors",
        "known_to_come": "later",
        "seen": "vectors",
        "since": "vectors",
        "dt": "numbers",
    }
    sample: ClassVar[Sample] = Sample({"a.csv": "date,größe\n2020-01-01,1\n2020-01-02,2.5\n2020-01-03,4\n"}, 1)

    def __init__(
        self,
        encoding: str = "utf-8",
        columns: tuple[str | int, ...] | Literal["auto"] = "auto",
        time: str | int | tuple[str | int, ...] | None = "auto",
        id: str | int = "auto",
        separator: Literal["auto", "tab", "comma", "semicolon"] = "auto",
        header: bool | Literal["auto"] = "auto",
        missing: Literal[Filling, "seen"] = "refuse",
        every_step: bool = False,
        time_format: str = "iso",
        past: tuple[str | int, ...] = (),
        known: tuple[str | int, ...] = (),
    ) -> None:
        times = time if isinstance(time, tuple) else ("none" if time is None else time,)
        if not 1 <= len(times) <= 6:
            raise ConfigError(f"reader.time names {counted(len(times), 'column')}, expected 1 to 6: year to second.")
        several = [("columns", each) for each in columns if columns != "auto"]
        several += [("past", each) for each in past] + [("known", each) for each in known]
        for name, column in (("id", id), *(("time", each) for each in times), *several):
            if not isinstance(column, str):
                check_column(name, column)
        self.encoding = check_encoding(encoding)
        self.columns, self.times, self.id = columns, times, id
        if every_step and missing == "refuse":
            raise ConfigError(
                "reader.every_step puts in rows without a value, but reader.missing = 'refuse'. Set it to 'seen', "
                "'forward' or 'linear'."
            )
        self.separator, self.header, self.missing, self.every_step = separator, header, missing, every_step
        self.time_format = check_time_format(time_format)
        self.past, self.known = past, known

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The series of the files, in the order given."""
        for path in map(Path, paths):
            yield from self._all(path)

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the file; None if its first lines are no numbers with or without times."""
        if is_parquet(Path(path)):
            return "a table, by its name"
        lines = [line for line in head_lines(Path(path), self.encoding) if line.strip()][:20]
        if len(lines) < 3:
            return None
        rows = [cells_of(line, separator_of(lines[0])) for line in lines]
        long = rows[0][0].lower() in NAMES and len(rows[1]) > 2
        rest = rows[1][2:] if long else rows[1][1:] if moment(rows[1][0]) is not None else rows[1]
        numbers = bool(rest) and all(number_in(cell) is not None or is_missing(cell) for cell in rest)
        same = len({len(row) for row in rows}) == 1 and any(number_in(cell) is not None for cell in rest)
        return "a table of numbers" if numbers and same else None

    def _all(self, path: Path) -> Iterator[Example]:
        rows, separator = self._rows(path)
        if all(len(cells) > 1 and cells[-1] == "" for _, cells in rows):  # a separator at the end of each line
            rows = [(line, cells[:-1]) for line, cells in rows]
        named = self.header if self.header != "auto" else not any(number_in(cell) is not None for cell in rows[0][1])
        names = [name or str(k) for k, name in enumerate(rows[0][1], 1)] if named else []
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise DataError(
                f"{path}:{rows[0][0]}: two columns are called {twice}, expected a name for each. Rename one."
            )
        place, rows = f"{path}:{rows[0][0]}", rows[1:] if named else rows
        if not rows:
            raise DataError(f"{path}: no row of numbers, expected one a step. Name another file.")
        width = len(names or rows[0][1])
        for line, cells in rows:
            if len(cells) != width:
                raise DataError(
                    f"{path}:{line}: {counted(len(cells), 'cell')}, expected {width} as in the first line. Is there a "
                    f"separator ({separator!r}) inside a cell, or one missing?"
                )
        id = self._id(names, width, place)
        times = self._times(names, rows[0][1], id, place)
        past, known = (
            [_column(setting, each, names, width, place) for each in chosen]
            for setting, chosen in (("past", self.past), ("known", self.known))
        )
        columns = self._columns(names, width, {*times, id, *past, *known}, place)
        read = {"series": columns, **({"past": past} if past else {}), **({"known": known} if known else {})}
        called = {key: [names[k] if named else str(k + 1) for k in some] for key, some in read.items()}
        if id is None and columns[0] == 0 and _is_name(rows[0][1][0]) and self.columns == "auto":
            raise DataError(
                f"{path}:{rows[0][0]}: {shortened(rows[0][1][0])} is no number. If it is the name of a series, and "
                "its numbers stand behind it: --set reader.kind=series-rows. If it says whose row this is: --set "
                "reader.id=1. Else leave it out: --set reader.columns=… names the others."
            )
        groups: dict[str, list[tuple[int, list[str]]]] = {}
        for line, cells in rows:
            groups.setdefault("" if id is None else cells[id], []).append((line, cells))
        for name, some in groups.items():
            example = self._series(some, read, called, times, path, name)
            yield example if id is None else {**example, "id": name}

    def _rows(self, path: Path) -> tuple[list[tuple[int, list[str]]], str]:
        """The cells of each row with its number, and what parts them in the file."""
        if is_parquet(path):
            return parquet_rows(path), ","
        lines = [(number, line) for number, line in read_lines(path, self.encoding) if line.strip()]
        if not lines:
            raise DataError(f"{path}: no row of numbers, expected one a step. Name another file.")
        separator = SEPARATORS.get(self.separator) or separator_of(lines[0][1])
        return [(number, cells_of(line, separator)) for number, line in lines], separator

    def _series(
        self,
        rows: Sequence[tuple[int, list[str]]],
        columns: Mapping[str, Sequence[int]],
        names: Mapping[str, list[str]],
        times: Sequence[int],
        path: Path,
        id: str,
    ) -> Example:
        lines = [line for line, _ in rows]
        named = [(f"{path}:{line}", cells) for line, cells in rows]
        values = {
            key: np.array([[value_of(cells[k], place) for k in some] for place, cells in named])
            for key, some in columns.items()
        }
        said: list[str] = []
        step, dt = "", np.ones(len(rows))
        if times:
            said = [_together([cells[column] for column in times]) for _, cells in rows]
            form = self.time_format if len(times) == 1 else "iso"
            if self.missing == "seen" or self.every_step:
                step, dt = time_steps(said, path, lines, form)
            else:
                step = check_times(said, path, lines, form)
            said = said if form == "iso" else [str(moment(each, form)) for each in said]
        if said and self.every_step:
            places = rows_with_gaps(dt, path, lines)
            values = {key: with_rows(some, places) for key, some in values.items()}
            lines, said = lines_of(lines, places), times_between(said, places.tolist())
            dt = np.ones(len(said))
        T = whole = len(dt)
        while "known" in values and T > 1 and np.isnan(values["series"][T - 1]).all():
            T -= 1
        more: dict[str, Any] = {}
        if self.missing == "seen":
            seen = (~np.isnan(values["series"][:T])).astype(float)
            more = {"seen": seen, "since": since_seen(seen, dt[:T]), "dt": dt[:T]}
        how: Filling = "forward" if self.missing == "seen" else self.missing
        read = {key: filled(some, how, names[key], path, lines, id) for key, some in _known(values, T).items()}
        example: dict[str, Any] = {key: some[:T] for key, some in read.items()} | {"names": names["series"]}
        if whole > T:
            example["known_to_come"] = read["known"][T:]
        if said:
            example |= {"times": said[:T], **({"step": step} if step else {})}
        return {**example, **more, "place": f"{path}:{lines[0]}"}

    def _id(self, names: Sequence[str], width: int, place: str) -> int | None:
        """The place of the column of the series' names; None where there is none."""
        if self.id == "none":
            return None
        if self.id != "auto":
            return _column("id", self.id, names, width, place)
        return 0 if width > 1 and names and names[0].lower() in NAMES else None

    def _times(self, names: Sequence[str], first: Sequence[str], id: int | None, place: str) -> list[int]:
        """The places of the columns of times; none where there are none."""
        if self.times == ("none",):
            return []
        if self.times != ("auto",):
            return [_column("time", each, names, len(first), place) for each in self.times]
        k = 0 if id != 0 else 1
        if k >= len(first):
            return []
        called = bool(names) and names[k].lower() in TIMES
        return [k] if called or (moment(first[k]) is not None and number_in(first[k]) is None) else []

    def _columns(self, names: Sequence[str], width: int, others: set[int | None], place: str) -> list[int]:
        if self.columns == "auto":
            found = [k for k in range(width) if k not in others]
        else:
            found = [_column("columns", each, names, width, place) for each in self.columns]
        if not found:
            raise DataError(f"{place}: no column of numbers. Name one: --set reader.columns=2")
        return found


def _is_name(cell: str) -> bool:
    return number_in(cell) is None and not is_missing(cell) and not cell[:1].isdigit()


def _known(values: Mapping[str, np.ndarray], T: int) -> dict[str, np.ndarray]:
    """The first T rows of all but what is known of later ones, too."""
    return {key: some if key == "known" else some[:T] for key, some in values.items()}


def _together(cells: Sequence[str]) -> str:
    """One time from its columns, year to second; a single one as it is."""
    if len(cells) == 1:
        return cells[0]
    year, month, day, *rest = [*cells, *("1",) * (3 - len(cells))]
    date = "-".join([year.zfill(4), month.zfill(2), day.zfill(2)])
    return f"{date} {':'.join(each.zfill(2) for each in (*rest, '0')[: max(2, len(rest))])}" if rest else date


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
