"""Pictures cut and made to squares of coloured pixels; what they are is said in the codec "picture"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.data.resized import averages, picture_in

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLOURS = 3
"""Numbers of a pixel: red, green and blue."""


def square_of(value: Any, side: int, fit: str) -> NDArray[np.uint8]:
    """The rows [side, 3 · side] of a picture uint8 [H, W] or [H, W, 3]. Raises `DataError` for what is none."""
    picture = picture_in(value)
    H, W = picture.shape[:2]
    if fit == "crop":
        least = min(H, W)
        top, left = (H - least) // 2, (W - least) // 2
        picture = picture[top : top + least, left : left + least]
        H = W = least
    if picture.ndim == 2:
        picture = picture[..., None].repeat(COLOURS, 2)
    if (side, side) == (H, W):
        return np.ascontiguousarray(picture.reshape(side, COLOURS * side))
    down, across = averages(H, side), averages(W, side).T
    colours = [down @ picture[:, :, c].astype(np.float32) @ across for c in range(COLOURS)]  # one by one: less memory
    levels = np.rint(np.stack(colours, 2)).clip(0, 255).astype(np.uint8)
    return np.ascontiguousarray(levels.reshape(side, COLOURS * side))


def shrunk(picture: NDArray[np.uint8], longest: int) -> NDArray[np.uint8]:
    """A picture [H, W, 3] whose longer side has no more than so many pixels."""
    H, W = picture.shape[:2]
    if max(H, W) <= longest:
        return picture
    height, width = (max(1, round(size * longest / max(H, W))) for size in (H, W))
    down, across = averages(H, height), averages(W, width).T
    colours = [down @ picture[:, :, c].astype(np.float32) @ across for c in range(COLOURS)]
    return np.rint(np.stack(colours, 2)).clip(0, 255).astype(np.uint8)
