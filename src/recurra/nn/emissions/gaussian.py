"""Real numbers with a mean and a spread for every step."""

from __future__ import annotations

import math
from typing import ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.errors import ConfigError
from recurra.nn.emissions.contract import (
    Distribution,
    Target,
    check_temperature,
    counted,
    exact,
    layer,
    softplus_start,
)
from recurra.registry import part

LOG_2PI = math.log(2 * math.pi)


@part("emission", "gaussian")
class Gaussian(nn.Module):
    """p(x | y) = Π_d N(x_d; μ_d, σ_d²), μ = V y + c, σ = `least_spread` + softplus(W y + b); x [..., D].

    σ starts near 1, as targets are best scaled. `least_spread`, in the unit of the targets, bounds what the model may
    win where a series stands still. Temperature T draws with the variance T σ². Raises ConfigError for a `least_spread`
    that is not between 0 and 1.
    """

    target: ClassVar[Target] = "numbers"
    outputs: ClassVar[tuple[str, ...]] = ("mean", "spread")
    """Both [..., D]; the spread is the standard deviation."""
    likelihood: ClassVar[bool] = True

    def __init__(self, least_spread: float = 1e-3) -> None:
        super().__init__()
        self.least_spread = checked_spread(least_spread)

    def build(self, width: int, size: int, init_range: float | None = None) -> Self:
        """Make the layer to a mean and a spread for each of `size` entries."""
        self.linear = layer(width, 2 * size, init_range)
        with torch.no_grad():
            self.linear.bias[size:] = softplus_start(1 - self.least_spread)
        return self

    def loss(self, y: Tensor, target: Tensor) -> Tensor:
        """−Σ log p(target | y)."""
        return -self.log_p(y, target).sum()

    def log_p(self, y: Tensor, target: Tensor) -> Tensor:
        """log p(target | y), [...]; differentiable."""
        given, there = self.distribution(y), counted(target)
        x = torch.where(there, target, 0).to(given["mean"].dtype)
        z = (x - given["mean"]) / given["spread"]
        each = -0.5 * (z.square() + LOG_2PI) - given["spread"].log()
        return each.masked_fill(~there, 0).sum(-1)

    def distribution(self, y: Tensor) -> dict[str, Tensor]:
        """Mean and standard deviation of every entry."""
        mean, spread = exact(self.linear(y)).chunk(2, -1)
        return {"mean": mean, "spread": self.least_spread + F.softplus(spread)}

    def mean(self, given: Distribution) -> Tensor:
        """The means themselves."""
        return given["mean"]

    def middle(self, given: Distribution, share: float) -> tuple[Tensor, Tensor]:
        """As many spreads to both sides of the mean as N(0, 1) has."""
        away = float(torch.special.ndtri(torch.tensor((1 + share) / 2, dtype=torch.float64)))
        return given["mean"] - away * given["spread"], given["mean"] + away * given["spread"]

    def sample(
        self, given: Distribution, *, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """Numbers [..., D]; temperature 0: the mean."""
        check_temperature(temperature)
        return given["mean"] + temperature**0.5 * given["spread"] * noise(given["mean"], generator)


def checked_spread(least_spread: float) -> float:
    """`least_spread`; raises `ConfigError` where it is none."""
    if not 0 < least_spread < 1:
        raise ConfigError(
            f"task.emission.least_spread = {least_spread}, expected more than 0 and less than 1, where a spread starts."
        )
    return least_spread


def noise(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Independent numbers from N(0, 1) of the shape, type and device of a tensor."""
    return torch.empty_like(like).normal_(generator=generator)
