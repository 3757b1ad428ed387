"""Detectors of motifs in sequences of bases, in front of the core; of both strands where that is wanted."""

from __future__ import annotations

from typing import Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.engine.padded import traced, turned
from recurra.errors import ConfigError
from recurra.limits import check_layers, check_size
from recurra.nn.dropout import dropout
from recurra.registry import part
from recurra.types import Batch, Lengths, Sizes

FURTHER = 5
"""Steps that each layer behind the first one looks at together."""


@part("embedder", "motifs")
class MotifEmbedder(nn.Module):
    """x_k = max over the `stride` steps of k of relu(W [m_{t−a} … m_{t+b}] + c), m_t the mixture of bases at t.

    m_t is what the symbol at t stands for as its codec says, [4] shares that sum to 1: an uncertain base gives the mean
    of what its bases would. A row of W is a detector: the weights of a motif of `width` bases, a + b + 1. `depth` above
    1 adds layers of relu(convolution) over 5 steps to what they read, in front of the maximum. Behind the ends of a
    sequence all is 0. `dropout` zeroes entries of x; `unread` is the share of bases that training reads as uncertain
    among all.
    With `strands` "both" each sequence is read twice by the same weights: as it is, and as its reverse complement, [B]
    behind [B] (`readings` is 2); a task that takes such averages what it makes of the two. "one" reads it as it is, for
    what has a direction, such as the borders of genes that were cut out along their strand.

    Reads the field "input" [B, T], numbers of symbols; gives [R · B, ⌈T / stride⌉, D], D = `size`, time first in
    memory.
    Raises ConfigError for a size or a share out of range, `build` for symbols of which no mixtures are known.
    Source: Quang & Xie 2016, DanQ: a hybrid convolutional and recurrent deep neural network for quantifying the
    function of DNA sequences.
    """

    shares: Tensor
    """[V, 4]"""
    partners: Tensor
    """[V]"""

    def __init__(
        self,
        size: int = 128,
        width: int = 12,
        stride: int = 2,
        depth: int = 1,
        strands: Literal["both", "one"] = "both",
        dropout: float = 0.0,
        unread: float = 0.0,
    ) -> None:
        super().__init__()
        for name, value in (("size", size), ("width", width), ("stride", stride), ("depth", depth)):
            check_size(f"embedder.{name}", value)
            if value < 1:
                raise ConfigError(f"embedder.{name} = {value}, expected 1 or more.")
        check_layers("embedder.depth", depth)
        for name, share in (("dropout", dropout), ("unread", unread)):
            if not 0 <= share < 1:
                raise ConfigError(f"embedder.{name} = {share}, expected 0 or more and less than 1.")
        self.size, self.width, self.segment, self.depth = size, width, stride, depth
        self.strands, self.dropout, self.unread = strands, dropout, unread
        self.readings = 2 if strands == "both" else 1

    @property
    def changes_time(self) -> bool:
        """Whether the core reads other sequences than those of the input, or steps that hold later ones."""
        return self.segment > 1 or self.width > 1 or self.depth > 1 or self.readings > 1

    @property
    def output_size(self) -> int:
        return self.size

    def build(self, sizes: Sizes) -> Self:
        """Make the detectors for the mixtures in `sizes`."""
        if sizes.mixtures is None:
            raise ConfigError(
                "embedder.kind = 'motifs' reads bases, but nobody says what the input's symbols stand for. Set "
                "vocabulary.kind = 'bases', or embedder.kind = 'symbols'."
            )
        self.register_buffer("shares", torch.tensor(sizes.mixtures.shares), persistent=False)
        self.register_buffer("partners", torch.tensor(sizes.mixtures.partners), persistent=False)
        self.detectors = nn.Conv1d(self.shares.shape[1], self.size, self.width)
        self.further = nn.ModuleList(
            nn.Conv1d(self.size, self.size, FURTHER, padding=FURTHER // 2) for _ in range(self.depth - 1)
        )
        return self

    def forward(self, batch: Batch) -> tuple[Tensor, Lengths]:
        symbols, lengths = batch.fields["input"].t(), batch.structure.values  # [T, B]
        if self.readings > 1:
            other = self.partners[turned(symbols[..., None], lengths)[..., 0]]
            symbols = torch.cat((symbols, other), 1)
            lengths = None if lengths is None else torch.cat((lengths, lengths))
        x = F.embedding(symbols, self.shares).permute(1, 2, 0)  # [R · B, 4, T]
        T = x.shape[2]
        if self.training and self.unread:
            kept = torch.rand_like(x[:, :1]) >= self.unread
            x = torch.where(kept, x, 1 / x.shape[1])
        there = None
        if lengths is not None:
            there = (torch.arange(T, device=x.device) < lengths[:, None]).to(x.dtype)[:, None]
            x = x * there
        if traced(x) or T:  # there is no convolution of nothing
            x = self._found(x, there)
        else:
            x = x.new_zeros(len(x), self.size, 0)
        x = dropout(x.permute(2, 0, 1), self.dropout, self.training).transpose(0, 1)
        steps = None if lengths is None else (lengths + self.segment - 1) // self.segment
        return x, Lengths(steps)

    def _found(self, x: Tensor, there: Tensor | None) -> Tensor:
        """What the detectors find in mixtures [R · B, 4, T]: [R · B, D, ⌈T / stride⌉]; `there` [R · B, 1, T] is 1 up to
        the ends, None where all sequences are full."""
        x = self.detectors(F.pad(x, ((self.width - 1) // 2, self.width // 2))).relu()
        for layer in self.further:
            x = x if there is None else x * there
            x = x + layer(x).relu()
        x = x if there is None else x * there
        rows = F.pad(x, (0, self.segment - 1))[:, :, None]  # torch's exporter takes any length through two axes only
        return F.max_pool2d(rows, (1, self.segment))[:, :, 0]
