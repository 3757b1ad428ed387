"""Learning-rate schedules: pure functions of how far training is, giving a factor of the learning rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from recurra.errors import ConfigError
from recurra.registry import part


class Schedule(Protocol):
    """What the trainer asks before every step."""

    def rate(self, epoch: float, progress: float, history: Sequence[float]) -> float:
        """The factor after `epoch` epochs, with fraction, at `progress` 0..1; `history`: validation losses."""


@part("schedule", "constant")
@dataclass(frozen=True)
class Constant:
    """rate = 1."""

    def rate(self, epoch: float, progress: float, history: Sequence[float]) -> float:
        return 1.0


@part("schedule", "staircase")
@dataclass(frozen=True)
class Staircase:
    """rate = factor^n, n = 0 during the first `after` epochs, then one more every `every` epochs.

    `after = 0` stands for `every`: the plain staircase factor^⌊epoch / every⌋. `factor=0.5, after=4` is Zaremba's small
    model, which halves at the start of epochs 5, 6, 7 …
    Source: Zaremba, Sutskever & Vinyals 2014, section 4.1.
    """

    factor: float = 0.5
    every: int = 1
    after: int = 0

    def __post_init__(self) -> None:
        _within("staircase", "factor", self.factor, 0, 1)
        _within("staircase", "every", self.every, 1, math.inf)
        _within("staircase", "after", self.after, 0, math.inf)

    def rate(self, epoch: float, progress: float, history: Sequence[float]) -> float:
        flat = self.after or self.every
        if epoch < flat:
            return 1.0
        return self.factor ** (math.floor((epoch - flat) / self.every) + 1)


@part("schedule", "exponential")
@dataclass(frozen=True)
class Exponential:
    """rate = factor^(epoch − after), 1 during the first `after` epochs; falls a little at every step."""

    factor: float = 0.97
    after: float = 0.0

    def __post_init__(self) -> None:
        _within("exponential", "factor", self.factor, 0, 1)
        _within("exponential", "after", self.after, 0, math.inf)

    def rate(self, epoch: float, progress: float, history: Sequence[float]) -> float:
        return self.factor ** max(0.0, epoch - self.after)


@part("schedule", "inverse-time")
@dataclass(frozen=True)
class InverseTime:
    """rate = 1 / (1 + decay · epoch): the 1/t of stochastic approximation. Source: Robbins & Monro 1951."""

    decay: float = 1.0

    def __post_init__(self) -> None:
        _within("inverse-time", "decay", self.decay, 0, math.inf)

    def rate(self, epoch: float, progress: float, history: Sequence[float]) -> float:
        return 1.0 / (1.0 + self.decay * epoch)


@part("schedule", "plateau")
@dataclass(frozen=True)
class Plateau:
    """rate = max(floor, factor^n), n one more each time `patience` + 1 validations in a row brought no new best.

    A new best is lower than the former one by more than `improvement`, in nats per target.
    """

    factor: float = 0.5
    patience: int = 0
    improvement: float = 0.0
    floor: float = 0.0

    def __post_init__(self) -> None:
        _within("plateau", "factor", self.factor, 0, 1)
        _within("plateau", "patience", self.patience, 0, math.inf)
        _within("plateau", "improvement", self.improvement, 0, math.inf)
        _within("plateau", "floor", self.floor, 0, 1)

    def rate(self, epoch: float, progress: float, history: Sequence[float]) -> float:
        best, waited, falls = math.inf, 0, 0
        for loss in history:
            if loss < best - self.improvement:
                best, waited = loss, 0
                continue
            waited += 1
            if waited > self.patience:
                falls, waited = falls + 1, 0
        return max(self.floor, self.factor**falls)


@part("schedule", "warmup-cosine")
@dataclass(frozen=True)
class WarmupCosine:
    """Linear from `floor` to 1 over the first `warmup` part of the run, then half a cosine back down to `floor`.

    rate = floor + (1 − floor) · p/w                                     for p < w,
    rate = floor + (1 − floor) · ½ (1 + cos(π (p − w)/(1 − w)))          after, with progress p and w = warmup.
    Source: Loshchilov & Hutter 2017, eq. 5, one period.
    """

    warmup: float = 0.02
    floor: float = 0.01

    def __post_init__(self) -> None:
        _within("warmup-cosine", "warmup", self.warmup, 0, 1)
        _within("warmup-cosine", "floor", self.floor, 0, 1)

    def rate(self, epoch: float, progress: float, history: Sequence[float]) -> float:
        if progress < self.warmup:
            share = progress / self.warmup
        elif self.warmup == 1.0:
            share = 1.0
        else:
            share = 0.5 * (1.0 + math.cos(math.pi * (progress - self.warmup) / (1.0 - self.warmup)))
        return self.floor + (1.0 - self.floor) * share


def _within(schedule: str, key: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        bounds = f"at least {low}" if high == math.inf else f"from {low} to {high}"
        raise ConfigError(f"schedule {schedule}: {key} = {value} is out of range, expected {bounds}.")
