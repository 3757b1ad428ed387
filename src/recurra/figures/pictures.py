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
FRAME, APART, BELOW = 84, 8, 26
"""Of a frame: its longer side, the room beside it, and that below it."""


def levels(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Numbers from 0, black, to 1, white, as bytes; bytes as they are."""
    if values.dtype == np.uint8:
        return values
    found: NDArray[np.uint8] = (np.clip(np.nan_to_num(values), 0, 1) * 255).round().astype(np.uint8)
    return found


def png(values: NDArray[Any]) -> bytes:
    """A picture [H, W], grey, or [H, W, 3], coloured, as the bytes of a PNG file; numbers as `levels` takes them."""
    held = np.ascontiguousarray(levels(values))
    H, W = held.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in held)  # each begins with its filter: none
    head = struct.pack(">IIBBBBB", W, H, 8, GREY if held.ndim == 2 else COLOURED, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def image(values: NDArray[Any], width: float, height: float, x: float = 0, y: float = 0, key: str = "") -> str:
    """A picture as an element of SVG, as large as is said and where; `key`: its name, to be used again."""
    source = base64.b64encode(png(values)).decode()
    named = f' id="{key}"' if key else ""
    return (
        f'<image class="pixels"{named} x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" '
        f'preserveAspectRatio="none" href="data:image/png;base64,{source}"/>'
    )


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
    H, W = values.shape
    width = round(min(WIDTH, max(HEIGHT * W / max(H, 1), LETTER * (len(symbols) + 1)))) if to_scale else WIDTH
    written = "".join(
        f'<text class="read" x="{width * each["begin"] / end:.1f}" y="{HEIGHT + 14}" '
        f'fill-opacity="{0.35 + 0.65 * each["p"]:.2f}">'
        f"<title>{each['begin']:.4g}, {each['p']:.2f}</title>{html.escape(each['symbol'])}</text>"
        for each in (symbols if end > 0 else ())
    )
    return f'<div class="strip">{drawing([image(values, width, HEIGHT), written], width, HEIGHT + 20, named)}</div>'


Window = tuple[str, NDArray[np.floating[Any]]]
"""What a window does, and where: its middle, along and down, its side and the σ of its filters, in pixels from 1."""
WINDOWS = ("line c2", "line c1", "line c0")
"""How those of a frame are drawn, in their order."""


def frames(shown: Sequence[tuple[str, NDArray[np.floating[Any]], Sequence[Window]]], named: str) -> str:
    """Pictures [H, W] of one size in rows, each with its name below it and its windows as rectangles over it."""
    H, W = shown[0][1].shape
    wide = FRAME if W >= H else round(FRAME * W / H)
    high = round(wide * H / W)
    pixel = wide / W
    drawn, columns = [], max(1, WIDTH // (wide + APART))
    for k, (name, values, windows) in enumerate(shown):
        left, top = APART + k % columns * (wide + APART), APART + k // columns * (high + BELOW)
        parts = [
            image(values, wide, high, left, top),
            f'<rect class="frame" x="{left}" y="{top}" width="{wide}" height="{high}"/>'
            f'<text x="{left}" y="{top + high + 12}">{html.escape(name)}</text>',
        ]
        for look, (does, (x, y, side, _)) in zip(WINDOWS, windows, strict=False):
            a, b = (max(0.0, min(end, place - 0.5 - side / 2)) for end, place in ((W, x), (H, y)))
            c, d = (max(0.0, min(end, place - 0.5 + side / 2)) for end, place in ((W, x), (H, y)))
            parts.append(
                f'<rect class="{look}" x="{left + pixel * a:.1f}" y="{top + pixel * b:.1f}" '
                f'width="{max(1.0, pixel * (c - a)):.1f}" height="{max(1.0, pixel * (d - b)):.1f}">'
                f"<title>{html.escape(does)}</title></rect>"
            )
        drawn += parts
    rows = -(-len(shown) // columns)
    whole = drawing(drawn, APART + min(len(shown), columns) * (wide + APART), APART + rows * (high + BELOW), named, 1.5)
    known = dict.fromkeys(does for _, _, windows in shown for does, _ in windows)
    key = "".join(
        f'<span class="key {look.split()[1]}">{html.escape(does)}</span>'
        for look, does in zip(WINDOWS, known, strict=False)
    )
    return f"<figure>{whole}<figcaption>{key}</figcaption></figure>" if key else f"<figure>{whole}</figure>"
