"""Forecasts: the next numbers of a series by their quantiles, beside two naive forecasts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from recurra import registry
from recurra.answers import Answer, Series
from recurra.baselines.row import Row
from recurra.errors import DataError
from recurra.registry import part
from recurra.tasks.contract import Card
from recurra.tasks.scores import Scores
from recurra.types import Field, Output


@part("reader", "column-of-numbers")
class ColumnReader:
    """A column of a CSV with a header, in the order of time: the `series` of some steps, the `future` behind it."""

    fields: ClassVar[Mapping[str, str]] = {"series": "numbers", "future": "numbers"}
    ordered = True  # examples follow each other in time, so that parts are cut in that order

    def __init__(self, column: int = 0, steps: int = 36, horizon: int = 6) -> None:
        self.column, self.steps, self.horizon = column, steps, horizon

    def read(self, *paths):
        for path in map(Path, paths):
            try:
                x = np.loadtxt(path, delimiter=",", skiprows=1, usecols=self.column)
            except (ValueError, OSError) as error:
                raise DataError(f"{path}: {error}, expected a column of numbers. Say which: reader.column") from error
            for begin in range(0, len(x) - self.steps - self.horizon + 1, self.horizon):
                given, future = np.split(x[begin : begin + self.steps + self.horizon], [self.steps])
                yield {"series": given, "future": future, "place": f"{path}:{begin + 2}"}

    def sniff(self, path):
        return None


@dataclass(frozen=True)
class Options:
    """What a forecast takes."""

    ahead: int = 0
    """How many steps ahead; 0: all that were trained."""


@part("task", "forecast")
class Forecast(nn.Module):
    """Quantiles of the next `horizon` numbers from the core's last state; the pinball loss."""

    fields: ClassVar[Mapping[str, Field]] = {
        "input": Field(("series",), {"kind": "scaled"}),
        "future": Field(("future",), {"kind": "scaled"}, learned=True, record="input"),
    }
    unit, causal, main_metric = "numbers", True, ("mae", "min")
    baselines = ("naive-forecasts",)
    card = Card("Forecast", "Numbers, the latest last.", "1 2 3 4 5 6")
    Options = Options

    def __init__(self, horizon: int = 6, levels: tuple[float, ...] = (0.1, 0.5, 0.9)) -> None:
        super().__init__()
        self.horizon = horizon
        self.emission = registry.construct("emission", {"kind": "quantiles", "levels": list(levels)})

    def build(self, sizes):
        self.emission.build(sizes.core, self.horizon)
        return self

    def forward(self, embedder, core, batch, state=None):
        last, state = self.last(embedder, core, batch, state)
        future = batch.fields["future"][..., 0]  # [B, horizon]
        return Output(self.emission.loss(last, future), future.numel(), len(future), state)

    def ask(self, embedder, core, batch, state=None):
        return self.emission.distribution(self.last(embedder, core, batch, state)[0])

    def last(self, embedder, core, batch, state):
        y, state = core(embedder(batch), batch.structure, state)
        lengths = batch.structure.values
        return y[:, -1] if lengths is None else y[torch.arange(len(y)), lengths - 1], state

    def answers(self, asked, examples, codecs, options):
        found = []
        for q, example in zip(asked["quantiles"].cpu(), examples, strict=True):  # q [horizon, Q]
            ahead = q[: options.ahead or len(q)].T[..., None]
            low, *between, high = (codecs["input"].decode(row) for row in ahead)
            middle = between[len(between) // 2]
            found.append(Answer((Series(example["series"], middle, low, high),)))
        return found

    def score(self, gold: Sequence, predicted: Sequence, codecs=None) -> Scores:
        error = np.array([p["forecast"] for p in predicted]) - np.array([g["future"] for g in gold])
        return Scores({"mae": float(np.abs(error).mean()), "rmse": float(np.sqrt((error**2).mean()))})

    def follow(self, embedder, y, memory=None):
        return self.emission.distribution(y), None

    def followed(self, symbol, number, before, now, codecs, top):
        middle = now["quantiles"][0, :, now["quantiles"].shape[-1] // 2]
        return {"read": symbol, "forecast": codecs["input"].decode(middle.cpu()[:, None]).tolist()}


@part("baseline", "naive-forecasts")
class Naive:
    """The last number again and again, and the numbers of one `period` before."""

    def __init__(self, period: int = 12) -> None:
        self.period = period

    def rows(self, train, test, codecs):
        steps = np.arange(len(test[0]["future"]))
        for name, back in (("persistence", 1), (f"{self.period} steps before", self.period)):
            forecasts = [example["series"][len(example["series"]) - back + steps % back] for example in test]
            yield Row(name, back, "numbers", [{"forecast": each.tolist()} for each in forecasts])
