"""What an emission is: the distribution of one step's target, given the y of that step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol, Self, runtime_checkable

import torch
from torch import Tensor, nn

from recurra.errors import ConfigError
from recurra.types import IGNORED

Target = Literal["symbol", "ranked symbol", "bits", "numbers"]
"""What a target is: a symbol's number, [...]; the same, numbered by falling frequency; [..., D] of 0 and 1; [..., D] of
real numbers."""
Distribution = Mapping[str, Tensor]
"""An emission's parameters by name, as `outputs` lists them: all that sampling needs, and what an export gives."""


class Emission(Protocol):
    """A distribution p(target | y) of a step, its parameters a layer's output on y.

    Leading axes are free: y [..., W]. A target that is `IGNORED` (NaN among real numbers) counts for nothing: of a
    vector, that entry alone. `sample` and `mean` need no weights: what an export gave is enough.
    """

    @property
    def target(self) -> Target:
        """What a target is."""
        ...

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the tensors of its distribution."""
        ...

    @property
    def likelihood(self) -> bool:
        """Whether `loss` is −Σ log p; else it is another sum, as the class says."""
        ...

    def build(self, width: int, size: int, init_range: float | None = None) -> Self:
        """Make the layer from y [..., width] to `size` symbols or entries; weights from U(−init_range, init_range),
        without one from U(−1/√width, 1/√width)."""
        ...

    def distribution(self, y: Tensor) -> dict[str, Tensor]:
        """The parameters for y [..., W], each with the leading axes of y."""
        ...

    def loss(self, y: Tensor, target: Tensor) -> Tensor:
        """The loss, summed over all targets; natural logarithm."""
        ...

    def log_p(self, y: Tensor, target: Tensor) -> Tensor:
        """log p(target | y) of every step, [...]; 0 where nothing of the target counts. Need not be differentiable."""
        ...

    def sample(
        self, given: Distribution, *, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """A target drawn for every step from p^(1/temperature); temperature 0 leaves nothing to chance."""
        ...


class HasMean(Emission, Protocol):
    """An emission whose targets are numbers, so that they have a mean."""

    def mean(self, given: Distribution) -> Tensor:
        """The expected target of every step, [..., D]."""
        ...


@runtime_checkable
class HasRange(Protocol):
    """An emission whose targets are numbers, of which it says where most of them lie."""

    def middle(self, given: Distribution, share: float) -> tuple[Tensor, Tensor] | None:
        """From where to where the middle `share` of the targets lie, [..., D] each, as many below as above; None where
        it does not say that of such a share."""
        ...


@runtime_checkable
class HasBits(Protocol):
    """An emission of numbers of which only the first are measured, the others bits."""

    measured: int
    """How many of a target's numbers are measured; those behind them are 0 or 1."""


def middle_of(emission: Any, given: Distribution, share: float) -> tuple[Tensor, Tensor] | None:
    """What `HasRange.middle` says; None of an emission that has none."""
    return emission.middle(given, share) if isinstance(emission, HasRange) else None


def counted(target: Tensor) -> Tensor:
    """Which targets, or which of their entries, count: those that are neither NaN nor `IGNORED`."""
    return ~target.isnan() if target.is_floating_point() else target != IGNORED


def check_temperature(temperature: float) -> None:
    """Raise `ConfigError` for a temperature below 0, or one that is no number."""
    if not temperature >= 0:
        raise ConfigError(
            f"temperature = {temperature}, expected 0 (nothing left to chance) or more; 1 is the model's."
        )


def layer(width: int, outputs: int, init_range: float | None) -> nn.Linear:
    """A linear layer with weights from U(−r, r), r = `init_range` or 1/√width, and a bias of 0."""
    made = nn.Linear(width, outputs)
    r = width**-0.5 if init_range is None else init_range
    nn.init.uniform_(made.weight, -r, r)
    nn.init.zeros_(made.bias)
    return made


def exact(z: Tensor) -> Tensor:
    """z in float32 or float64: products may be in bfloat16, what is made of them not."""
    return z.to(torch.promote_types(z.dtype, torch.float32))


def softplus_start(value: float) -> float:
    """The z with softplus(z) = value: where a bias starts that is to give it."""
    return float(torch.tensor(value, dtype=torch.float64).expm1().log())
