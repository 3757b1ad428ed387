"""Numbers written as text."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.errors import DataError


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
