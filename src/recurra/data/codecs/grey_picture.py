"""A picture of a size that all have, as its rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from recurra.data.as_arrays import array_in
from recurra.data.pictures import opened_picture
from recurra.errors import CheckpointError, DataError
from recurra.registry import part

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

LARGEST = 512
"""Pixels of a side."""
BRIGHT = 255


@part("codec", "grey-picture")
class GreyPicture:
    """Grey pictures uint8 [H, W], all of one size, as [H, W] of 0 (dark) to 1 (bright); a step is a row.

    It learns the size. `fit` raises `DataError` for pictures of several sizes, and of more than `LARGEST` pixels a
    side; `encode` for one of another size than the training's, and for what is no such picture. Nothing is scaled or
    cut: what would have to be left out of a picture is not for a reader of pictures to say.
    """

    forms: ClassVar[tuple[str, ...]] = ("image",)
    dtype: ClassVar[type[np.generic]] = np.float32
    padding: ClassVar[float] = 0.0
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    sample: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "image": tuple((np.arange(12, dtype=np.uint8).reshape(3, 4) * factor) for factor in (1, 9, 23))
    }
    """Values to try it with."""

    def __init__(self) -> None:
        self.height, self.width = 0, 0

    @property
    def size(self) -> int:
        return self.width

    @property
    def shape(self) -> tuple[int | None, ...]:
        return (self.height, self.width)

    def fit(self, values: Iterable[Any]) -> Self:
        """Take the size. Raises `DataError` where there is none, or more than one."""
        found: dict[tuple[int, int], int] = {}
        for value in values:
            H, W = _grey(value).shape
            found[H, W] = found.get((H, W), 0) + 1
        if not found:
            raise DataError("the training data hold no picture. Is the right field read?")
        if len(found) > 1:
            (H, W), (other_H, other_W) = sorted(found, key=lambda size: -found[size])[:2]
            raise DataError(
                f"some pictures are {W} pixels wide and {H} high, others {other_W} and {other_H}: expected one size of "
                "all. Scale them to one, or leave the others out."
            )
        ((H, W),) = found
        if max(H, W) > LARGEST:
            raise DataError(
                f"the pictures are {W:,} pixels wide and {H:,} high, expected {LARGEST} at most of a side. Make them "
                "smaller."
            )
        self.height, self.width = H, W
        return self

    def opened(self, raw: bytes, name: str = "the picture") -> NDArray[np.uint8]:
        """The picture in the bytes of a file. Raises `DataError` for what is none."""
        return opened_picture(raw, name)

    def encode(self, value: Any) -> NDArray[np.float32]:
        grey = _grey(value)
        if grey.shape != (self.height, self.width):
            raise DataError(
                f"a picture {grey.shape[1]:,} pixels wide and {grey.shape[0]:,} high, expected {self.width} and "
                f"{self.height} as in the training data. Scale it to that size."
            )
        return grey.astype(np.float32) / np.float32(BRIGHT)

    def decode(self, array: ArrayLike) -> NDArray[np.uint8]:
        """The picture of [H, W] from 0 to 1."""
        rows = np.asarray(array, np.float64)
        if rows.shape != (self.height, self.width):
            raise DataError(f"an array of the shape {list(rows.shape)}, expected {[self.height, self.width]}.")
        return np.rint(BRIGHT * rows.clip(0, 1)).astype(np.uint8)

    def record(self) -> dict[str, Any]:
        return {"kind": "grey-picture", "settings": {}, "height": self.height, "width": self.width}

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {}

    def restore(self, record: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        height, width = record.get("height"), record.get("width")
        for side in (height, width):
            if not isinstance(side, int) or isinstance(side, bool) or not 1 <= side <= LARGEST:
                raise CheckpointError(f"a record of pictures has their height and width, 1 to {LARGEST} pixels.")
        self.height, self.width = int(str(height)), int(str(width))
        return self


def _grey(value: Any) -> NDArray[np.uint8]:
    array = array_in(value)
    if array.dtype != np.uint8 or array.ndim != 2 or not array.size:
        raise DataError(
            f"an array of {array.dtype.name} and the shape {list(array.shape)}, expected a grey picture: bytes [H, W]."
        )
    grey: NDArray[np.uint8] = array
    return grey
