"""Optimisers: a part's keywords in a recipe, torch's own fused implementation behind them; and gradient clipping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from recurra.errors import ConfigError
from recurra.registry import part

# torch is imported where it is used: a recipe's keywords are compared with these signatures before it is loaded.
if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer


RATE = "rate"
"""The key of a group's own factor of the learning rate."""


class OptimiserPart(Protocol):
    """What the trainer asks of an optimiser's settings."""

    def build(self, parameters: Sequence[nn.Parameter], learning_rate: float) -> Optimizer:
        """torch's optimiser over the parameters."""


@part("optimiser", "sgd")
@dataclass(frozen=True)
class SGD:
    """w ← w − η (g + λ w); λ = `weight_decay` is the L2 penalty λ/2 ‖w‖². Vectors (biases, gains) are not decayed."""

    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _check("sgd", weight_decay=self.weight_decay)

    def build(self, parameters: Sequence[nn.Parameter], learning_rate: float) -> Optimizer:
        from torch.optim import SGD

        return SGD(_groups(parameters, self.weight_decay), lr=learning_rate, fused=_fused(parameters))


@part("optimiser", "momentum")
@dataclass(frozen=True)
class Momentum:
    """v ← μ v + g + λ w;  w ← w − η v, or with `nesterov` w ← w − η (g + λ w + μ v). λ is the L2 penalty, as in sgd."""

    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _check("momentum", (self.momentum,), weight_decay=self.weight_decay)

    def build(self, parameters: Sequence[nn.Parameter], learning_rate: float) -> Optimizer:
        import torch
        from torch.optim import SGD

        groups = _groups(parameters, self.weight_decay)
        nesterov = self.nesterov and self.momentum > 0
        made = SGD(groups, lr=learning_rate, momentum=self.momentum, nesterov=nesterov, fused=_fused(parameters))
        if self.momentum:
            for parameter in parameters:  # torch's fused step fails where one begins to learn later than others
                made.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        return made


@part("optimiser", "adam")
@dataclass(frozen=True)
class Adam:
    """Adam; λ = `weight_decay` is a true L2 penalty: λ w is added to the gradient, before its moments are taken.

    Source: Kingma & Ba 2015, algorithm 1.
    """

    betas: tuple[float, ...] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _check("adam", _pair("adam", self.betas), eps=self.eps, weight_decay=self.weight_decay)

    def build(self, parameters: Sequence[nn.Parameter], learning_rate: float) -> Optimizer:
        from torch.optim import Adam

        first, second = self.betas
        groups = _groups(parameters, self.weight_decay)
        return Adam(groups, lr=learning_rate, betas=(first, second), eps=self.eps, fused=_fused(parameters))


@part("optimiser", "adamw")
@dataclass(frozen=True)
class AdamW:
    """Adam with decoupled decay: w ← (1 − η λ) w beside the step, whatever the gradient's moments are.

    Source: Loshchilov & Hutter 2019, algorithm 2.
    """

    betas: tuple[float, ...] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        _check("adamw", _pair("adamw", self.betas), eps=self.eps, weight_decay=self.weight_decay)

    def build(self, parameters: Sequence[nn.Parameter], learning_rate: float) -> Optimizer:
        from torch.optim import AdamW

        first, second = self.betas
        groups = _groups(parameters, self.weight_decay)
        return AdamW(groups, lr=learning_rate, betas=(first, second), eps=self.eps, fused=_fused(parameters))


def set_rate(optimiser: Optimizer, parameters: Sequence[Tensor], rate: float) -> None:
    """Let some of the parameters learn at a rate that is the others' times `rate`: in groups of their own, each of
    which says so under `RATE`."""
    if rate == 1:
        return
    chosen, groups = {id(parameter) for parameter in parameters}, []
    for group in optimiser.param_groups:
        parts = [[p for p in group["params"] if (id(p) in chosen) == inside] for inside in (False, True)]
        groups += [{**group, "params": part, RATE: r} for part, r in zip(parts, (1.0, rate), strict=True) if part]
    optimiser.param_groups[:] = groups


def normalise_and_clip(
    gradients: list[Tensor], divisor: float, clip_value: float | None, clip_norm: float | None
) -> Tensor:
    """Divide the gradients by `divisor`, then clip them in place: each entry to ±`clip_value`, then the norm of all.

    Returns the norm ‖g‖ before clipping. Nothing is waited for: on a GPU the norm stays there.
    Source of clipping by norm: Pascanu, Mikolov & Bengio 2013, algorithm 1.
    """
    import torch

    norm = torch.nn.utils.get_total_norm(gradients) / divisor
    if clip_value is not None:
        torch._foreach_mul_(gradients, 1.0 / divisor)
        torch._foreach_clamp_min_(gradients, -clip_value)
        torch._foreach_clamp_max_(gradients, clip_value)
        if clip_norm is not None:
            torch._foreach_mul_(gradients, _shrink(torch.nn.utils.get_total_norm(gradients), clip_norm))
    elif clip_norm is not None:
        torch._foreach_mul_(gradients, _shrink(norm, clip_norm) / divisor)
    else:
        torch._foreach_mul_(gradients, 1.0 / divisor)
    return norm


def _shrink(norm: Tensor, largest: float) -> Tensor:
    return (largest / (norm + 1e-6)).clamp(max=1.0)


def _groups(parameters: Sequence[nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    """Matrices with the decay, vectors without; a group that is empty is left out."""
    matrices = [p for p in parameters if p.dim() >= 2]
    vectors = [p for p in parameters if p.dim() < 2]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def _fused(parameters: Sequence[nn.Parameter]) -> bool:
    return all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for p in parameters)


def _pair(optimiser: str, betas: tuple[float, ...]) -> tuple[float, ...]:
    if len(betas) != 2:
        raise ConfigError(f"optimiser {optimiser}: betas = {list(betas)}, expected two numbers such as [0.9, 0.999].")
    return betas


def _check(optimiser: str, decays: tuple[float, ...] = (), **non_negative: float) -> None:
    for decay in decays:
        if not 0.0 <= decay < 1.0:
            raise ConfigError(f"optimiser {optimiser}: {decay} decays a running mean, expected 0 ≤ value < 1.")
    for key, value in non_negative.items():
        if not value >= 0.0:
            raise ConfigError(f"optimiser {optimiser}: {key} = {value}, expected a number that is not negative.")
