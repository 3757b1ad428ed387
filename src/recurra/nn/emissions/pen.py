"""Where a pen goes, whether it is lifted then, and whether the drawing ends."""

from __future__ import annotations

from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from recurra.errors import ConfigError
from recurra.nn.emissions.bernoulli import Bernoulli
from recurra.nn.emissions.contract import Distribution, Target
from recurra.nn.emissions.mixture import Mixture
from recurra.registry import part


@part("emission", "pen")
class PenMove(nn.Module):
    """p(x, b | y) = Σ_k π_k N₂(x; μ_k, σ_k, ρ_k) Π_j p_j^b_j (1 − p_j)^(1 − b_j), targets [..., 2 + J]: the move x in
    the plane, J bits b behind it. Given y they do not depend on each other.

    The first factor is that of `Mixture` with so many `components` and a correlation, the second that of `Bernoulli`.
    Temperature acts on both.

    Raises ConfigError as they do, `build` for a target without bits.
    Source: Graves 2013, Generating sequences with recurrent neural networks, section 4.1.
    """

    target: ClassVar[Target] = "numbers"
    likelihood: ClassVar[bool] = True
    measured: ClassVar[int] = 2
    outputs: ClassVar[tuple[str, ...]] = ("log_weights", "mean", "spread", "correlation", "probability")
    """Those of the mixture, and of each bit the probability of a 1 [..., J]."""

    def __init__(self, components: int = 20, least_spread: float = 1e-3) -> None:
        super().__init__()
        self.move = Mixture(components, correlated=True, least_spread=least_spread)
        self.bits = Bernoulli()

    def build(self, width: int, size: int, init_range: float | None = None) -> Self:
        """Make both layers for targets of `size` numbers."""
        if size < 3:
            raise ConfigError(
                f"task.emission.kind = 'pen' is for two numbers and bits behind them, a step has {size}. Set "
                "input.kind = 'pen', or another emission."
            )
        self.move.build(width, 2, init_range)
        self.bits.build(width, size - 2, init_range)
        return self

    def loss(self, y: Tensor, target: Tensor) -> Tensor:
        """−Σ log p(target | y)."""
        return self.move.loss(y, target[..., :2]) + self.bits.loss(y, target[..., 2:])

    def log_p(self, y: Tensor, target: Tensor) -> Tensor:
        """log p(target | y), [...]; differentiable."""
        return self.move.log_p(y, target[..., :2]) + self.bits.log_p(y, target[..., 2:])

    def distribution(self, y: Tensor) -> dict[str, Tensor]:
        """The parameters of both."""
        return {**self.move.distribution(y), **self.bits.distribution(y)}

    def mean(self, given: Distribution) -> Tensor:
        """The expected move, and the probabilities of the bits."""
        return torch.cat((self.move.mean(given), self.bits.mean(given)), -1)

    def sample(
        self, given: Distribution, *, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """A move and its bits; temperature 0: the mean of the likeliest component, and the likelier of each bit."""
        move = self.move.sample(given, temperature=temperature, generator=generator)
        bits = self.bits.sample(given, temperature=temperature, generator=generator)
        return torch.cat((move, bits.to(move.dtype)), -1)
