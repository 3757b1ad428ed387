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


def png(values: NDArray[np.floating[Any]]) -> bytes:
    """A grey picture [H, W] of numbers from 0, black, to 1, white, as the bytes of a PNG file."""
    grey = (np.clip(values, 0, 1) * 255).round().astype(np.uint8)
    H, W = grey.shape
    rows = b"".join(b"\0" + row.tobytes() for row in grey)  # each begins with its filter: none
    parts = ((b"IHDR", struct.pack(">IIBBBBB", W, H, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def strip(values: NDArray[np.floating[Any]], symbols: Sequence[Mapping[str, Any]], end: float, named: str) -> str:
    """A picture [H, W] with symbols below it, each where it `begin`s and as sure as its `p`; `end`: its right side."""
    source = base64.b64encode(png(values)).decode()
    written = "".join(
        f'<span style="left:{100 * each["begin"] / end:.2f}%;opacity:{0.35 + 0.65 * each["p"]:.2f}" '
        f'title="{each["begin"]:.4g}, {each["p"]:.2f}">{html.escape(each["symbol"])}</span>'
        for each in (symbols if end > 0 else ())
    )
    return (
        f'<div class="strip"><img src="data:image/png;base64,{source}" alt="{html.escape(named)}">'
        f'<div class="under">{written}</div></div>'
    )


def _sum(data: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(data))
