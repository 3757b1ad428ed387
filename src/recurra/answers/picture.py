"""Pixels."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from recurra.figures.pictures import levels, png
from recurra.figures.sheets import gif, sheet

SHADES = " ░▒▓█"
COLUMNS = 64
"""Columns of a terminal that a picture takes at most; a character is twice as high as wide."""


@dataclass(frozen=True)
class Picture:
    """Grey [rows, columns] or coloured [rows, columns, 3] pixels, 0 (dark) to 1 (bright)."""

    kind: ClassVar[str] = "picture"
    pixels: NDArray[np.floating[Any]]
    caption: str = ""
    frames: Sequence[NDArray[np.floating[Any]]] = ()
    """How it came about, step by step, where that is shown."""
    endings: ClassVar[tuple[str, ...]] = (".png", ".gif")
    """Of files that it can be saved as."""

    def saved(self, ending: str) -> bytes:
        """A file of this ending: how it came about, side by side or one after the other; else the picture."""
        return self.saved_together([self], ending)

    @staticmethod
    def saved_together(parts: Sequence[Picture], ending: str) -> bytes:
        """A file of several: a row of it for each, or all of them side by side in time."""
        rows = [[levels(frame) for frame in part.frames or [part.pixels]] for part in parts]
        if ending == ".png":
            return png(sheet(rows))
        last = max(map(len, rows))
        wide = math.ceil(math.sqrt(len(rows)))
        times = []
        for k in range(last):
            now = [row[min(k, len(row) - 1)] for row in rows]
            times.append(sheet([now[begin : begin + wide] for begin in range(0, len(now), wide)]))
        return gif(times)

    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"picture": np.asarray(self.pixels, np.float64).round(4).tolist()}
        return found | ({"caption": self.caption} if self.caption else {})

    def text(self) -> str:
        grey = np.asarray(self.pixels, np.float64)
        grey = grey.mean(2) if grey.ndim == 3 else grey
        step = max(1, -(-grey.shape[1] // COLUMNS))
        rows = [
            "".join(_shade(grey[r : r + 2 * step, c : c + step]) for c in range(0, grey.shape[1], step)).rstrip()
            for r in range(0, grey.shape[0], 2 * step)
        ]
        return "\n".join([*([self.caption] if self.caption else []), *rows])

    def page(self) -> dict[str, Any]:
        return {
            "shape": list(self.pixels.shape),
            "pixels": packed(self.pixels),
            "frames": [packed(frame) for frame in self.frames],
            "caption": self.caption,
        }


def _shade(block: NDArray[np.floating[Any]]) -> str:
    share = min(1.0, max(0.0, float(block.mean())))
    return SHADES[int(share * (len(SHADES) - 1) + 0.5)]


def packed(pixels: NDArray[Any]) -> str:
    """A byte for each number, rows first, in base64."""
    return base64.b64encode(levels(pixels).tobytes()).decode("ascii")
