"""Made tasks that cannot be solved without remembering over a known number of steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from recurra.errors import ConfigError

SYMBOLS, COPIED = 8, 10
"""Of the copy problem: different symbols, and how many of them are to be copied."""


@dataclass(frozen=True, eq=False)
class Problem:
    """A task at one lag."""

    name: str
    lag: int
    inputs: int
    """Width of x."""
    outputs: int
    """Width of the answer at each step."""
    draw: Callable[[int, torch.Generator], tuple[Tensor, Tensor]]
    """`draw(B, generator)`: x [T, B, inputs] and what is to be answered."""
    loss: Callable[[Tensor, Tensor], Tensor]
    """`loss(answers, target)`: answers [T, B, outputs]; the error that is trained and reported."""
    baseline: float
    """The error of the best answer that remembers nothing."""
    unit: str

    @property
    def solved(self) -> float:
        """The error below which it counts as solved: a tenth of the baseline."""
        return self.baseline / 10


def adding(lag: int, batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The adding problem: x [lag, B, 2] holds numbers uniform in [0, 1] and marks, target [B] the sum of the marked.

    One mark lies in the first half, one in the second (Hochreiter & Schmidhuber 1997, section 5.4, in the form of Le,
    Jaitly & Hinton 2015). Who remembers nothing answers 1 and has a squared error of 2 · 1/12 = 1/6 in the mean.
    Raises `ConfigError` for a lag below 2.
    """
    if lag < 2:
        raise ConfigError(f"the adding problem over {lag} steps, expected 2 or more: there are two numbers to add.")
    half = lag // 2
    numbers = torch.rand(lag, batch, generator=generator)
    first = torch.randint(half, (batch,), generator=generator)
    second = torch.randint(half, lag, (batch,), generator=generator)
    rows = torch.arange(batch)
    marks = torch.zeros(lag, batch)
    marks[first, rows] = marks[second, rows] = 1.0
    return torch.stack((numbers, marks), 2), numbers[first, rows] + numbers[second, rows]


def copying(
    lag: int, batch: int, generator: torch.Generator, *, symbols: int = SYMBOLS, copied: int = COPIED
) -> tuple[Tensor, Tensor]:
    """The copy problem: numbers of symbols [lag + 2·copied, B], read and to be answered.

    Read are `copied` symbols, lag − 1 blanks, a sign to begin, and `copied` blanks; to be answered are blanks, and from
    the sign's next step on the symbols (Hochreiter & Schmidhuber 1997, in the form of Arjovsky, Shah & Bengio 2016,
    section 5.1). Blank and sign come behind the symbols in number. Raises `ConfigError` for a lag below 1.
    """
    if lag < 1:
        raise ConfigError(f"the copy problem over {lag} steps, expected 1 or more.")
    T = lag + 2 * copied
    drawn = torch.randint(symbols, (copied, batch), generator=generator)
    inputs, targets = torch.full((T, batch), symbols), torch.full((T, batch), symbols)
    inputs[:copied], targets[T - copied :] = drawn, drawn
    inputs[copied + lag - 1] = symbols + 1
    return inputs, targets


def chance(lag: int, *, symbols: int = SYMBOLS, copied: int = COPIED) -> float:
    """Nats a step of the copy problem for who knows when to answer but not what: copied · ln(symbols) / T."""
    return copied * math.log(symbols) / (lag + 2 * copied)


def _adding(lag: int) -> Problem:
    def error(answers: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(answers[-1, :, 0], target)

    return Problem(
        "adding", lag, 2, 1, lambda batch, generator: adding(lag, batch, generator), error, 1 / 6, "squared error"
    )


def _copying(lag: int) -> Problem:
    def draw(batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        inputs, targets = copying(lag, batch, generator)
        return F.one_hot(inputs, SYMBOLS + 2).float(), targets

    def error(answers: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(answers.flatten(0, 1), target.flatten())

    return Problem("copy", lag, SYMBOLS + 2, SYMBOLS + 1, draw, error, chance(lag), "nats a step")


PROBLEMS: Mapping[str, Callable[[int], Problem]] = {"adding": _adding, "copy": _copying}
