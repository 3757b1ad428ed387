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
    return resampled_piece(samples, 0, rate, wanted, 0, count_of(len(samples), rate, wanted))


def count_of(count: int, rate: int, wanted: int) -> int:
    """How many samples so many are at the rate `wanted`."""
    return -(-count * wanted // rate)


def known_of(count: int, rate: int, wanted: int) -> int:
    """How many of those are made of the first `count` samples alone, whatever comes behind them."""
    up, down = _ratio(rate, wanted)
    half = 0 if rate == wanted else _taps(up, down)[1]
    return max(0, -(-(count - half) * up // down))


def first_of(made: int, rate: int, wanted: int) -> int:
    """The number of the first sample that those behind the first `made` are made of; below 0 before a recording."""
    up, down = _ratio(rate, wanted)
    return made * down // up - (0 if rate == wanted else _taps(up, down)[1])


def resampled_piece(
    samples: NDArray[np.float32], begin: int, rate: int, wanted: int, first: int, last: int
) -> NDArray[np.float32]:
    """Those numbered `first` to `last` − 1 of a recording at the rate `wanted`, of its samples from number `begin` on;
    what lies before and behind these is silence."""
    up, down = _ratio(rate, wanted)
    taps, half = _taps(up, down)
    low, high = first_of(first, rate, wanted), (max(first, last - 1)) * down // up + half + 1
    padded = np.pad(samples, (max(0, begin - low), max(0, high - begin - len(samples))))
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    found = np.empty(last - first, np.float32)
    for place in range(min(up, last - first)):  # outputs that lie alike between two inputs
        places = np.arange(first + place, last, up) * down
        found[place::up] = windows[places // up - half - min(begin, low)] @ taps[places[0] % up]
    return found


def _ratio(rate: int, wanted: int) -> tuple[int, int]:
    common = math.gcd(rate, wanted)
    return wanted // common, rate // common


@lru_cache(maxsize=4)
def _taps(up: int, down: int) -> tuple[NDArray[np.float32], int]:
    """[up, 2 · half + 1]: the weights of inputs around each of the places between two of them."""
    cut = ROLL_OFF * min(1.0, up / down)
    half = math.ceil(CROSSINGS / cut)
    away = np.arange(up)[:, None] / up - np.arange(-half, half + 1)[None]
    shape = np.i0(BETA * np.sqrt(np.clip(1 - (away / half) ** 2, 0, None))) / np.i0(BETA)
    taps = cut * np.sinc(cut * away) * shape
    return (taps / taps.sum(1, keepdims=True)).astype(np.float32), half
