"""The mel scale, and the triangles on it that a spectrum is looked at through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

KNEE, STEP = 1_000.0, 200 / 3
"""Slaney's scale: a mel is 66.7 Hz up to 1 kHz, above it a factor of 6.4 in 27."""
RATIO = np.log(6.4) / 27


@dataclass(frozen=True)
class Mel:
    """`count` triangles from 0 Hz to half of `rate`, on Slaney's scale or HTK's."""

    count: int
    rate: int
    scale: Literal["slaney", "htk"]


def filters(mel: Mel, size: int) -> NDArray[np.float64]:
    """F [count, size / 2 + 1]: the weight of each bin of an FFT of so many points in each triangle.

    Corners f_0 … f_{count + 1} are as far apart as each other in mel; triangle m rises from f_m to 1 at f_{m+1} and
    falls to f_{m+2}, straight in Hz. "slaney": mel is linear up to 1 kHz and logarithmic above, triangles are divided
    by half their width in Hz. "htk": mel = 2595 log₁₀(1 + f / 700), triangles as they are. As librosa has both.
    Source: Slaney 1998, Auditory Toolbox; Young et al. 2006, The HTK Book.
    """
    top = _mels(np.array(mel.rate / 2), mel.scale)
    corners = _hertz(np.linspace(0, top, mel.count + 2), mel.scale)
    bins = np.arange(size // 2 + 1) * mel.rate / size
    rise = (bins - corners[:-2, None]) / (corners[1:-1] - corners[:-2])[:, None]
    fall = (corners[2:, None] - bins) / (corners[2:] - corners[1:-1])[:, None]
    found = np.clip(np.minimum(rise, fall), 0, None)
    if mel.scale == "slaney":
        found *= (2 / (corners[2:] - corners[:-2]))[:, None]
    return found


def _mels(hertz: NDArray[np.float64], scale: str) -> NDArray[np.float64]:
    if scale == "htk":
        return np.asarray(2595 * np.log10(1 + hertz / 700))
    above = KNEE / STEP + np.log(np.maximum(hertz, KNEE) / KNEE) / RATIO
    return np.where(hertz < KNEE, hertz / STEP, above)


def _hertz(mels: NDArray[np.float64], scale: str) -> NDArray[np.float64]:
    if scale == "htk":
        return np.asarray(700 * (10 ** (mels / 2595) - 1))
    return np.where(mels < KNEE / STEP, mels * STEP, KNEE * np.exp(RATIO * (mels - KNEE / STEP)))
