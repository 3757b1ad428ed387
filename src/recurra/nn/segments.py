"""Segments of a series of numbers as the core's steps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.errors import ConfigError
from recurra.limits import check_size
from recurra.nn.dropout import dropout
from recurra.registry import part
from recurra.types import GAPS, Batch, Field, Lengths, Sizes


@part("embedder", "segments")
class SegmentEmbedder(nn.Module):
    """x_k = relu(W s_k + b), s_k the k-th segment of `segment` steps, so that the core has so many times fewer.

    With `apart` every variable of a series is a sequence of its own, of the same weights: a batch of B series of W
    variables becomes one of B · W, those of a series side by side; else s_k is all numbers of its steps. What is
    missing to a first segment is filled with zeros in front. `dropout` zeroes entries of x.
    Where the reader says what was seen (the field "seen", 1 or 0 for each value), and `gaps` does not leave it out, it
    stands behind the numbers of s_k; between the segments themselves there are no gaps.

    Reads the field "input" [B, T, W]; gives [B · W, ⌈T / segment⌉, D] or [B, ⌈T / segment⌉, D], time first in memory.
    Raises ConfigError for a size, a segment or a share out of range, `build` for an input of symbols.
    Source: Lin, Lin, Wu, Wang & Zhou 2023, SegRNN: Segment recurrent neural network for long-term forecasting.
    """

    like: Tensor
    """Of the type that weights have: a model in float64 reads numbers in float64."""

    def __init__(
        self, segment: int = 24, size: int = 128, apart: bool = True, dropout: float = 0.0, gaps: bool = True
    ) -> None:
        super().__init__()
        check_size("embedder.size", size)
        for name, value in (("segment", segment), ("size", size)):
            if value < 1:
                raise ConfigError(f"embedder.{name} = {value}, expected 1 or more.")
        if not 0 <= dropout < 1:
            raise ConfigError(f"embedder.dropout = {dropout}, expected 0 or more and less than 1.")
        self.segment, self.size, self.apart, self.dropout, self.gaps = segment, size, apart, dropout, gaps
        self.register_buffer("like", torch.empty(0), persistent=False)

    @property
    def changes_time(self) -> bool:
        """Whether the core reads other steps than those of the input."""
        return self.segment > 1 or self.apart

    @property
    def fields(self) -> Mapping[str, Field]:
        """What batches may hold for it beside the input."""
        return {"seen": GAPS["seen"]} if self.gaps else {}

    @property
    def output_size(self) -> int:
        return self.size

    def build(self, sizes: Sizes) -> Self:
        """Make the layer for vectors of `sizes.width` numbers."""
        if not sizes.width:
            raise ConfigError(
                "embedder.kind = 'segments' reads numbers, but the input is symbols. Set embedder.kind = 'symbols', or "
                "name a reader of numbers."
            )
        self.masked = self.gaps and "seen" in sizes.fields
        self.linear = nn.Linear(self.segment * (1 if self.apart else sizes.width) * (1 + self.masked), self.size)
        return self

    def forward(self, batch: Batch) -> tuple[Tensor, Lengths]:
        given = batch.fields["input"].to(self.like.dtype)
        W = given.shape[2]
        if self.masked:
            seen = batch.fields["seen"].to(given.dtype) if "seen" in batch.fields else torch.ones_like(given)
            given = torch.cat((given, seen), 2)
        pieces, lengths = in_segments(given, batch.structure.values, self.segment)  # [B, n, w, W], or 2 W
        if self.apart:
            own = pieces.unflatten(3, (-1, W)).permute(1, 0, 4, 3, 2)  # [n, B, W, 1 or 2, w]
            pieces = own.flatten(3).flatten(1, 2)  # [n, B · W, w], or 2 w
            lengths = None if lengths is None else lengths.repeat_interleave(W)
        else:
            pieces = pieces.flatten(2).transpose(0, 1)
        x = dropout(self.linear(pieces).relu(), self.dropout, self.training)
        return x.transpose(0, 1), Lengths(lengths)


@dataclass(frozen=True)
class FutureSegments:
    """How a horizon of steps of W variables lies in rows of `segment` steps, a row for each that a core says: with
    `apart` for each variable of each series, those of a series side by side, else of all variables together."""

    horizon: int
    segment: int
    W: int
    apart: bool

    @property
    def count(self) -> int:
        """How many segments the horizon has; the last one may reach beyond it."""
        return -(-self.horizon // self.segment)

    def rows(self, future: Tensor) -> Tensor:
        """Values [B, horizon, W] as rows [B (· W) · count, segment (· W)]; NaN behind the horizon."""
        behind = self.count * self.segment - self.horizon
        x = F.pad(future, (0, 0, 0, behind), value=math.nan).unflatten(1, (self.count, self.segment))
        return x.permute(0, 3, 1, 2).flatten(0, 2) if self.apart else x.flatten(2).flatten(0, 1)

    def values(self, rows: Tensor, B: int, count: int | None = None) -> Tensor:
        """Rows of B series, of so many segments where that are not all, as values [B, horizon, W, …]."""
        steps, rest = (count or self.count) * self.segment, rows.shape[2:]
        if self.apart:
            x = rows.reshape(B, self.W, steps, *rest).transpose(1, 2)
        else:
            x = rows.reshape(B, steps, self.W, *rest)
        return x[:, : self.horizon]


def in_segments(given: Tensor, lengths: Tensor | None, w: int) -> tuple[Tensor, Tensor | None]:
    """Steps [B, T, W] as segments [B, n, w, W] of w, the last of which ends with the sequence; zeros in front of the
    first. Also how many segments each has, where lengths differ."""
    T = given.shape[1]
    n = -(-T // w)
    if lengths is None:
        return F.pad(given, (0, 0, n * w - T, 0)).unflatten(1, (n, w)), None
    counts = (lengths + w - 1) // w
    steps = torch.arange(n * w, device=given.device) - (counts * w - lengths)[:, None]  # [B, n w]
    there = (steps >= 0) & (steps < lengths[:, None])
    given = given.gather(1, steps.clamp(0, T - 1)[..., None].expand(-1, -1, given.shape[2]))
    return given.masked_fill(~there[..., None], 0).unflatten(1, (n, w)), counts
