"""An embedder of Chinese characters that knows how they are read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from recurra.data.mandarin import FINALS, TONES, reading
from recurra.errors import ConfigError
from recurra.nn.embedders import Rows
from recurra.registry import part
from recurra.types import Sizes

GAIN = 0.2
"""Sounds are shared by hundreds of characters, so they are to learn in smaller steps: as their vectors times this."""


@part("embedder", "readings")
class ReadingEmbedder(Rows):
    """A character's vector is the sum of its own, its final's and its tone's: e_c = own_c + final_f(c) + tone_t(c).

    So what rhymes lies together from the start, and what is learnt of one character's sound holds for all that share
    it: in what is read, and in an output layer tied to `weight`, the sums of all symbols [V, D].
    Finals and tones are today's Mandarin (recurra.data.mandarin); symbols without a reading have own vectors only.
    Shapes and settings as of the embedder "symbols", whose vectors start √3 times as long as each of the three.

    Source: Alexandrescu & Kirchhoff 2006, Factored neural language models.
    """

    factors: Tensor

    def build(self, sizes: Sizes) -> Self:
        """Make the vectors of `sizes.vocabulary` symbols; how those are read is for `describe` to say."""
        self.rows = sizes.vocabulary
        self.own, self.sounds = self.drawn(self.rows), self.drawn(len(FINALS) + len(TONES))
        with torch.no_grad():
            self.own.div_(math.sqrt(3))
            self.sounds.div_(GAIN * math.sqrt(3))
        self.register_buffer("factors", torch.full((self.rows, 2), -1))
        return self

    def describe(self, symbols: Sequence[str]) -> None:
        """Say which the symbols are that are numbered from 0 on; those behind them have no reading.

        Raises ConfigError where none of them has one, and where pypinyin is not installed.
        """
        found = {number: reading(symbol) for number, symbol in enumerate(symbols) if len(symbol) == 1}
        for number, read in found.items():
            if read is not None:
                final = FINALS.index(read[0]) if read[0] in FINALS else -1
                self.factors[number] = torch.tensor([final, len(FINALS) + TONES.index(read[1])])
        if (self.factors < 0).all():
            raise ConfigError(
                "embedder.kind = 'readings' is for Chinese characters, but none of the symbols is one. Set "
                "embedder.kind = 'symbols'."
            )

    @property
    def weight(self) -> Tensor:
        """The vectors of all symbols [V, D]."""
        return self.own + self._sound(self.factors)

    def look_up(self, symbols: Tensor) -> Tensor:
        return F.embedding(symbols, self.own) + self._sound(F.embedding(symbols, self.factors))

    def _sound(self, factors: Tensor) -> Tensor:
        """The sums of the vectors of factors' numbers [*, 2], −1 having none: [*, D]."""
        return GAIN * F.embedding(factors + 1, F.pad(self.sounds, (0, 0, 1, 0))).sum(-2)
