"""Embedders: what turns a batch into the core's input."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.errors import ConfigError
from recurra.registry import part
from recurra.types import Batch, Sizes


@part("embedder", "symbols")
class SymbolEmbedder(nn.Module):
    """A vector of its own for every symbol: the row of `weight` [V, D] that the symbol's number names.

    Reads the field "input" [B, T]; gives [B, T, D], time first in memory. `dropout` zeroes single entries.
    The weights start from U(−init_range, init_range), or from N(0, 1) without one.
    """

    weight: nn.Parameter

    def __init__(self, size: int = 128, dropout: float = 0.0, init_range: float | None = None) -> None:
        super().__init__()
        if size < 1:
            raise ConfigError(f"embedder.size = {size}, expected 1 or more.")
        if not 0 <= dropout < 1:
            raise ConfigError(f"embedder.dropout = {dropout}, expected 0 or more and less than 1.")
        if init_range is not None and init_range <= 0:
            raise ConfigError(f"embedder.init_range = {init_range}, expected more than 0, or none for N(0, 1).")
        self.size = size
        self.dropout = dropout
        self.init_range = init_range

    def build(self, sizes: Sizes) -> Self:
        """Make the vectors of `sizes.vocabulary` symbols."""
        self.weight = nn.Parameter(torch.empty(sizes.vocabulary, self.size))
        if self.init_range is None:
            nn.init.normal_(self.weight)
        else:
            nn.init.uniform_(self.weight, -self.init_range, self.init_range)
        return self

    @property
    def output_size(self) -> int:
        return self.size

    def forward(self, batch: Batch) -> Tensor:
        vectors = F.embedding(batch.fields["input"].t(), self.weight)  # [T, B, D]
        return F.dropout(vectors, self.dropout, self.training).transpose(0, 1)
