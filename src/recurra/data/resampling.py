"""A recording at another rate."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CROSSINGS = 24
"""Zeros of the sinc to each side, at the lower of both rates."""
ROLL_OFF = 0.94
"""Where the low-pass ends, as a share of half the lower rate."""
BETA = 10.0
"""Of the Kaiser window: 100 dB of what would fold back are kept out."""


def resampled(samples: NDArray[np.float32], rate: int, wanted: int) -> NDArray[np.float32]:
    """The samples [N] of `rate` at the rate `wanted`, [⌈N · wanted / rate⌉]; sample 0 stays where it is.

    y[m] = Σ_n x[n] h(m · rate / wanted − n), h a sinc below half the lower rate under a Kaiser window, one row of it
    for each of the places that an output can have between two inputs (polyphase).
    Source: Smith 2002, Digital audio resampling.
    """
    if rate == wanted or not len(samples):
        return samples
    common = math.gcd(rate, wanted)
    up, down = wanted // common, rate // common
    taps, half = _taps(up, down)
    count = -(-len(samples) * up // down)
    padded = np.pad(samples, (half, half + 1))
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    found = np.empty(count, np.float32)
    for first in range(min(up, count)):  # outputs that lie alike between two inputs
        places = np.arange(first, count, up) * down
        found[first::up] = windows[places // up] @ taps[places[0] % up]
    return found


@lru_cache(maxsize=4)
def _taps(up: int, down: int) -> tuple[NDArray[np.float32], int]:
    """[up, 2 · half + 1]: the weights of inputs around each of the places between two of them."""
    cut = ROLL_OFF * min(1.0, up / down)
    half = math.ceil(CROSSINGS / cut)
    away = np.arange(up)[:, None] / up - np.arange(-half, half + 1)[None]
    shape = np.i0(BETA * np.sqrt(np.clip(1 - (away / half) ** 2, 0, None))) / np.i0(BETA)
    taps = cut * np.sinc(cut * away) * shape
    return (taps / taps.sum(1, keepdims=True)).astype(np.float32), half
