"""One of V symbols, by a softmax."""

from __future__ import annotations

import math
from typing import ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.nn.emissions.contract import Distribution, Target, check_temperature
from recurra.nn.softmax import linear_cross_entropy, linear_log_probability
from recurra.registry import part


@part("emission", "categorical")
class Categorical(nn.Module):
    """p(v | y) = softmax(V y + c)_v, a symbol's number.

    Built as `tied` it has no V of its own: `loss`, `log_p` and `distribution` are given the matrix [V, W], usually the
    embedder's. The loss never holds the softmax of all steps at once, see `linear_cross_entropy`.
    """

    target: ClassVar[Target] = "symbol"
    outputs: ClassVar[tuple[str, ...]] = ("log_probabilities",)
    """[..., V]"""
    likelihood: ClassVar[bool] = True

    weight: nn.Parameter | None
    bias: nn.Parameter

    def build(self, width: int, size: int, init_range: float | None = None, tied: bool = False) -> Self:
        """Make the layer to `size` symbols; c starts from 0, or with an `init_range` from the U that V starts from."""
        self.bias = nn.Parameter(torch.zeros(size))
        self.weight = None if tied else nn.Parameter(torch.empty(size, width))
        if init_range is not None:
            nn.init.uniform_(self.bias, -init_range, init_range)
        if self.weight is not None:
            r = 1 / math.sqrt(width) if init_range is None else init_range
            nn.init.uniform_(self.weight, -r, r)
        return self

    def loss(self, y: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """−Σ log p(target | y)."""
        return linear_cross_entropy(y.flatten(0, -2), self._matrix(weight), self.bias, target.reshape(-1))

    def log_p(self, y: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """log p(target | y), [...]; not differentiable."""
        rows = linear_log_probability(y.flatten(0, -2), self._matrix(weight), self.bias, target.reshape(-1))
        return rows.view(target.shape)

    def distribution(self, y: Tensor, weight: Tensor | None = None) -> dict[str, Tensor]:
        """log p of every symbol."""
        return {"log_probabilities": F.log_softmax(F.linear(y, self._matrix(weight), self.bias), -1)}

    def sample(
        self, given: Distribution, *, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """Symbols [...]; temperature 0: the likeliest."""
        return draw_symbols(given["log_probabilities"], temperature, generator)

    def _matrix(self, given: Tensor | None) -> Tensor:
        weight = self.weight if given is None else given
        if weight is None:
            raise TypeError("a tied emission wants the matrix it is tied to: weight=…")
        return weight


def draw_symbols(log_p: Tensor, temperature: float, generator: torch.Generator | None) -> Tensor:
    """Numbers [...] drawn from p^(1/temperature), which need not sum to 1; log_p [..., V]."""
    check_temperature(temperature)
    if temperature == 0:
        return log_p.argmax(-1)
    p = (log_p / temperature).softmax(-1)
    return torch.multinomial(p.flatten(0, -2), 1, generator=generator).view(log_p.shape[:-1])
