"""Forecasts: the next numbers of a series by their quantiles, beside two naive forecasts."""

from collections.abc import Mapping
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

HORIZON, LEVELS = 6, (0.1, 0.5, 0.9)


@part("reader", "column-of-numbers")
class ColumnReader:
    """The `series` in a column of each CSV; its first line is a header."""

    fields: ClassVar[Mapping[str, str]] = {"series": "numbers"}

    def __init__(self, column: int = 0) -> None:
        self.column = column

    def read(self, *paths):
        for path in map(Path, paths):
            try:
                yield {"series": np.loadtxt(path, delimiter=",", skiprows=1, usecols=self.column), "place": str(path)}
            except (ValueError, OSError) as error:
                raise DataError(f"{path}: {error}, expected a column of numbers. Say which: reader.column") from error

    def sniff(self, path):
        return None


@dataclass(frozen=True)
class Options:
    """What a forecast takes."""

    ahead: int = HORIZON
    """How many steps ahead; 6 at most."""


@part("task", "six-ahead")
class Forecast(nn.Module):
    """Quantiles of the next six numbers at every step; the pinball loss."""

    fields: ClassVar[Mapping[str, Field]] = {"input": Field(("series",), {"kind": "scaled"})}
    unit, causal, main_metric = "forecasts", True, ("pinball", "min")
    baselines = ("naive-forecasts",)
    card = Card("Forecast", "Numbers, a line each, the latest last.", "1 2 3 4 5 6")
    Options = Options

    def __init__(self) -> None:
        super().__init__()
        self.emission = registry.construct("emission", {"kind": "quantiles", "levels": list(LEVELS)})

    def build(self, sizes):
        self.emission.build(sizes.core, HORIZON)
        return self

    def forward(self, embedder, core, batch, state=None):
        return self.measure(embedder, core, batch, state)

    def measure(self, embedder, core, batch, state=None):
        y, state = core(*embedder(batch), state)  # [B, T, H]
        x = torch.cat((batch.fields["input"][:, :1], batch.fields["target"]), 1)[..., 0]  # [B, T + 1]
        B, T = y.shape[:2]
        lengths = torch.full((B,), T) if batch.structure.values is None else batch.structure.values
        steps = torch.arange(T)[:, None] + torch.arange(1, HORIZON + 1)  # [T, HORIZON]
        future = x[:, steps.clamp(max=T)].masked_fill(steps > lengths[:, None, None], torch.nan)
        error = (future - self.emission.distribution(y)["quantiles"][..., len(LEVELS) // 2]).abs().nansum()
        targets = int((~future.isnan()).sum())
        return Output(self.emission.loss(y, future), targets, B, state, details={"absolute": error})

    def metrics(self, loss, targets, details):
        return Scores({"pinball": loss / targets, "absolute_error": details["absolute"] / targets})

    def beside(self, embedder, core, targets, details):
        return []

    def ask(self, embedder, core, batch, state=None):
        y, _ = core(*embedder(batch), state)
        lengths = batch.structure.values
        return self.emission.distribution(y[:, -1] if lengths is None else y[torch.arange(y.shape[0]), lengths - 1])

    def answers(self, asked, examples, codecs, options):
        found = []
        for q, example in zip(asked["quantiles"].cpu(), examples, strict=True):  # [HORIZON, levels]
            low, middle, high = (codecs["input"].decode(row[: options.ahead, None]) for row in q.T)
            found.append(Answer((Series(example["series"], middle, low, high),)))
        return found

    def follow(self, embedder, y, memory=None):
        return self.emission.distribution(y), None

    def followed(self, symbol, number, before, now, codecs, top):
        middle = now["quantiles"][0, :, len(LEVELS) // 2]
        return {"read": symbol, "forecast": codecs["input"].decode(middle.cpu()[:, None]).tolist()}


@part("baseline", "naive-forecasts")
class Naive:
    """The last number again and again, and the numbers of one `period` before; before there is one, the last."""

    def __init__(self, period: int = 12) -> None:
        self.period = period

    def rows(self, train, test, codecs):
        x = codecs["input"].encode(test[0]["series"])[:, 0].astype(float)
        for name, back in (("persistence", 1), (f"{self.period} steps before", self.period)):
            pairs = [(t, t + k) for t in range(len(x) - 1) for k in range(1, HORIZON + 1) if t + k < len(x)]
            error = np.array([x[n] - x[t if t < back - 1 else t - back + 1 + (n - t - 1) % back] for t, n in pairs])
            pinball = sum(np.maximum(level * error, (level - 1) * error) for level in LEVELS)
            yield Row(name, back, "numbers", log_p=-pinball, sums={"absolute": float(np.abs(error).sum())})
