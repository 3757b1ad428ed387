"""Embedders: what turns a batch into the core's input x [B, T, D] and its structure, the lengths in it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra import registry
from recurra.errors import ConfigError
from recurra.limits import check_size
from recurra.nn.dropout import draw_mask, dropout
from recurra.registry import part
from recurra.types import Batch, Field, Lengths, Sizes


class Rows(nn.Module, ABC):
    """What embedders that give every symbol one vector share: settings, dropout, how vectors start."""

    rows: int
    """Symbols there are vectors of; set by `build`."""

    def __init__(
        self,
        size: int = 128,
        dropout: float = 0.0,
        init_range: float | None = None,
        variational: bool = False,
        row_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_size("embedder.size", size)
        if size < 1:
            raise ConfigError(f"embedder.size = {size}, expected 1 or more.")
        for name, share in (("dropout", dropout), ("row_dropout", row_dropout)):
            if not 0 <= share < 1:
                raise ConfigError(f"embedder.{name} = {share}, expected 0 or more and less than 1.")
        if init_range is not None and init_range <= 0:
            raise ConfigError(f"embedder.init_range = {init_range}, expected more than 0, or none for N(0, 1).")
        self.size = size
        self.dropout, self.variational, self.row_dropout = dropout, variational, row_dropout
        self.init_range = init_range

    @property
    def output_size(self) -> int:
        return self.size

    @property
    def table(self) -> Tensor:
        """The vector [D] of every symbol [V, D], as it is outside training."""
        device = next(self.parameters()).device
        return self.look_up(torch.arange(self.rows, device=device)).detach()

    def drawn(self, count: int) -> nn.Parameter:
        """Vectors to start from [count, D]."""
        vectors, r = torch.empty(count, self.size), self.init_range
        return nn.Parameter(vectors.normal_() if r is None else vectors.uniform_(-r, r))

    @abstractmethod
    def look_up(self, symbols: Tensor) -> Tensor:
        """The vectors of symbols' numbers, [*symbols.shape, D]."""

    def forward(self, batch: Batch) -> tuple[Tensor, Lengths]:
        symbols = batch.fields["input"].t()
        vectors = self.look_up(symbols)  # [T, B, D]
        if self.training and self.row_dropout:
            vectors = vectors * F.embedding(symbols, draw_mask((self.rows, 1), self.row_dropout, vectors))
        x = dropout(vectors, self.dropout, self.training, self.variational)
        return x.transpose(0, 1), batch.structure


@part("embedder", "symbols")
class SymbolEmbedder(Rows):
    """A vector of its own for every symbol: the row of `weight` [V, D] that the symbol's number names.

    Reads the field "input" [B, T]; gives [B, T, D], time first in memory. `dropout` zeroes single entries, with
    `variational` those of the same units at all time steps of a sequence (Gal & Ghahramani 2016). `row_dropout` zeroes
    whole rows of `weight`: a symbol is gone from all of the batch (Gal & Ghahramani 2016; Merity, Keskar & Socher 2017,
    section 4.3). What is left is divided by the share that is left; `weight` itself, which an output layer may be tied
    to, stays whole.
    The weights start from U(−init_range, init_range), or from N(0, 1) without one.
    """

    weight: nn.Parameter

    def build(self, sizes: Sizes) -> Self:
        """Make the vectors of `sizes.vocabulary` symbols."""
        self.rows = sizes.vocabulary
        self.weight = self.drawn(self.rows)
        return self

    def look_up(self, symbols: Tensor) -> Tensor:
        return F.embedding(symbols, self.weight)


CHARACTERS = Field((), {"kind": "spelling"}, along=True)
"""How the tokens of the input are spelled."""


