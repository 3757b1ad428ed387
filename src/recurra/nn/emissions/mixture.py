"""Real numbers from one of several Gaussians: what may go this way or that, as a pen does."""

from __future__ import annotations

from typing import ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.errors import ConfigError
from recurra.nn.emissions.categorical import draw_symbols
from recurra.nn.emissions.contract import Distribution, Target, check_temperature, counted, exact, layer, softplus_start
from recurra.nn.emissions.gaussian import LOG_2PI, checked_spread, noise
from recurra.registry import part

MOST_CORRELATION = 0.999
"""Of two numbers, so that 1 − ρ² never rounds to 0."""


@part("emission", "mixture")
class Mixture(nn.Module):
    """p(x | y) = Σ_k π_k Π_d N(x_d; μ_kd, σ_kd²), x [..., D], parameters from layers on y: π = softmax(z), μ = z,
    σ = `least_spread` + softplus(z).

    With `correlated`, for D = 2 alone, component k has a correlation ρ_k = 0.999 tanh(z) of the two numbers:
    log N = −½ Z / (1 − ρ²) − log(2π σ₁ σ₂ √(1 − ρ²)),  Z = z₁² + z₂² − 2 ρ z₁ z₂,  z = (x − μ) / σ.
    An entry that does not count is integrated out. Temperature T draws the component from π^(1/T), then from it with
    the variances T σ².

    Raises ConfigError for no component, for a `least_spread` that is not between 0 and 1 and, from `build`, for a
    correlation of other than two numbers.
    Source: Bishop 1994, Mixture density networks; Graves 2013, Generating sequences with recurrent neural networks,
    section 4.
    """

    target: ClassVar[Target] = "numbers"
    likelihood: ClassVar[bool] = True

    def __init__(self, components: int = 10, correlated: bool = False, least_spread: float = 1e-3) -> None:
        super().__init__()
        if components < 1:
            raise ConfigError(f"task.emission.components = {components}, expected 1 or more Gaussians.")
        self.components, self.correlated, self.least_spread = components, correlated, checked_spread(least_spread)

    @property
    def outputs(self) -> tuple[str, ...]:
        """ "log_weights" [..., K], "mean" and "spread" [..., K, D], and, if correlated, "correlation" [..., K]."""
        return ("log_weights", "mean", "spread", *(["correlation"] if self.correlated else []))

    def build(self, width: int, size: int, init_range: float | None = None) -> Self:
        """Make the layer to the components' parameters for `size` entries; their means start from N(0, 1)."""
        if self.correlated and size != 2:
            raise ConfigError(
                f"task.emission.correlated = true is for targets of 2 numbers, these have {size}. Set it to false."
            )
        K, KD = self.components, self.components * size
        self.sizes = (K, KD, KD, *([K] if self.correlated else []))
        self.linear = layer(width, sum(self.sizes), init_range)
        with torch.no_grad():
            self.linear.bias[K : K + KD].normal_()
            self.linear.bias[K + KD : K + 2 * KD] = softplus_start(1 - self.least_spread)
        return self

    def loss(self, y: Tensor, target: Tensor) -> Tensor:
        """−Σ log p(target | y)."""
        return -self.log_p(y, target).sum()

    def log_p(self, y: Tensor, target: Tensor) -> Tensor:
        """log p(target | y), [...]; differentiable."""
        given, there = self.distribution(y), counted(target)
        x = torch.where(there, target, 0).to(given["mean"].dtype)[..., None, :]
        there = there[..., None, :]  # [..., 1, D]
        z = ((x - given["mean"]) / given["spread"]).masked_fill(~there, 0)  # [..., K, D]
        each = -0.5 * (z.square() + LOG_2PI) - given["spread"].log()
        log_n = each.masked_fill(~there, 0).sum(-1)  # [..., K]
        if self.correlated:
            rho = torch.where(there.all(-1), given["correlation"], 0)
            rest = 1 - rho.square()  # turns the product of the two into their joint density
            log_n = log_n + (rho * z.prod(-1) - 0.5 * rho.square() * z.square().sum(-1)) / rest - 0.5 * rest.log()
        found: Tensor = (given["log_weights"] + log_n).logsumexp(-1)
        return found.masked_fill(~there[..., 0, :].any(-1), 0)

    def distribution(self, y: Tensor) -> dict[str, Tensor]:
        """Weight, mean, standard deviation and perhaps correlation of every component."""
        weights, mean, spread, *rest = exact(self.linear(y)).split(self.sizes, -1)
        mean, spread = (each.unflatten(-1, (self.components, -1)) for each in (mean, spread))
        found = {
            "log_weights": F.log_softmax(weights, -1),
            "mean": mean,
            "spread": self.least_spread + F.softplus(spread),
        }
        return found | ({"correlation": MOST_CORRELATION * rest[0].tanh()} if self.correlated else {})

    def mean(self, given: Distribution) -> Tensor:
        """Σ_k π_k μ_k."""
        return (given["log_weights"].exp()[..., None] * given["mean"]).sum(-2)

    def sample(
        self, given: Distribution, *, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """Numbers [..., D]; temperature 0: the mean of the likeliest component."""
        check_temperature(temperature)
        k = draw_symbols(given["log_weights"], temperature, generator)[..., None]  # [..., 1]
        row = k[..., None].expand(*k.shape, given["mean"].shape[-1])  # [..., 1, D]
        mean, spread = (given[name].gather(-2, row)[..., 0, :] for name in ("mean", "spread"))
        z = noise(mean, generator)
        if self.correlated:
            rho = given["correlation"].gather(-1, k)
            z = torch.cat((z[..., :1], rho * z[..., :1] + (1 - rho.square()).sqrt() * z[..., 1:]), -1)
        return mean + temperature**0.5 * spread * z
