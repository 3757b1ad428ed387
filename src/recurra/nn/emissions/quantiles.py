"""Real numbers by their quantiles: no shape of the distribution is assumed."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.errors import ConfigError
from recurra.nn.emissions.categorical import draw_symbols
from recurra.nn.emissions.contract import Distribution, Target, check_temperature, counted, exact, layer, softplus_start
from recurra.registry import part

LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)


@part("emission", "quantiles")
class Quantiles(nn.Module):
    """q_i with p(x ≤ q_i) = τ_i for the levels τ_1 < … < τ_Q, each number of x [..., D] by itself.

    q_1 is the layer's output, q_{i+1} = q_i + softplus(·): they never cross. The loss is the pinball loss
    Σ_i max(τ_i (x − q_i), (τ_i − 1)(x − q_i)), summed over numbers and levels, whose minimum is the quantiles; it is in
    the unit of the targets.
    For sampling, and `log_p`, the density is flat between two quantiles and falls exponentially outside, beginning as
    high as beside it: below q_1 with the scale τ_1 (q_2 − q_1) / (τ_2 − τ_1), above q_Q likewise.

    Raises ConfigError for levels that do not rise between 0 and 1, or fewer than two.
    Source of the loss: Koenker & Bassett 1978, Regression quantiles.
    """

    target: ClassVar[Target] = "numbers"
    outputs: ClassVar[tuple[str, ...]] = ("quantiles",)
    """[..., D, Q]"""
    likelihood: ClassVar[bool] = False

    def __init__(self, levels: tuple[float, ...] = LEVELS) -> None:
        super().__init__()
        if len(levels) < 2 or any(high <= low for low, high in pairwise((0.0, *levels, 1.0))):
            raise ConfigError(
                f"task.emission.levels = {list(levels)}, expected two or more rising numbers between 0 and 1, such as "
                "[0.1, 0.5, 0.9]."
            )
        self.levels = levels

    def build(self, width: int, size: int, init_range: float | None = None) -> Self:
        """Make the layer to the quantiles of `size` entries; together they start about as wide as N(0, 1)'s."""
        Q = len(self.levels)
        self.linear = layer(width, size * Q, init_range)
        normal = torch.special.ndtri(torch.tensor(self.levels, dtype=torch.float64)).tolist()
        starts = [normal[0], *(softplus_start(high - low) for low, high in pairwise(normal))]
        with torch.no_grad():
            self.linear.bias.copy_(torch.tensor(starts).repeat(size))
        return self

    def loss(self, y: Tensor, target: Tensor) -> Tensor:
        """The pinball loss, summed over numbers and levels."""
        q, there = self.distribution(y)["quantiles"], counted(target)
        error = torch.where(there, target, 0).to(q.dtype)[..., None] - q  # [..., D, Q]
        tau = q.new_tensor(self.levels)
        return torch.maximum(tau * error, (tau - 1) * error).sum(-1).masked_fill(~there, 0).sum()

    def log_p(self, y: Tensor, target: Tensor) -> Tensor:
        """log of the density that samples are drawn from, [...]; differentiable."""
        q, there = self.distribution(y)["quantiles"], counted(target)
        x = torch.where(there, target, 0).to(q.dtype)[..., None]  # [..., D, 1]
        log_density, width = self._pieces(q)
        found = log_density.gather(-1, (x > q).sum(-1, keepdim=True))
        beyond = ((q[..., :1] - x) / width[..., :1]).relu() + ((x - q[..., -1:]) / width[..., -1:]).relu()
        return (found - beyond)[..., 0].masked_fill(~there, 0).sum(-1)

    def distribution(self, y: Tensor) -> dict[str, Tensor]:
        """The quantiles of every entry, rising."""
        z = exact(self.linear(y)).unflatten(-1, (-1, len(self.levels)))
        return {"quantiles": torch.cat((z[..., :1], F.softplus(z[..., 1:])), -1).cumsum(-1)}

    def mean(self, given: Distribution) -> Tensor:
        """The mean of the density that samples are drawn from."""
        q = given["quantiles"]
        log_density, width = self._pieces(q)
        ends = (q[..., :1] - width[..., :1], q[..., -1:] + width[..., -1:])
        centres = torch.cat((ends[0], (q[..., 1:] + q[..., :-1]) / 2, ends[1]), -1)
        return (log_density.exp() * width * centres).sum(-1)

    def middle(self, given: Distribution, share: float) -> tuple[Tensor, Tensor] | None:
        """The quantiles of (1 − share) / 2 and (1 + share) / 2; None where these are not among the levels."""
        wanted = ((1 - share) / 2, (1 + share) / 2)
        places = [k for k, own in enumerate(self.levels) if any(math.isclose(own, each) for each in wanted)]
        if len(places) < 2:
            return None
        return given["quantiles"][..., places[0]], given["quantiles"][..., places[1]]

    def sample(
        self, given: Distribution, *, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """Numbers [..., D]; temperature 0: the median, on a line between the quantiles beside it."""
        check_temperature(temperature)
        q = given["quantiles"]
        if temperature == 0:
            return self._median(q)
        log_density, width = self._pieces(q)
        k = draw_symbols(log_density / temperature + width.log() + self._tails(temperature, q), 1.0, generator)[
            ..., None
        ]
        inside = torch.empty_like(k, dtype=q.dtype).uniform_(generator=generator)
        outside = torch.empty_like(inside).exponential_(generator=generator) * temperature
        last = q.shape[-1]
        low = q.gather(-1, (k - 1).clamp(min=0))  # the piece's lower end, or q_1
        span = width.gather(-1, k)
        step = torch.where(k == 0, -outside, torch.where(k == last, outside, inside))
        return (low + step * span)[..., 0]

    def _pieces(self, q: Tensor) -> tuple[Tensor, Tensor]:
        """log density and width of the pieces below, between and above the quantiles, both [..., D, Q + 1]: width is
        an exponential's scale, so that density · width is the piece's share; log density is that at its inner end."""
        tau = q.new_tensor((0.0, *self.levels, 1.0)).diff()  # the shares
        gaps = q.diff().clamp(min=torch.finfo(q.dtype).tiny)
        first, last = gaps[..., :1] * tau[0] / tau[1], gaps[..., -1:] * tau[-1] / tau[-2]
        width = torch.cat((first, gaps, last), -1)
        return tau.log() - width.log(), width

    def _tails(self, temperature: float, q: Tensor) -> Tensor:
        """What the exponential pieces' shares grow by at a temperature: their scale does."""
        found = q.new_zeros(q.shape[-1] + 1)
        found[[0, -1]] = torch.tensor(temperature).log().to(q)
        return found

    def _median(self, q: Tensor) -> Tensor:
        tau = self.levels
        above = sum(level < 0.5 for level in tau)
        if above in (0, len(tau)):  # all levels on one side: in the exponential piece there
            _, width = self._pieces(q)
            end, share = (0, tau[0]) if above == 0 else (-1, 1 - tau[-1])
            offset = math.log(2 * share) * width[..., end]
            return q[..., end] - offset if above == 0 else q[..., end] + offset
        share = (0.5 - tau[above - 1]) / (tau[above] - tau[above - 1])
        return torch.lerp(q[..., above - 1], q[..., above], share)
