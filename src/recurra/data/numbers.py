"""Numbers written as text."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.errors import DataError

_COMMA = re.compile(r"-?\d+,\d+")


def number_in(cell: str, place: str, where: str) -> float:
    """The number in a cell of a table. Raises `DataError`, naming its place, for none and for what is not finite."""
    written = cell.strip()
    if not written:
        raise DataError(f"{place}: no number, expected one {where}. Write one there, or leave the row out.")
    try:
        number = math.nan if "_" in written else float(written)
    except ValueError:
        number = math.nan
    if math.isinf(number) or written.lower() in ("nan", "-nan", "+nan"):
        raise DataError(f"{place}: {written} {where} is not finite, expected a number. Mend it, or leave the row out.")
    if math.isnan(number):
        move = "Write a point in place of the comma." if _COMMA.fullmatch(written) else "Is the right column named?"
        raise DataError(f"{place}: {written[:40]!r} {where} is no number, expected one such as 8 or 3.5. {move}")
    return number


def numbers_of(text: str) -> NDArray[np.float64]:
    """The steps of a text of numbers: [T] of one line, or of lines of one number each; [T, D] of lines of D numbers.

    Numbers are parted by white space or commas. Raises `DataError` for anything else, and for lines of unequal length.
    """
    rows = [line.replace(",", " ").split() for line in text.splitlines() if line.strip()]
    try:
        found: list[Any] = [[float(number) for number in row] for row in rows]
    except ValueError as error:
        raise DataError(
            f"{text[:40]!r} is not made of numbers ({error}), as this run reads. Write 1.5 2 2.5 …"
        ) from error
    if len({*map(len, found)}) > 1:
        raise DataError(f"lines of {sorted({*map(len, found)})} numbers, expected as many in each, one line a step.")
    if len(found) == 1 or (found and len(found[0]) == 1):
        found = [number for row in found for number in row]
    return np.asarray(found, np.float64)
