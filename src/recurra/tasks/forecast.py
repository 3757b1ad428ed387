"""Forecast a series of numbers: the next values of all its variables, with a range where that is asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra import registry
from recurra.answers import Answer, Series
from recurra.data.fields import Codecs
from recurra.decoding.state import leaves, rebuilt
from recurra.errors import ConfigError, DataError
from recurra.nn.pooling import Pooling, has_halves
from recurra.registry import part
from recurra.tasks.contract import Card
from recurra.tasks.scores import Scores, Table
from recurra.types import Batch, Example, Field, Lengths, Output, Sizes

LOW, HIGH = 0.1, 0.9
"""The quantiles that a range goes from and to."""
BANDS = 4
"""Parts of the horizon, at most, that errors are told for."""
NAIVE = "the last value again"


@dataclass(frozen=True)
class ForecastOptions:
    """What a forecast takes."""

    ahead: int | None = None
    """How many steps ahead; as many as the run was trained for, unless it says fewer."""

    def __post_init__(self) -> None:
        if self.ahead is not None and self.ahead < 1:
            raise ConfigError(f"ahead = {self.ahead}, expected 1 or more steps.")


@part("task", "forecast")
class Forecast(nn.Module):
    """The `horizon` next values of each variable.

    They are predicted from the `look_back` steps before them: a window is so long, and what a run is asked is read from
    so far back. With `subtract_last` the last value looked back on is taken from all others and given back to the
    forecast, so that a level never seen is none.

    What is predicted comes from the core in one of two ways. "direct": a linear layer on its last output y gives all
    values. "parallel": one more step of the core for each future segment m, all from the state h that it ended in,
    whose input is a vector that is learnt for m, and where variables are read apart one for the variable; a linear
    layer gives that segment's values, `segment` steps. That wants a core with a state.

    The loss is Σ (x − x̂)² or Σ |x − x̂|, or that of an `emission` of numbers (gaussian, quantiles), in the units of
    the input's codec.

    Reads the field "input" [B, T, W], and in training "target", the same one step later. `dropout` zeroes entries of y.
    Source of "parallel": Lin et al. 2023, SegRNN, section 3.3; of the last value: Zeng et al. 2023, Are transformers
    effective for time series forecasting?, NLinear.
    """

    fields: ClassVar[Mapping[str, Field]] = {"input": Field(("series",), {"kind": "scaled"})}
    unit = "values"
    causal = False
    main_metric = ("mse", "min")
    baselines = ("linear-window", "ar")
    card = Card("Forecast", "Numbers, a line a step, the latest last.", "1 2 3 4 5 6", "forecaster")
    Options: ClassVar[type] = ForecastOptions

    def __init__(
        self,
        look_back: int = 5,
        horizon: int = 1,
        decode: Literal["parallel", "direct"] = "parallel",
        segment: int = 1,
        subtract_last: bool = True,
        loss: Literal["squared", "absolute"] = "absolute",
        emission: dict | None = None,
        season: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        for name, value in (("look_back", look_back), ("horizon", horizon), ("segment", segment), ("season", season)):
            if value is not None and value < 1:
                raise ConfigError(f"task.{name} = {value}, expected 1 or more steps.")
        if not 0 <= dropout < 1:
            raise ConfigError(f"task.dropout = {dropout}, expected 0 or more and less than 1.")
        self.look_back, self.horizon, self.decode, self.subtract_last = look_back, horizon, decode, subtract_last
        self.segment = min(segment, horizon) if decode == "parallel" else horizon
        self.loss, self.season, self.dropout = loss, season, dropout
        self.emission: Any = None
        if emission is not None:
            self.emission = registry.construct("emission", emission, where="task.emission")
            if self.emission.target != "numbers":
                kind = emission["kind"]
                raise ConfigError(f"task.emission.kind = {kind!r}, expected one of numbers: gaussian, quantiles.")

    @property
    def implies(self) -> dict[str, Any]:
        """The windows and what is read before a part for its first one; a window's first step is no target."""
        return {
            "batching.steps": self.look_back + self.horizon - 1,
            "data.context": self.look_back,
            "baseline.look_back": self.look_back,
            "baseline.horizon": self.horizon,
            "baseline.season": self.season,
        }

    def build(self, sizes: Sizes) -> Self:
        """Make the layers from `sizes.core` units to the values of a segment, and the vectors of future segments."""
        self.pieces = -(-self.horizon // self.segment)
        self.variables, self.apart = sizes.width, sizes.apart
        size = self.segment * (1 if self.apart else sizes.width)
        self.pooling = Pooling("last", sizes.core)
        if self.emission is None:
            self.linear = nn.Linear(sizes.core, size)
        else:
            self.emission.build(sizes.core, size)
        if self.decode == "parallel":
            D = sizes.embedding
            own = D // 2 if self.apart else 0
            self.ahead = nn.Parameter(torch.randn(self.pieces, D - own))
            self.variable = nn.Parameter(torch.randn(sizes.width, own)) if own else None
        return self

    def adapt(self, encoded: Sequence[Mapping[str, Any]]) -> None:
        """Refuse training series that are all shorter than a window."""
        longest, window = max(len(each["input"]) for each in encoded), self.look_back + self.horizon
        if longest < window:
            raise DataError(
                f"the longest training series has {longest:,} steps, but {self.look_back:,} to look back on and a "
                f"horizon of {self.horizon:,} make {window:,}. Set task.look_back or task.horizon to less, or use "
                "longer series."
            )

    def forward(self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None) -> Output:
        """The loss of a batch of windows, summed over the values that there are."""
        return self._loss(embedder, core, batch, measured=False)

    @torch.no_grad()
    def measure(self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None) -> Output:
        """The loss with sums of squared and absolute errors, by parts of the horizon, too, and those of repeating."""
        return self._loss(embedder, core, batch, measured=True)

    def _loss(self, embedder: nn.Module, core: nn.Module, batch: Batch, measured: bool) -> Output:
        past, lengths, future = self._halves(batch)
        last = _last(past, lengths)
        y = self._vectors(embedder, core, Batch({"input": past}, Lengths(lengths)))
        target = self._arranged(future - last if self.subtract_last else future)
        if self.emission is not None:
            loss = self.emission.loss(y, target)
        else:
            error = torch.where(target.isnan(), 0, target - self.linear(y))
            loss = (error.square() if self.loss == "squared" else error.abs()).sum()
        there = ~future.isnan()
        details: dict[str, Tensor] = {}
        if not self.training:
            middle = self._middle(self._distribution(y, past.shape[0]), last)
            said = {"model": middle, **(self._naive(past, lengths) if measured else {})}
            for name, values in said.items():
                error = torch.where(there, future - values, 0)
                details |= {f"{name}_squared": error.square().sum(), f"{name}_absolute": error.abs().sum()}
        if measured:
            if (span := self._range(self._distribution(y, past.shape[0]), last)) is not None:
                low, high = span
                details["covered"] = ((future >= low) & (future <= high) & there).sum()
                details["width"] = (high - low).masked_fill(~there, 0).sum()
            for (begin, _), rows in zip(self._bands(), (future - middle).split(self._band, 1), strict=True):
                details |= {f"{begin}_squared": rows.square().nansum(), f"{begin}_values": (~rows.isnan()).sum()}
        sequences = len(past) if batch.structure.values is None else int((batch.structure.values > 0).sum())
        return Output(loss, int(there.sum()), sequences, None, details)

    def _naive(self, past: Tensor, lengths: Tensor | None) -> dict[str, Tensor]:
        """What repeating the last value forecasts, and the last season, where all look back on as much."""
        found = {"last": _last(past, lengths).expand(-1, self.horizon, -1)}
        if self.season is not None and lengths is None and past.shape[1] >= self.season:
            steps = torch.arange(self.horizon, device=past.device) % self.season - self.season
            found["season"] = past[:, past.shape[1] + steps]
        return found

    @property
    def _band(self) -> int:
        return -(-self.horizon // BANDS)

    def _bands(self) -> list[tuple[int, int]]:
        """The parts of the horizon that errors are told for, the first and the last step of each, from 1."""
        return [(k + 1, min(k + self._band, self.horizon)) for k in range(0, self.horizon, self._band)]

    def _halves(self, batch: Batch) -> tuple[Tensor, Tensor | None, Tensor]:
        """What is looked back on, [B, L, W], and its lengths where they differ; the horizon [B, horizon, W] behind it,
        NaN where a sequence ends before that. A sequence that is too short for both looks back on one step."""
        x, n = batch.fields["input"], batch.structure.values
        if "target" in batch.fields:
            x = torch.cat((x[:, :1], batch.fields["target"]), 1)
            n = None if n is None else n + 1
        T, H = x.shape[1], self.horizon
        if n is None and T > H:
            return x[:, : T - H], None, x[:, T - H :]
        n = torch.full((len(x),), T, device=x.device) if n is None else n
        lengths = (n - H).clamp(min=1).minimum(n)
        steps = lengths[:, None] + torch.arange(H, device=x.device)  # [B, H]
        future = x.gather(1, steps.clamp(max=T - 1)[..., None].expand(-1, -1, x.shape[2]))
        return x[:, : max(1, T - H)], lengths, future.masked_fill((steps >= n[:, None])[..., None], torch.nan)

    def _vectors(self, embedder: nn.Module, core: nn.Module, batch: Batch) -> Tensor:
        """The core's y that each segment's values come from, [B (· W) · pieces, H]."""
        past, lengths = batch.fields["input"], batch.structure.values
        if self.subtract_last:
            past = past - _last(past, lengths)
        x, structure = embedder(replace(batch, fields={**batch.fields, "input": past}))
        y, state = core(x, structure, None)
        if self.decode == "direct":
            self.pooling.both = has_halves(core)  # known of the core alone
            said = self.pooling(y, structure.values)
        else:
            found = leaves(state)
            if not found:
                raise ConfigError(
                    'task.decode = "parallel" goes on from the state of the core, and this one has none. Set '
                    'task.decode = "direct", or core.kind = "recurrent".'
                )
            state = rebuilt(state, [each.repeat_interleave(self.pieces, -2) for each in found])  # as an export can, too
            ahead = self.ahead.expand(x.shape[0], -1, -1)  # [R, pieces, D]
            if self.variable is not None:
                own = self.variable.repeat(past.shape[0], 1)[:, None].expand(-1, self.pieces, -1)
                ahead = torch.cat((ahead, own), 2)
            y, _ = core(ahead.flatten(0, 1)[:, None].to(x.dtype), Lengths(), state)
            said = y[:, 0]
        return F.dropout(said, self.dropout, self.training)

    def _arranged(self, future: Tensor) -> Tensor:
        """Values [B, horizon, W] as the rows of `_vectors` give them; NaN behind the horizon."""
        behind = self.pieces * self.segment - self.horizon
        x = F.pad(future, (0, 0, 0, behind), value=math.nan).unflatten(1, (self.pieces, self.segment))
        return x.permute(0, 3, 1, 2).flatten(0, 2) if self.apart else x.flatten(2).flatten(0, 1)

    def _distribution(self, y: Tensor, B: int) -> dict[str, Tensor]:
        """What is said of the values less the last one, by name, [B, horizon, W, …]."""
        given = {"value": self.linear(y)} if self.emission is None else self.emission.distribution(y)
        return {name: self._placed(each, B) for name, each in given.items()}

    def _placed(self, rows: Tensor, B: int) -> Tensor:
        rest = rows.shape[2:]
        if self.apart:
            x = rows.reshape(B, self.variables, self.pieces * self.segment, *rest).transpose(1, 2)
        else:
            x = rows.reshape(B, self.pieces * self.segment, self.variables, *rest)
        return x[:, : self.horizon]

    def _middle(self, said: Mapping[str, Tensor], last: Tensor) -> Tensor:
        """The one value that is forecast: the median of quantiles, else the mean."""
        found = said["value"] if self.emission is None else self.emission.sample(said, temperature=0)
        return found + last if self.subtract_last else found

    def _range(self, said: Mapping[str, Tensor], last: Tensor) -> tuple[Tensor, Tensor] | None:
        """From where to where eight of ten values lie, as those quantiles or a Gaussian say; None of what does not."""
        if "quantiles" in said and {LOW, HIGH} <= set(self.emission.levels):
            found = tuple(said["quantiles"][..., self.emission.levels.index(level)] for level in (LOW, HIGH))
        elif "spread" in said:
            away = math.sqrt(2) * float(torch.special.erfinv(torch.tensor(HIGH - LOW, dtype=torch.float64)))
            found = said["mean"] - away * said["spread"], said["mean"] + away * said["spread"]
        else:
            return None
        low, high = (each + last if self.subtract_last else each for each in found)
        return low, high

    def ask(self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None) -> dict[str, Tensor]:
        """ "forecast" [B, horizon, W] of what follows the input, and where an emission says them "low" and "high"."""
        past, lengths = _tail(batch.fields["input"], batch.structure.values, self.look_back)
        y = self._vectors(embedder, core, Batch({"input": past}, Lengths(lengths)))
        said, last = self._distribution(y, past.shape[0]), _last(past, lengths)
        span = self._range(said, last)
        return {
            "forecast": self._middle(said, last),
            **({} if span is None else dict(zip(("low", "high"), span, strict=True))),
        }

    def demonstration(self, examples: Sequence[Example], codecs: Codecs, seed: int) -> Sequence[Example]:
        """What is looked back on at the end of each series: all that its forecast is made from."""
        return [{**each, "series": np.asarray(each["series"])[-self.look_back :]} for each in examples]

    def answers(
        self, asked: Mapping[str, Tensor], examples: Sequence[Example], codecs: Codecs, options: ForecastOptions
    ) -> list[Answer]:
        """The forecast of every variable."""
        if options.ahead is not None and options.ahead > self.horizon:
            raise ConfigError(f"ahead = {options.ahead}, but this run forecasts {self.horizon} steps. Ask for as many.")
        found = []
        for row, example in enumerate(examples):
            said = {name: codecs["input"].decode(rows[row].cpu()[: options.ahead]) for name, rows in asked.items()}
            given = np.asarray(example["series"])
            if given.ndim == 1:
                found.append(Answer((Series(given, **said),)))
                continue
            names = example.get("names") or [f"{k}" for k in range(1, given.shape[1] + 1)]
            parts = (
                Series(given[:, k], **{key: rows[:, k] for key, rows in said.items()}, name=name)
                for k, name in enumerate(names)
            )
            found.append(Answer(tuple(parts)))
        return found

    def metrics(self, loss: float, targets: int, details: Mapping[str, float]) -> Scores:
        """ "mse" and "mae" in the units of the input's codec, and a table of the first by parts of the horizon; of a
        range "coverage_80", per cent, and "width_80"."""
        found = _errors("model", targets, details)
        if "covered" in details:
            found |= {"coverage_80": 100 * details["covered"] / targets, "width_80": details["width"] / targets}
        scores = Scores(found)
        rows: list[list[str | float]] = []
        for begin, end in self._bands():
            if values := details.get(f"{begin}_values"):
                rows.append([f"{begin} to {end}" if end > begin else f"{begin}", details[f"{begin}_squared"] / values])
        if rows:
            scores.tables["horizon"] = Table(columns=["steps ahead", "mse"], rows=rows)
        return scores

    def beside(
        self, embedder: nn.Module, core: nn.Module, targets: int, details: Mapping[str, float]
    ) -> list[dict[str, Any]]:
        """The naive forecasts of the same windows: the last value, and that of a season before."""
        named = {"last": NAIVE, "season": f"the value {self.season} steps before"}
        return [
            {"name": name, "size": 1, "unit": "value", "note": "", **_errors(key, targets, details)}
            for key, name in named.items()
            if f"{key}_squared" in details
        ]


def _last(x: Tensor, lengths: Tensor | None) -> Tensor:
    """The last step of each sequence [B, 1, D]."""
    if lengths is None:
        return x[:, -1:]
    return x.gather(1, (lengths - 1).clamp(min=0)[:, None, None].expand(-1, 1, x.shape[2]))


def _tail(x: Tensor, lengths: Tensor | None, steps: int) -> tuple[Tensor, Tensor | None]:
    """The last so many steps of each sequence, those of shorter ones all; and their lengths."""
    if lengths is None:
        return x[:, -steps:], None
    places = (lengths - steps).clamp(min=0)[:, None] + torch.arange(steps, device=x.device)
    return x.gather(1, places.clamp(max=x.shape[1] - 1)[..., None].expand(-1, -1, x.shape[2])), lengths.clamp(max=steps)


def _errors(name: str, targets: int, details: Mapping[str, float]) -> dict[str, float]:
    kinds = {"mse": "squared", "mae": "absolute"}
    return {key: details[f"{name}_{kind}"] / targets for key, kind in kinds.items() if f"{name}_{kind}" in details}
