"""What the `.ts` and `.tsf` files of the time-series archives have in common: a header of `@` words, then lines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from recurra.data.files import shortened
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
            raise DataError(f"{path}:{line}: {shortened(text)}, expected a word with @ before @data. Is a # missing?")
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
