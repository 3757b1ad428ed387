"""Pictures side by side, and as files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.data.pictures import pillow
from recurra.errors import ConfigError

GAP, BETWEEN = 1, 128
"""Pixels between two pictures, and how bright they are."""
SMALLEST = 96
"""Pixels that a side of a picture in a file has at least: pixels of small ones are made larger, by a whole factor."""
PAUSE, LAST = 120, 1500
"""Milliseconds that a picture of several is seen, and the last."""
MOST_PIXELS = 1 << 26
"""Of a sheet."""


def sheet(rows: Sequence[Sequence[NDArray[np.uint8]]]) -> NDArray[np.uint8]:
    """Pictures of one size, [H, W] or [H, W, 3], as one: in rows, the last places of shorter ones empty.

    Raises `ConfigError` for more pixels than `MOST_PIXELS`.
    """
    H, W, *colours = rows[0][0].shape
    factor = max(1, -(-SMALLEST // max(H, W)))
    H, W = H * factor, W * factor
    columns = max(map(len, rows))
    height, width = len(rows) * (H + GAP) - GAP, columns * (W + GAP) - GAP
    if height * width > MOST_PIXELS:
        raise ConfigError(
            f"{sum(map(len, rows)):,} pictures make one of {width:,} × {height:,} pixels, expected {MOST_PIXELS:,} at "
            "most. Ask for fewer, or take them by --json."
        )
    made = np.full((height, width, *colours), BETWEEN, np.uint8)
    for r, row in enumerate(rows):
        for c, each in enumerate(row):
            large = each.repeat(factor, 0).repeat(factor, 1)
            made[r * (H + GAP) : r * (H + GAP) + H, c * (W + GAP) : c * (W + GAP) + W] = large
    return made


def gif(shown: Sequence[NDArray[np.uint8]]) -> bytes:
    """The bytes of a GIF file that shows pictures in their order, again and again. Raises `ConfigError` where Pillow is
    not installed."""
    pauses = [PAUSE] * (len(shown) - 1) + [LAST]
    first, *rest = [pillow().fromarray(each) for each in shown]
    made = io.BytesIO()
    further: dict[str, Any] = {"save_all": True, "append_images": rest, "duration": pauses, "loop": 0} if rest else {}
    first.save(made, "GIF", **further)
    return made.getvalue()
