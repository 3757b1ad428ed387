"""Several frames of a recording as one step of the core."""

from __future__ import annotations

import math
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.errors import ConfigError
from recurra.limits import check_size
from recurra.nn.dropout import dropout
from recurra.nn.spectral import Spectral
from recurra.registry import part
from recurra.types import Batch, Lengths, Sizes


@part("embedder", "frames")
class FrameEmbedder(nn.Module):
    """x_k = W [v_{ks−a} … v_{ks+a}] + b, numbers v of the frames around every `stride`-th: s = `stride`, a = `around`.

    Reads the field "input" [B, T, W]; gives [B, ⌈T / s⌉, D], D = `size`, time first in memory. Beyond both ends of a
    sequence v is 0. `dropout` zeroes single entries of x; in training `noise` · N(0, 1) is added to each number, and of
    spectra changed what `Spectral` says.
    Raises ConfigError for a size, a share or a spread out of range, `build` for an input of symbols.
    """

    like: Tensor
    """Of the type that weights have: a model in float64 reads numbers in float64."""

    def __init__(
        self,
        size: int = 128,
        stride: int = 2,
        around: int = 3,
        dropout: float = 0.0,
        noise: float = 0.0,
        spectral: Spectral = Spectral(),  # noqa: B008
    ) -> None:
        super().__init__()
        for name, value, least in (("size", size, 1), ("stride", stride, 1), ("around", around, 0)):
            check_size(f"embedder.{name}", value)
            if value < least:
                raise ConfigError(f"embedder.{name} = {value}, expected {least} or more.")
        if not 0 <= dropout < 1:
            raise ConfigError(f"embedder.dropout = {dropout}, expected 0 or more and less than 1.")
        if not 0 <= noise < math.inf:
            raise ConfigError(f"embedder.noise = {noise}, expected a spread of 0 or more.")
        self.size, self.segment, self.around = size, stride, around
        self.dropout, self.noise, self.spectral = dropout, noise, spectral
        self.register_buffer("like", torch.empty(0), persistent=False)

    @property
    def changes_time(self) -> bool:
        """Whether the core reads other steps than those of the input, or steps that hold later ones."""
        return self.segment > 1 or self.around > 0

    @property
    def output_size(self) -> int:
        return self.size

    def build(self, sizes: Sizes) -> Self:
        """Make the layer for frames of `sizes.width` numbers."""
        if not sizes.width:
            raise ConfigError(
                "embedder.kind = 'frames' reads numbers, but the input is symbols. Set embedder.kind = 'symbols', or "
                "name a reader of numbers."
            )
        self.spectral.check(sizes.width)
        width = 2 * self.around + 1
        self.linear = nn.Conv1d(sizes.width, self.size, width, stride=self.segment, padding=self.around)
        return self

    def forward(self, batch: Batch) -> tuple[Tensor, Lengths]:
        x, lengths = batch.fields["input"].to(self.like.dtype), batch.structure.values
        T = x.shape[1]
        if self.training:
            x = self.spectral.changed(x.transpose(0, 1), lengths).transpose(0, 1)
            x = x + self.noise * torch.randn_like(x) if self.noise else x
        if lengths is not None:
            x = x * (torch.arange(T, device=x.device) < lengths[:, None])[:, :, None]
        steps = (T + self.segment - 1) // self.segment
        behind = (steps - 1) * self.segment + 1 - T  # so that the last step is one that begins in T
        x = self.linear(F.pad(x.transpose(1, 2), (0, max(0, behind))))[:, :, :steps]  # [B, D, steps]
        x = dropout(x.permute(2, 0, 1), self.dropout, self.training).transpose(0, 1)
        there = None if lengths is None else (lengths + self.segment - 1) // self.segment
        return x, Lengths(there)
