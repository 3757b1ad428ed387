"""A line of writing in a picture as a sequence of its columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from recurra.data.line_columns import columns_of
from recurra.data.pictures import opened_picture
from recurra.errors import ConfigError, DataError
from recurra.registry import part

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

TALLEST = 1024


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
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
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
        return columns_of(value, **self.record()["settings"])

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
