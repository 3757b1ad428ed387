"""The columns of a line of writing in a picture, as numbers; what they are is said in the codec "line-image"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.data.resized import averages, picture_in
from recurra.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Of red, green and blue in grey, as in ITU-R BT.601."""
FAINTEST = 8.0
"""Levels of 255 between background and ink, at least; where there are fewer a picture is blank."""


def columns_of(
    value: Any, height: int, narrowest: int, widest: int, ink: str, stretch: bool, reads: str
) -> NDArray[np.float32]:
    """The columns [W, height] of a picture uint8 [H, W] or [H, W, 3]. Raises `DataError` for what is none, and for one
    that is too wide."""
    grey = _grey(value)
    H, W = grey.shape
    width = max(1, round(W * height / H))
    if width > widest:
        raise DataError(
            f"a picture of {W:,} × {H:,} pixels is {width:,} columns at a height of {height}, expected {widest:,} at "
            f"most. Cut it into lines, or let it be so wide: --set input.widest={width}"
        )
    dark = ink == "dark" or (ink == "auto" and _is_dark(grey))
    drawn = 255 - grey if dark else grey
    lines = averages(H, height) @ drawn @ averages(W, width).T  # [height, width]
    columns = (_levels(lines) if stretch else lines / 255).T
    if reads == "right-to-left":
        columns = columns[::-1]
    behind = max(0, narrowest - width)
    return np.ascontiguousarray(np.pad(columns, ((0, behind), (0, 0))), np.float32)


def _levels(ink: NDArray[np.floating]) -> NDArray[np.floating]:
    """Levels 0 to 255 drawn out to 0 and 1."""
    low, high = np.percentile(ink, (1, 99))
    low, high = (low, high) if high - low >= FAINTEST else (ink.min(), ink.max())  # a dot on a large white page
    if high - low < FAINTEST:
        return np.zeros_like(ink)
    found: NDArray[np.floating] = ((ink - low) / (high - low)).clip(0, 1)
    return found


def _grey(value: Any) -> NDArray[np.float32]:
    """A picture in grey, 0 to 255."""
    grey = picture_in(value).astype(np.float32)
    return grey if grey.ndim == 2 else np.asarray(grey @ LUMA, np.float32)


def _is_dark(grey: NDArray[np.float32]) -> bool:
    """Whether ink is darker than what it is on: than the border, which seldom has any."""
    border = np.concatenate((grey[0], grey[-1], grey[:, 0], grey[:, -1]))
    return bool(np.median(border) >= grey.mean())
