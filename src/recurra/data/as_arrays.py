"""Values that somebody gives as lists, as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.errors import DataError


def array_in(value: Any) -> NDArray[Any]:
    """A value as an array. Raises `DataError` for lists that make none: rows of unequal length."""
    try:
        return np.asarray(value)
    except ValueError as error:
        raise DataError("rows of unequal length, which make no array. Give each as many numbers.") from error
