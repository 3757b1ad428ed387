"""A picture as rows of coloured pixels, all of one size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from recurra.data.pictures import opened_picture
from recurra.data.squares import COLOURS, square_of
from recurra.errors import ConfigError, DataError
from recurra.registry import part

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

SMALLEST, LARGEST = 8, 512


@part("codec", "picture")
class PictureCodec:
    """A picture as a square of `side` × `side` pixels: its rows from the top [side, 3 · side], each pixel's red, green
    and blue beside each other, 0 to 255.

    A picture is a value uint8 [H, W, 3], or grey [H, W], which is taken for a coloured one. With `fit` "crop" its
    middle is taken, as wide as it is high, with "squeeze" all of it, made square. Pixels are averaged where it shrinks,
    and lie on straight lines between each other where it grows.

    Learns nothing. `encode` raises `DataError` for what is no such picture.
    """

    forms: ClassVar[tuple[str, ...]] = ("image",)
    dtype: ClassVar[type[np.generic]] = np.uint8
    padding: ClassVar[float] = 0
    bounds: ClassVar[tuple[float, float]] = (0.0, 255.0)
    comes_back: ClassVar[bool] = False

    def __init__(self, side: int = 64, fit: Literal["crop", "squeeze"] = "crop") -> None:
        if not SMALLEST <= side <= LARGEST:
            raise ConfigError(f"input.side = {side}, expected {SMALLEST} to {LARGEST} pixels.")
        self.side, self.fit_by = side, fit

    @property
    def size(self) -> int:
        return COLOURS * self.side

    @property
    def shape(self) -> tuple[int | None, ...]:
        return (self.side, self.size)

    def fit(self, values: Iterable[Any]) -> Self:
        return self

    def opened(self, raw: bytes, name: str = "the picture") -> NDArray[np.uint8]:
        """The picture in the bytes of a file. Raises `DataError` for what is none."""
        return opened_picture(raw, name, colour=True)

    def encode(self, value: Any) -> NDArray[np.uint8]:
        return square_of(value, self.side, self.fit_by)

    def shortened(self, value: Any, steps: int) -> Any:
        """The picture as it is: all of it is read in as many rows."""
        return value

    def decode(self, array: ArrayLike) -> NDArray[np.uint8]:
        """The picture [side, side, 3], as it is read."""
        rows = np.asarray(array)
        if rows.shape != self.shape:
            raise DataError(f"an array of the shape {list(rows.shape)}, expected {list(self.shape)}.")
        found: NDArray[np.uint8] = rows.astype(np.uint8).reshape(self.side, self.side, COLOURS)
        return found

    def record(self) -> dict[str, Any]:
        return {"kind": "picture", "settings": {"side": self.side, "fit": self.fit_by}}

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {}

    def restore(self, record: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        return self
