"""What the `.ts` and `.tsf` files of the time-series archives have in common: a header of `@` words, then lines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recurra.data.files import counted, shortened
from recurra.errors import DataError

MISSING = ("?", "nan", "na", "")
"""What stands for a value that is not there, in any case."""
FORMS = ("%Y-%m-%d %H-%M-%S", "%Y-%m-%d %H:%M:%S")
"""Of times, beside ISO 8601 and plain numbers."""


Word = tuple[str, str, str]
"""A word of a header in lower case, what follows it, and its place."""


def header_of(path: Path, lines: Sequence[tuple[int, str]]) -> tuple[list[Word], Iterator[tuple[int, str]]]:
    """The `@` words of a file, and the numbered lines behind `@data` that are no remarks and not blank.

    Raises `DataError` where there is no `@data`, and for a line before it that is none of a header.
    """
    words: list[Word] = []
    for k, (line, text) in enumerate(lines):
        text = text.strip().replace("\t", " ")
        if not text or text.startswith("#"):
            continue
        if not text.startswith("@"):
            raise DataError(
                f"{path}:{line}: {shortened(text)}, expected a word with @ before @data. Is a # missing before a remark?"
            )
        word, _, value = text[1:].partition(" ")
        if word.lower() == "data":
            rest = ((n, each) for n, each in lines[k + 1 :] if each.strip() and not each.startswith("#"))
            return words, rest
        words.append((word.lower(), value.strip(), f"{path}:{line}"))
    raise DataError(f"{path}: no line @data, expected one in front of the values. Is the file whole?")


def yes(value: str, word: str, place: str) -> bool:
    """What stands behind a word that is true or false."""
    if value.lower() not in ("true", "false"):
        raise DataError(f"{place}: @{word} {shortened(value)}, expected true or false.")
    return value.lower() == "true"


def number(cell: str, place: str) -> float:
    """A value, NaN where it is missing. Raises `DataError` for what is no finite number."""
    cell = cell.strip()
    if cell.lower() in MISSING:
        return math.nan
    try:
        if "_" in cell:
            raise ValueError
        found = float(cell)
    except ValueError:
        raise DataError(f"{place}: {shortened(cell)} is no number, expected one, or ? where it is missing.") from None
    if not math.isfinite(found):
        raise DataError(f"{place}: {cell} is not finite, expected a number. Write ? where it is not known.")
    return found


def moment(cell: str, place: str) -> float:
    """A time as a number: as it is, or in seconds since 1970 where it is a date."""
    cell = cell.strip()
    try:
        found = float(cell)
    except ValueError:
        found = math.nan
        for form in (None, *FORMS):
            try:
                date = datetime.fromisoformat(cell) if form is None else datetime.strptime(cell, form)
                found = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
                break
            except (ValueError, OverflowError):
                continue
    if not math.isfinite(found):
        raise DataError(f"{place}: {shortened(cell)} is no time, expected a number or a date.")
    return found


def filled(values: NDArray[np.float64], how: str, place: str) -> NDArray[np.float64]:
    """Values [T, W] without gaps: refused, filled "forward", or "linear". Raises `DataError` for a column of none."""
    gaps = np.isnan(values)
    if how == "refuse" and gaps.any():
        row, column = map(int, np.argwhere(gaps)[0])
        raise DataError(
            f"{place}: no value at step {row + 1} of dimension {column + 1}, and {counted(int(gaps.sum()), 'value')} "
            "missing in all. Fill them: --set reader.missing=forward, or =linear"
        )
    for k in np.flatnonzero(gaps.any(0)):
        known = np.flatnonzero(~gaps[:, k])
        if not len(known):
            raise DataError(f"{place}: no value of dimension {k + 1} at all, expected some. Leave the line out.")
        if how == "linear":
            values[:, k] = np.interp(np.arange(len(values)), known, values[known, k])
        else:
            before = np.maximum(np.searchsorted(known, np.arange(len(values)), side="right") - 1, 0)
            values[:, k] = values[known[before], k]
    return values
