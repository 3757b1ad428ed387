"""Pictures made larger or smaller: rows of pixels, each as shares of the pixels that were there."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.data.as_arrays import array_in
from recurra.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

KEPT_PIXELS = 512
"""Pixels of a row up to which what they are averaged by is kept, half a megabyte each at most."""


def picture_in(value: Any) -> NDArray[np.uint8]:
    """A picture, uint8 [H, W] or [H, W, 3]. Raises `DataError` for what is none."""
    array = array_in(value)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3):
        raise DataError(
            f"{array.dtype.name} of the shape {list(array.shape)}, expected a picture: uint8 [height, width], or "
            "[height, width, 3] in colour."
        )
    if not array.size:
        raise DataError(f"a picture of {array.shape[1]} × {array.shape[0]} pixels, which is none.")
    return array


def averages(pixels: int, wanted: int) -> NDArray[np.float32]:
    """How much of each of so many pixels in a row is in each of those wanted, [wanted, pixels], a sum of 1 each: a
    triangle about its middle, as wide as two pixels of the coarser of the two."""
    return _remembered(pixels, wanted) if pixels <= KEPT_PIXELS else _averages(pixels, wanted)


@lru_cache(maxsize=512)
def _remembered(pixels: int, wanted: int) -> NDArray[np.float32]:
    return _averages(pixels, wanted)


def _averages(pixels: int, wanted: int) -> NDArray[np.float32]:
    ratio = pixels / wanted
    middle = (np.arange(wanted) + 0.5) * ratio - 0.5
    far = np.abs(np.arange(pixels)[None] - middle[:, None]) / max(1.0, ratio)
    near = np.maximum(0, 1 - far)
    found: NDArray[np.float32] = (near / near.sum(1, keepdims=True)).astype(np.float32)
    return found