@part("embedder", "words")
class WordEmbedder(nn.Module):
    """A vector for every word, and beside it one made of its characters where `spelling` names a part that makes it.

    Reads "input" [B, T], words' numbers, 0 for an unknown one; with a spelling also "spellings" [U, C],
    "spelling_lengths" [U], the distinct words of the batch, and "spelling" [B, T], the row of each place's word. Gives
    [B, T, D], time first in memory, the word's own vector in front.
    `dropout` zeroes single entries; `word_dropout` turns words into the unknown one, 0, in training, their spelling
    kept. `adopt` starts from ready vectors; with `tune` false those stay as they are and only the other words' learn.
    The vectors start uniform in ±√(3 / size).
    """

    weight: nn.Parameter
    fixed: Tensor
    vectors: Tensor

    def __init__(
        self,
        size: int = 100,
        dropout: float = 0.0,
        word_dropout: float = 0.0,
        tune: bool = True,
        spelling: dict | None = None,
    ) -> None:
        super().__init__()
        check_size("embedder.size", size)
        if size < 1:
            raise ConfigError(f"embedder.size = {size}, expected 1 or more.")
        for name, share in (("dropout", dropout), ("word_dropout", word_dropout)):
            if not 0 <= share < 1:
                raise ConfigError(f"embedder.{name} = {share}, expected 0 or more and less than 1.")
        self.size, self.dropout, self.word_dropout, self.tune = size, dropout, word_dropout, tune
        self.spelling: Any = (
            None if spelling is None else registry.construct("spelling", spelling, where="embedder.spelling")
        )

    @property
    def fields(self) -> Mapping[str, Field]:
        """What batches must hold for it beside the input; known before `build`."""
        return {} if self.spelling is None else {"characters": CHARACTERS}

    def build(self, sizes: Sizes) -> Self:
        """Make the vectors of `sizes.vocabulary` words, and the spelling of `sizes.fields["characters"]` characters."""
        bound = math.sqrt(3 / self.size)
        self.weight = nn.Parameter(torch.empty(sizes.vocabulary, self.size).uniform_(-bound, bound))
        if not self.tune:
            self.register_buffer("fixed", torch.zeros(sizes.vocabulary, dtype=torch.bool))
            self.register_buffer("vectors", torch.zeros(sizes.vocabulary, self.size))  # out of the optimiser's reach
        if self.spelling is not None:
            self.spelling = self.spelling.build(sizes)
        return self

    @property
    def output_size(self) -> int:
        return self.size + (self.spelling.output_size if self.spelling is not None else 0)

    @property
    def table(self) -> Tensor | None:
        """The vector of every word's number, [V, D], outside training; None where it is not all that makes a word."""
        return self.weight.detach() if self.tune and self.spelling is None else None

    @torch.no_grad()
    def adopt(self, vectors: Tensor) -> None:
        """Start from vectors [V, size]; rows of zeros keep their own start."""
        vectors = torch.as_tensor(vectors, dtype=self.weight.dtype, device=self.weight.device)
        if vectors.shape != self.weight.shape:
            V, D = self.weight.shape
            raise ConfigError(
                f"the vectors have shape {tuple(vectors.shape)}, expected ({V}, {D}): words of the vocabulary, "
                f"embedder.size. Take the vectors' width: --set embedder.size={vectors.shape[-1]}"
            )
        given = vectors.any(1)
        if self.tune:
            self.weight[given] = vectors[given]
        else:
            self.fixed.copy_(given)
            self.vectors.copy_(vectors)

    def look_up(self, words: Tensor) -> Tensor:
        """The vectors of words' numbers, [*words.shape, size], without their spelling."""
        vectors = F.embedding(words, self.weight)
        if self.tune:
            return vectors
        return torch.where(self.fixed[words][..., None], F.embedding(words, self.vectors), vectors)

    def forward(self, batch: Batch) -> tuple[Tensor, Lengths]:
        words = batch.fields["input"].t()  # [T, B]
        if self.training and self.word_dropout:
            words = words.masked_fill(torch.rand(words.shape, device=words.device) < self.word_dropout, 0)
        vectors = self.look_up(words)
        if self.spelling is not None:
            if "spellings" not in batch.fields:
                raise ConfigError(
                    'the embedder spells words, but the batch has no field "spellings". Batch with the characters '
                    "of the words, or set embedder.spelling = none."
                )
            spelt = self.spelling(batch.fields["spellings"], batch.fields["spelling_lengths"])
            vectors = torch.cat((vectors, F.embedding(batch.fields["spelling"].t(), spelt)), 2)
        return F.dropout(vectors, self.dropout, self.training).transpose(0, 1), batch.structure
