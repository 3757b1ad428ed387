"""Frames of a recording's spectrum, in torch's operations: what a codec computes, and what an export computes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor, nn

from recurra.data.mel import Mel, filters

if TYPE_CHECKING:
    from numpy.typing import NDArray

QUIETEST = 1e-10
"""The least power that a logarithm is taken of, of samples from −1 to 1: below what 16 bits can hold."""
AROUND = 2
"""Frames to each side that a delta is taken over."""
EVEN = 1e-5
"""A spread below this is none: of silence."""


class Spectra(nn.Module):
    """Samples [N], float32 from −1 to 1 → frames [T, D] float32, T = 1 + ⌊(N − window) / hop⌋, N ≥ window.

    Frame t is x[t · hop : t · hop + window] under a Hann window; P = |FFT|², of the next power of two ≥ window; mel
    energies M = F P with the triangles F of `filters`; log-mel is ln max(M, 10⁻¹⁰), with a `floor` in decibels
    ln max(M, 10^(−floor / 10) max M) over the recording, and MFCC the first `cepstra` coefficients of its orthonormal
    discrete cosine transform (DCT-II). With `alone` each coefficient of a recording
    less its mean, divided by its spread. d_t = Σ_{k=1,2} k (c_{t+k} − c_{t−k}) / 10 is a delta, the first and last
    frame standing for those beyond them; `deltas` times they are put beside the coefficients, each of those before.
    At last (c − mean) / spread, by [D] numbers of the training data.

    Computed in float64: logarithms of what is quiet beside what is loud keep their digits.
    """

    def __init__(
        self,
        mel: Mel,
        window: int,
        hop: int,
        kind: Literal["log-mel", "mfcc"],
        cepstra: int,
        deltas: int,
        alone: bool,
        floor: float | None = None,
    ) -> None:
        super().__init__()
        self.window, self.hop, self.deltas, self.alone, self.floor = window, hop, deltas, alone, floor
        self.size = 1 << max(1, math.ceil(math.log2(window)))
        D = mel.count if kind == "log-mel" else cepstra
        under = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
        self.register_buffer("under", torch.from_numpy(under))
        self.register_buffer("filters", torch.from_numpy(filters(mel, self.size)).t().contiguous())  # [bins, mels]
        cosines = torch.from_numpy(_cosines(mel.count, cepstra)) if kind == "mfcc" else None
        self.register_buffer("cosines", cosines)  # [mels, cepstra]
        self.register_buffer("mean", torch.zeros(D * (1 + deltas), dtype=torch.float64))
        self.register_buffer("spread", torch.ones(D * (1 + deltas), dtype=torch.float64))

    under: Tensor
    filters: Tensor
    cosines: Tensor | None
    mean: Tensor
    spread: Tensor

    def forward(self, samples: Tensor) -> Tensor:
        return self.scaled(self.coefficients(samples)).float()

    def frames(self, count: int) -> int:
        """How many there are of so many samples."""
        return 1 + (count - self.window) // self.hop if count >= self.window else 0

    @property
    def reach(self) -> int:
        """Frames to each side that a frame's deltas are made of."""
        return AROUND * self.deltas

    def coefficients(self, samples: Tensor) -> Tensor:
        """Log-mel energies or cepstra, [T, D] float64, each frame by itself; with a floor the energies, [T, mels]."""
        T = (samples.shape[0] - self.window) // self.hop + 1
        places = torch.arange(T)[:, None] * self.hop + torch.arange(self.window)
        spectrum = torch.fft.rfft(samples.double()[places] * self.under, n=self.size)
        power = spectrum.real.square() + spectrum.imag.square()
        found = torch.log((power @ self.filters).clamp(min=QUIETEST))
        return found if self.cosines is None or self.floor is not None else found @ self.cosines

    def beside(self, found: Tensor) -> Tensor:
        """Coefficients of a whole recording, as `coefficients` gives them, with their deltas: [T, D (1 + deltas)]."""
        if self.floor is not None:
            found = torch.maximum(found, found.max() - self.floor * math.log(10) / 10)
            found = found if self.cosines is None else found @ self.cosines
        if self.alone:
            spread = found.std(0, correction=0)
            found = (found - found.mean(0)) / torch.where(spread > EVEN, spread, torch.ones_like(spread))
        T, orders = found.shape[0], [found]
        for _ in range(self.deltas):
            at = torch.arange(T)
            last, steps = orders[-1], range(1, AROUND + 1)
            moved = [k * (last[(at + k).clamp(max=T - 1)] - last[(at - k).clamp(min=0)]) for k in steps]
            orders.append(torch.stack(moved).sum(0) / (2 * sum(k * k for k in steps)))
        return torch.cat(orders, 1)

    def scaled(self, found: Tensor) -> Tensor:
        """The frames of a recording's coefficients [T, D], float64."""
        return (self.beside(found) - self.mean) / self.spread


def _cosines(mels: int, cepstra: int) -> NDArray[np.float64]:
    """The orthonormal DCT-II, [mels, cepstra]."""
    k, m = np.arange(cepstra)[None], np.arange(mels)[:, None]
    found = math.sqrt(2 / mels) * np.cos(np.pi * k * (2 * m + 1) / (2 * mels))
    found[:, 0] /= math.sqrt(2)
    return found
