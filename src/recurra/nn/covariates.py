"""What is known beside a series of numbers, added to what a core reads of it."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn

from recurra.nn.segments import in_segments


class Covariates(nn.Module):
    """x_k + P c_k for each step k of the core, c_k the covariates of the steps of the series that it stands for; and of
    what is known of the future, z_m + Q f_m for each future segment m. P and Q begin at 0: at first nothing is added.

    `past` numbers a step are known up to now, `known` of them also of the steps to come.
    """

    def __init__(self, past: int, known: int) -> None:
        super().__init__()
        self.past, self.known = past, known

    def build(self, segment: int, ahead: int, D: int, D_ahead: int) -> Self:
        """Make the layers for segments of `segment` steps to D numbers, and of `ahead` future ones to D_ahead."""
        self.segment, self.ahead = segment, ahead
        self.read = nn.Linear(self.past * segment, D, bias=False)
        self.come = nn.Linear(self.known * ahead, D_ahead, bias=False) if self.known else None
        for layer in filter(None, (self.read, self.come)):
            nn.init.zeros_(layer.weight)
        return self

    def forward(self, x: Tensor, given: Tensor, lengths: Tensor | None) -> Tensor:
        """x [B or B · W, n, D] of series with covariates [B, T, past]."""
        pieces, _ = in_segments(given.to(x.dtype), lengths, self.segment)  # [B, n, w, past]
        added = self.read(pieces.flatten(2))
        return x + added.repeat_interleave(x.shape[0] // added.shape[0], 0)

    def of_future(self, z: Tensor, future: Tensor) -> Tensor:
        """z [B or B · W, pieces, D] of future segments, the covariates [B, H, known] behind the horizon as 0."""
        if self.come is None:
            return z
        missing = z.shape[1] * self.ahead - future.shape[1]
        padded = torch.nn.functional.pad(future.to(z.dtype), (0, 0, 0, missing))
        added = self.come(padded.unflatten(1, (z.shape[1], self.ahead)).flatten(2))
        return z + added.repeat_interleave(z.shape[0] // added.shape[0], 0)
