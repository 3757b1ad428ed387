"""Pictures of numbers, as PNG inside a page."""

from __future__ import annotations

import base64
import html
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.figures.drawing import drawing

WIDTH, HEIGHT = 600, 112
GREY, COLOURED = 0, 2
"""Kinds of PNG."""
LETTER = 10
"""Room of a symbol below a picture."""


def png(values: NDArray[Any]) -> bytes:
    """A picture [H, W], grey, or [H, W, 3], coloured, as the bytes of a PNG file: bytes as they are, other numbers from
    0, black, to 1, white."""
    levels = values if values.dtype == np.uint8 else (np.clip(values, 0, 1) * 255).round().astype(np.uint8)
    H, W = levels.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in np.ascontiguousarray(levels))  # each begins with its filter: none
    head = struct.pack(">IIBBBBB", W, H, 8, GREY if levels.ndim == 2 else COLOURED, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def strip(
    values: NDArray[np.floating[Any]],
    symbols: Sequence[Mapping[str, Any]],
    end: float,
    named: str,
    to_scale: bool = False,
) -> str:
    """A picture [H, W] with symbols below it, each where it `begin`s and as sure as its `p`; `end`: its right side.

    It is as wide as the page, or, `to_scale`, as its own height and width are to each other.
    """
    source = base64.b64encode(png(values)).decode()
    H, W = values.shape
    width = min(WIDTH, max(HEIGHT * W / max(H, 1), LETTER * (len(symbols) + 1))) if to_scale else WIDTH
    written = "".join(
        f'<text class="read" x="{width * each["begin"] / end:.1f}" y="{HEIGHT + 14}" '
        f'fill-opacity="{0.35 + 0.65 * each["p"]:.2f}">'
        f"<title>{each['begin']:.4g}, {each['p']:.2f}</title>{html.escape(each['symbol'])}</text>"
        for each in (symbols if end > 0 else ())
    )
    picture = (
        f'<image class="pixels" width="{width:.0f}" height="{HEIGHT}" preserveAspectRatio="none" '
        f'href="data:image/png;base64,{source}"/>'
    )
    return f'<div class="strip">{drawing([picture, written], round(width), HEIGHT + 20, named)}</div>'
