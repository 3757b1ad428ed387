"""The next values by a time-delay network over a window: what lies between a linear function and a recurrent net."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.baselines.linear_window import (
    Numbers,
    check_windows,
    columns_of,
    halves,
    least_squares,
    row_of,
    windows_and_seen,
    with_one,
)
from recurra.baselines.row import Row
from recurra.errors import ConfigError
from recurra.progress import steps
from recurra.registry import part
from recurra.types import Example

UPDATES, BATCH, RATE = 500, 256, 0.003
"""Steps of Adam, windows in each, and the rate that falls to 0 along a line. From 96 steps to 96 these are two seconds
of a processor, however long the series are."""
AT_ONCE = 20_000
"""Windows that are forecast at once."""


@part("baseline", "tdnn")
class TimeDelayNetwork:
    """x̂_{t+1 … t+horizon} − x_t = A d + c + s V tanh(U d / s + b), d_k = x_{t−k} − x_t for k < L = `look_back`: a delay
    line below `hidden_size` units, beside the linear function of the window.

    The same for all variables. A and c are the least squares of "linear-window" and stay; s is the spread of d. V
    begins at 0 and is learned with U and b: `UPDATES` steps of Adam on windows drawn by a seed, so that equal series
    have equal forecasts. Values that were not seen stand in windows as their reader filled them; U, b and V are not
    learned from them, and they are not scored.

    Raises ConfigError for sizes below 1; `rows` DataError where no series, to learn from or to forecast, is as long as
    a window.
    Source: Waibel, Hanazawa, Hinton, Shikano & Lang 1989, Phoneme recognition using time-delay neural networks, for the
    delay line; the core "tdnn" has it at every step and layer.
    """

    def __init__(self, look_back: int = 96, horizon: int = 96, hidden_size: int = 64) -> None:
        for name, value in (("look_back", look_back), ("horizon", horizon), ("hidden_size", hidden_size)):
            if value < 1:
                raise ConfigError(f"baseline.{name} = {value}, expected 1 or more.")
        self.look_back, self.horizon, self.hidden_size = look_back, horizon, hidden_size

    def rows(self, train: Sequence[Example], test: Sequence[Example], codecs: Mapping[str, Any]) -> Iterator[Row]:
        """Fit on the "series" of `train` and forecast from every place of `test`."""
        L, K = self.look_back, self.look_back + self.horizon
        check_windows("tdnn", train, test, K)
        linear = least_squares(train, codecs, L, self.horizon)
        network = _Network(list(columns_of(train, codecs, K)), linear, L, self.hidden_size)
        errors = []
        for windows, seen in windows_and_seen(test, codecs, K):
            for begin in range(0, len(windows), AT_ONCE):
                past, future = halves(windows[begin : begin + AT_ONCE], L)
                error = future - with_one(past) @ linear - network(past)
                errors.append(error[seen[begin : begin + AT_ONCE, L:] > 0])
        size = linear.size + sum(each.numel() for each in network.weights)
        note = f"{self.hidden_size} units, {UPDATES:,} updates"
        yield row_of("time-delay network on the window", size, "weights", np.concatenate(errors), note)


class _Network:
    """s V tanh(U d / s + b) of differences d [N, L], learned from what the linear function leaves."""

    def __init__(self, columns: Sequence[tuple[Numbers, Numbers]], linear: Numbers, L: int, H: int) -> None:
        generator, horizon = torch.Generator().manual_seed(0), linear.shape[1]
        U = ((2 * torch.rand(L, H, generator=generator) - 1) / math.sqrt(L)).requires_grad_()
        self.weights = [U, torch.zeros(H, requires_grad=True), torch.zeros(H, horizon, requires_grad=True)]
        draw = _Draw(columns, L + horizon)
        self._spread = float(np.sqrt(np.square(halves(draw()[0], L)[0]).mean())) or 1.0
        optimiser = torch.optim.Adam(self.weights, lr=RATE)
        with torch.enable_grad():
            for step in steps(range(UPDATES), "training a time-delay network", "steps"):
                windows, seen = draw()
                past, future = halves(windows, L)
                left = torch.from_numpy((future - with_one(past) @ linear) / self._spread).float()
                known = torch.from_numpy(seen[:, L:] > 0)
                optimiser.param_groups[0]["lr"] = RATE * (1 - step / UPDATES)
                error = (self._forward(past) - left).masked_fill(~known, 0)
                loss = error.square().sum() / known.sum().clamp(min=1)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()

    def __call__(self, past: Numbers) -> Numbers:
        with torch.no_grad():
            found: Numbers = self._forward(past).double().numpy() * self._spread
        return found

    def _forward(self, past: Numbers) -> Tensor:
        U, b, V = self.weights
        return torch.tanh(torch.from_numpy(past / self._spread).float() @ U + b) @ V


class _Draw:
    """`BATCH` windows, and which of their values were seen, [`BATCH`, K] each; all there are, are equally likely."""

    def __init__(self, columns: Sequence[tuple[Numbers, Numbers]], K: int) -> None:
        self._values, self._seen = (np.concatenate([each[side] for each in columns]) for side in (0, 1))
        lengths = np.array([len(values) for values, _ in columns])
        begins = np.cumsum(lengths) - lengths
        self._starts = np.concatenate([b + np.arange(n - K + 1) for b, n in zip(begins, lengths, strict=True)])
        self._steps, self._random = np.arange(K), np.random.default_rng(0)

    def __call__(self) -> tuple[Numbers, Numbers]:
        places = self._starts[self._random.integers(0, len(self._starts), BATCH)][:, None] + self._steps
        return self._values[places], self._seen[places]
