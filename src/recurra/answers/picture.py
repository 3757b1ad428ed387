"""Pixels."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

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


def packed(pixels: NDArray[np.floating[Any]]) -> str:
    """A byte for each number, rows first, in base64."""
    shades = (np.clip(np.nan_to_num(pixels), 0, 1) * 255).round().astype(np.uint8)
    return base64.b64encode(shades.tobytes()).decode("ascii")
