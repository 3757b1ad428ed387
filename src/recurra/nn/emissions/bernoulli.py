"""Entries that are 0 or 1, each by itself: the keys of a piano roll, the pixels of a drawing."""

from __future__ import annotations

from typing import ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.nn.emissions.contract import Distribution, Target, check_temperature, counted, exact, layer
from recurra.registry import part


@part("emission", "bernoulli")
class Bernoulli(nn.Module):
    """p(x | y) = Π_d p_d^x_d (1 − p_d)^(1 − x_d), p = σ(V y + c); x [..., D] of 0 and 1."""

    target: ClassVar[Target] = "bits"
    outputs: ClassVar[tuple[str, ...]] = ("probability",)
    """[..., D], of a 1."""
    likelihood: ClassVar[bool] = True

    def build(self, width: int, size: int, init_range: float | None = None) -> Self:
        """Make the layer to `size` entries."""
        self.linear = layer(width, size, init_range)
        return self

    def begin_at(self, share: Tensor) -> None:
        """Let c begin at the share [D] of steps in which each entry is 1."""
        with torch.no_grad():
            self.linear.bias.copy_(share.clamp(1e-4, 1 - 1e-4).logit())

    def loss(self, y: Tensor, target: Tensor) -> Tensor:
        """−Σ log p(target | y)."""
        return -self.log_p(y, target).sum()

    def log_p(self, y: Tensor, target: Tensor) -> Tensor:
        """log p(target | y), [...]; differentiable."""
        z, there = exact(self.linear(y)), counted(target)
        x = target.masked_fill(~there, 0).to(z.dtype)
        losses = F.binary_cross_entropy_with_logits(z, x, reduction="none")
        return -losses.masked_fill(~there, 0).sum(-1)

    def distribution(self, y: Tensor) -> dict[str, Tensor]:
        """The probability of a 1 in every entry."""
        return {"probability": exact(self.linear(y)).sigmoid()}

    def mean(self, given: Distribution) -> Tensor:
        """The probabilities themselves."""
        return given["probability"]

    def sample(
        self, given: Distribution, *, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """Entries of 0 and 1; temperature 0: the likelier."""
        check_temperature(temperature)
        p = given["probability"]
        if temperature == 0:
            return (p > 0.5).to(p.dtype)
        return torch.bernoulli((p.logit() / temperature).sigmoid(), generator=generator)
