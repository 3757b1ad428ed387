"""Ranges that hold what they promise: as wide as errors on windows held out from training say."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Self

import torch
from torch import Tensor, nn

from recurra.errors import ConfigError

MOST = 16_000_000
"""Errors that are kept at most while quantiles are found; of more windows every second, third … counts."""


class Conformal(nn.Module):
    """[low − q, high + q] in the place of a range [low, high] said for a step ahead and a variable, q the
    ⌈(n + 1) · level⌉-th smallest of n errors max(low − y, y − high) on windows held out; low = high = x̂ without one.

    So `level` of 100 values lie in it, whatever the model, where later windows are like those held out.
    `margins` [levels, horizon, W] are no weights that training moves; NaN until they are set.

    Raises ConfigError for levels that are no whole numbers from 1 to 99.
    Source: Romano, Patterson & Candès 2019, Conformalized quantile regression; Papadopoulos et al. 2002, Inductive
    confidence machines for regression.
    """

    margins: Tensor

    def __init__(self, levels: tuple[int, ...]) -> None:
        super().__init__()
        if not all(1 <= level <= 99 for level in levels) or len({*levels}) < len(levels):
            raise ConfigError(f"task.levels = {list(levels)}, expected different whole numbers from 1 to 99, per cent.")
        self.levels = levels

    def build(self, horizon: int, W: int) -> Self:
        """Make room for a margin for each level, step ahead and variable."""
        if self.levels:
            self.register_buffer("margins", torch.full((len(self.levels), horizon, W), math.nan))
        return self

    def fit(self, errors: Iterable[Tensor]) -> None:
        """Set the margins by errors of windows [B, levels, horizon, W] each, NaN where there was no value."""
        kept: list[Tensor] = []
        numbers, every = 0, 1
        for k, some in enumerate(errors):
            if k % every:
                continue
            kept.append(some.float().cpu())
            numbers += some.numel()
            if numbers > MOST and len(kept) > 1:
                kept, every = kept[::2], 2 * every
                numbers = sum(each.numel() for each in kept)
        ordered = torch.cat(kept).sort(0).values  # NaN last
        n = (~ordered.isnan()).sum(0)  # [levels, horizon, W]
        level = torch.tensor(self.levels, dtype=torch.float64).view(-1, 1, 1) / 100
        place = ((n + 1) * level).ceil().long().minimum(n).clamp(min=1) - 1
        self.margins.copy_(ordered.gather(0, place[None])[0])
