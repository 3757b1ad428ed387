"""A line of writing in a picture as a sequence of its columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from recurra.data.files import counted
from recurra.data.pictures import opened_picture
from recurra.errors import ConfigError, DataError
from recurra.registry import part

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Of red, green and blue in grey, as in ITU-R BT.601."""
FAINTEST = 8.0
"""Levels of 255 between background and ink, at least; where there are fewer a picture is blank."""
TALLEST = 1024
KEPT = 512
"""Pixels of a row up to which what they are averaged by is kept, half a megabyte each at most."""


@part("codec", "line-image")
class LineImage:
    """A picture of a line as its columns [W, height]: 0 is background, 1 is ink.

    A picture is a value uint8 [H, W] or [H, W, 3], which becomes grey. It is made `height` pixels high and as wide as
    that makes it: pixels are averaged where it shrinks, and lie on straight lines between each other where it grows.
    A picture that is then narrower than `narrowest` gets background behind its end; one wider than `widest` is refused.
    `ink` "dark" and "light" say which of the two writing is; "auto": dark where the picture's border is brighter than
    the whole. With `stretch` its levels, but for one in a hundred at either end, are drawn out to 0 and 1; a picture
    without any contrast is blank. `reads` "right-to-left" takes the columns from the right, so that those of a script
    that is written so come in the order of its text.

    Learns nothing. `encode` raises `DataError` for what is no such picture, and for one that is too wide.
    """

    forms: ClassVar[tuple[str, ...]] = ("image",)
    dtype: ClassVar[type[np.generic]] = np.float32
    padding: ClassVar[float] = 0.0
    comes_back: ClassVar[bool] = False
    unit_of_place: ClassVar[str] = "px"

    def __init__(
        self,
        height: int = 32,
        narrowest: int = 8,
        widest: int = 4000,
        ink: Literal["auto", "dark", "light"] = "auto",
        stretch: bool = True,
        reads: Literal["left-to-right", "right-to-left"] = "left-to-right",
    ) -> None:
        if not 4 <= height <= TALLEST:
            raise ConfigError(f"input.height = {height}, expected 4 to {TALLEST:,} pixels.")
        if not 1 <= narrowest <= widest:
            raise ConfigError(
                f"input.narrowest = {narrowest} and input.widest = {widest}, expected 1 or more columns, the second no "
                "fewer than the first."
            )
        self.height, self.narrowest, self.widest = height, narrowest, widest
        self.ink, self.stretch, self.reads = ink, stretch, reads

    @property
    def size(self) -> int:
        return self.height

    @property
    def shape(self) -> tuple[int | None, ...]:
        return (None, self.height)

    def fit(self, values: Iterable[Any]) -> Self:
        return self

    def opened(self, raw: bytes, name: str = "the picture") -> NDArray[np.uint8]:
        """The picture in the bytes of a file. Raises `DataError` for what is none."""
        return opened_picture(raw, name)

    def encode(self, value: Any) -> NDArray[np.float32]:
        grey = _grey(value)
        H, W = grey.shape
        width = max(1, round(W * self.height / H))
        if width > self.widest:
            raise DataError(
                f"a picture of {W:,} × {H:,} pixels is {counted(width, 'column')} at a height of {self.height}, "
                f"expected {self.widest:,} at most. Cut it into lines, or let it be so wide: "
                f"--set input.widest={width}"
            )
        dark = self.ink == "dark" or (self.ink == "auto" and _is_dark(grey))
        ink = 255 - grey if dark else grey
        lines = _weights(H, self.height) @ ink @ _weights(W, width).T  # [height, width]
        columns = self._levels(lines).T
        if self.reads == "right-to-left":
            columns = columns[::-1]
        behind = max(0, self.narrowest - width)
        return np.ascontiguousarray(np.pad(columns, ((0, behind), (0, 0))), np.float32)

    def decode(self, array: ArrayLike) -> NDArray[np.uint8]:
        """The picture [height, W] of columns: dark ink on white."""
        columns = np.asarray(array, np.float32)
        if columns.ndim != 2 or columns.shape[1] != self.height:
            raise DataError(f"an array of the shape {list(columns.shape)}, expected columns of {self.height} pixels.")
        if self.reads == "right-to-left":
            columns = columns[::-1]
        return np.rint(255 * (1 - columns.T.clip(0, 1))).astype(np.uint8)

    def place_of(self, value: Any, step: float) -> float:
        """The column of the picture, from its left, at which a column begins; read from the right, at which it ends."""
        H, W = np.asarray(value).shape[:2]
        column = min(float(W), step * W / max(1, round(W * self.height / H)))
        return W - column if self.reads == "right-to-left" else column

    def record(self) -> dict[str, Any]:
        said = {name: getattr(self, name) for name in ("height", "narrowest", "widest", "ink", "stretch", "reads")}
        return {"kind": "line-image", "settings": said}

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {}

    def restore(self, record: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        return self

    def _levels(self, ink: NDArray[np.floating]) -> NDArray[np.floating]:
        """Levels 0 to 255 as 0 to 1."""
        if not self.stretch:
            return ink / 255
        low, high = np.percentile(ink, (1, 99))
        low, high = (low, high) if high - low >= FAINTEST else (ink.min(), ink.max())  # a dot on a large white page
        if high - low < FAINTEST:
            return np.zeros_like(ink)
        found: NDArray[np.floating] = ((ink - low) / (high - low)).clip(0, 1)
        return found


def _grey(value: Any) -> NDArray[np.float32]:
    """A picture in grey, 0 to 255."""
    array = np.asarray(value)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3):
        raise DataError(
            f"{array.dtype.name} of the shape {list(array.shape)}, expected a picture: uint8 [height, width], or "
            "[height, width, 3] in colour."
        )
    if not array.size:
        raise DataError(f"a picture of {array.shape[1]} × {array.shape[0]} pixels, which is none.")
    grey = array.astype(np.float32)
    return grey if array.ndim == 2 else np.asarray(grey @ LUMA, np.float32)


def _is_dark(grey: NDArray[np.float32]) -> bool:
    """Whether ink is darker than what it is on: than the border, which seldom has any."""
    border = np.concatenate((grey[0], grey[-1], grey[:, 0], grey[:, -1]))
    return bool(np.median(border) >= grey.mean())


def _weights(pixels: int, wanted: int) -> NDArray[np.float32]:
    """`_averages`, kept where many pictures are likely to be of that size."""
    return _kept(pixels, wanted) if pixels <= KEPT else _averages(pixels, wanted)


@lru_cache(maxsize=512)
def _kept(pixels: int, wanted: int) -> NDArray[np.float32]:
    return _averages(pixels, wanted)


def _averages(pixels: int, wanted: int) -> NDArray[np.float32]:
    """How much of each of so many pixels in a row is in each of those wanted, [wanted, pixels], a sum of 1 each: a
    triangle about its middle, as wide as two pixels of the coarser of the two."""
    ratio = pixels / wanted
    middle = (np.arange(wanted) + 0.5) * ratio - 0.5
    far = np.abs(np.arange(pixels)[None] - middle[:, None]) / max(1.0, ratio)
    near = np.maximum(0, 1 - far)
    found: NDArray[np.float32] = (near / near.sum(1, keepdims=True)).astype(np.float32)
    return found
