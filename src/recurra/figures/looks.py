"""A picture once for each word that is written about it, darkened where the word does not look; as SVG."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.figures.drawing import drawing
from recurra.figures.pictures import image
from recurra.figures.shown import escaped

TILE, GAP, LINE = 96, 8, 18
"""Pixels of a picture's side, between two, and of the word above it."""
ACROSS = 6
"""Pictures beside each other."""
DARKEST = 0.8
"""How much of a picture is hidden where a word does not look at all."""


def looks(
    picture: NDArray[np.uint8], words: Sequence[str], weights: NDArray[Any], regions: tuple[int, int], named: str
) -> str:
    """The picture [H, W, 3] and, behind it, one for each word: regions are the darker, the less of its largest weight
    the word gives them. `weights` [words, rows · columns] of the `regions`, (rows, columns); `named`: for who cannot
    see it."""
    rows, columns = regions
    key = f"seen-{zlib.crc32(picture.tobytes()):08x}"  # no other drawing of a page has it
    tiles = [("", None), *zip(words, np.asarray(weights, np.float64), strict=True)]
    across = min(ACROSS, len(tiles))
    wide, high = across * (TILE + GAP) - GAP, -(-len(tiles) // across) * (TILE + LINE + GAP) - GAP
    drawn = [f"<defs>{image(picture, TILE, TILE, key=key)}</defs>"]
    for k, (word, row) in enumerate(tiles):
        x, y = k % across * (TILE + GAP), k // across * (TILE + LINE + GAP)
        if word:
            drawn.append(f'<text x="{x + TILE / 2:g}" y="{y + 13}" text-anchor="middle">{escaped(word)}</text>')
        drawn.append(f'<use href="#{key}" x="{x}" y="{y + LINE}"/>')
        if row is not None:
            drawn += _dark(x, y + LINE, row, rows, columns)
    return drawing(drawn, wide, high, named, 1.0)


def _dark(x: float, y: float, row: NDArray[np.float64], rows: int, columns: int) -> list[str]:
    """What lies over a picture at (x, y)."""
    hidden = DARKEST * (1 - row / max(float(row.max()), 1e-12))
    wide, high = TILE / columns, TILE / rows
    return [
        f'<rect x="{x + k % columns * wide:g}" y="{y + k // columns * high:g}" width="{wide:g}" height="{high:g}" '
        f'fill="#000" fill-opacity="{share:.2f}"/>'
        for k, share in enumerate(hidden.tolist())
        if share >= 0.005
    ]
