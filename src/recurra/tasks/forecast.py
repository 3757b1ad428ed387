"""Forecast a series of numbers: the next values of all its variables, with a range where that is asked for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
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
from recurra.nn.conformal import Conformal
from recurra.nn.frame import Frame, last_step, tail
from recurra.nn.pooling import Pooling, has_halves
from recurra.registry import part
from recurra.tasks.contract import Card
from recurra.tasks.scores import Scores, Table
from recurra.types import Batch, Example, Field, Lengths, Output, Sizes

USUAL = 80
"""Per cent of the values that lie in a range, where no levels are named."""
FLOOR = 1e-2
"""What a window's spread is never taken to be below, in units of the codec."""
BANDS = 4
"""Parts of the horizon, at most, that errors are told for."""
NAIVE = "the last value again"


@dataclass(frozen=True)
class ForecastOptions:
    """What a forecast takes."""

    ahead: int | None = None
    """How many steps ahead; as many as the run was trained for, unless it says fewer."""
    level: int | None = None
    """Per cent of the values that lie in the range beside the forecast; one of the run's `task.levels`, the first of
    them where none is said."""

    def __post_init__(self) -> None:
        if self.ahead is not None and self.ahead < 1:
            raise ConfigError(f"ahead = {self.ahead}, expected 1 or more steps.")


@part("task", "forecast")
class Forecast(nn.Module):
    """The `horizon` next values of each variable.

    They are predicted from the `look_back` steps before them: a window is so long, and what a run is asked is read from
    so far back. With `subtract` = "last" the last value looked back on is taken from all others and given back to the
    forecast, so that a level never seen is none; with "season" the last `season` of them, again and again. With
    `scale` = "window" what remains is divided by the spread of the window looked back on, s = √(variance + 10⁻⁴), so
    that series of all sizes are learnt alike.

    What is predicted comes from the core in one of two ways. "direct": a linear layer on its last output y gives all
    values. "parallel": one more step of the core for each future segment m, all from the state h that it ended in,
    whose input is a vector that is learnt for m, and where variables are read apart one for the variable; a linear
    layer gives that segment's values, `segment` steps. That wants a core with a state.

    The loss is Σ (x − x̂)² or Σ |x − x̂|, or that of an `emission` of numbers (gaussian, quantiles), in the units of
    the input's codec, of scaled windows in theirs.

    Ranges that hold `levels` per cent of the values each are set by the validation windows when training has ended
    (`recurra.nn.conformal`): around the forecast, or around what an emission says. An emission has one of its own, of
    80 %, where none are named.

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
        subtract: Literal["last", "season", "none"] = "last",
        scale: Literal["none", "window"] = "none",
        loss: Literal["squared", "absolute"] = "absolute",
        emission: dict | None = None,
        levels: tuple[int, ...] = (),
        season: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        for name, value in (("look_back", look_back), ("horizon", horizon), ("segment", segment), ("season", season)):
            if value is not None and value < 1:
                raise ConfigError(f"task.{name} = {value}, expected 1 or more steps.")
        if subtract == "season" and season is None:
            raise ConfigError('task.subtract = "season" wants to know how long one is: set task.season.')
        if not 0 <= dropout < 1:
            raise ConfigError(f"task.dropout = {dropout}, expected 0 or more and less than 1.")
        self.look_back, self.horizon, self.decode, self.subtract = look_back, horizon, decode, subtract
        self.segment = min(segment, horizon) if decode == "parallel" else horizon
        self.loss, self.season, self.dropout, self.scale = loss, season, dropout, scale
        self.conformal = Conformal(levels)
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
        self.conformal.build(self.horizon, sizes.width)
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
        frame = self._frame(past, lengths)
        y = self._vectors(embedder, core, Batch({"input": past}, Lengths(lengths)), frame)
        target = self._arranged(frame.of_future(future))
        if self.emission is not None:
            loss = self.emission.loss(y, target)
        else:
            error = torch.where(target.isnan(), 0, target - self.linear(y))
            loss = (error.square() if self.loss == "squared" else error.abs()).sum()
        there = ~future.isnan()
        details: dict[str, Tensor] = {}
        if not self.training:
            middle = frame.future(self._middle(self._distribution(y, past.shape[0])))
            said = {"model": middle, **(self._naive(past, lengths) if measured else {})}
            for name, values in said.items():
                error = torch.where(there, future - values, 0)
                details |= {f"{name}_squared": error.square().sum(), f"{name}_absolute": error.abs().sum()}
        if measured:
            for level, (low, high) in self._ranges(self._distribution(y, past.shape[0])).items():
                low, high = frame.future(low), frame.future(high)
                details[f"covered_{level}"] = ((future >= low) & (future <= high) & there).sum()
                details[f"width_{level}"] = (high - low).masked_fill(~there, 0).sum()
            for (begin, _), rows in zip(self._bands(), (future - middle).split(self._band, 1), strict=True):
                details |= {f"{begin}_squared": rows.square().nansum(), f"{begin}_values": (~rows.isnan()).sum()}
        sequences = len(past) if batch.structure.values is None else int((batch.structure.values > 0).sum())
        return Output(loss, int(there.sum()), sequences, None, details)

    @torch.no_grad()
    def conform(self, embedder: nn.Module, core: nn.Module, batches: Iterable[Batch]) -> None:
        """Set the ranges by windows that training did not learn from."""
        if self.conformal.levels:
            self.conformal.fit(self._errors(embedder, core, batch) for batch in batches)

    def _errors(self, embedder: nn.Module, core: nn.Module, batch: Batch) -> Tensor:
        """How far values lie outside what is said of them, [B, levels, horizon, W]; below 0 inside of a range."""
        past, lengths, future = self._halves(batch)
        frame = self._frame(past, lengths)
        y = self._vectors(embedder, core, Batch({"input": past}, Lengths(lengths)), frame)
        said, inside = self._distribution(y, past.shape[0]), frame.of_future(future)
        pairs = (self._own(said, level) for level in self.conformal.levels)
        return torch.stack([torch.maximum(low - inside, inside - high) for low, high in pairs], 1)

    def _naive(self, past: Tensor, lengths: Tensor | None) -> dict[str, Tensor]:
        """What repeating the last value forecasts, and the last season, where all look back on as much."""
        found = {"last": last_step(past, lengths).expand(-1, self.horizon, -1)}
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

    def _frame(self, past: Tensor, lengths: Tensor | None) -> Frame:
        """The level and the unit that a window is read and forecast in."""
        season = {"last": 1, "season": self.season or 1, "none": 0}[self.subtract]
        return Frame.of(past, lengths, season, FLOOR if self.scale == "window" else None)

    def _vectors(self, embedder: nn.Module, core: nn.Module, batch: Batch, frame: Frame) -> Tensor:
        """The core's y that each segment's values come from, [B (· W) · pieces, H]."""
        past = frame.of_past(batch.fields["input"])
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

    def _middle(self, said: Mapping[str, Tensor]) -> Tensor:
        """The one value that is forecast, inside its frame: the median of quantiles, else the mean."""
        return said["value"] if self.emission is None else self.emission.sample(said, temperature=0)

    def _own(self, said: Mapping[str, Tensor], level: int) -> tuple[Tensor, Tensor]:
        """From where to where `level` per cent of the values lie as an emission says, or, where it does not say it of
        that level, 80; the forecast twice where it says nothing of the kind."""
        if "quantiles" in said:
            for each in (level, USUAL):
                wanted = [(100 - each) / 200, (100 + each) / 200]
                places = [k for k, own in enumerate(self.emission.levels) if any(math.isclose(own, w) for w in wanted)]
                if len(places) == 2:
                    return said["quantiles"][..., places[0]], said["quantiles"][..., places[1]]
        if "spread" in said:
            away = math.sqrt(2) * float(torch.special.erfinv(torch.tensor(level / 100, dtype=torch.float64)))
            return said["mean"] - away * said["spread"], said["mean"] + away * said["spread"]
        middle = self._middle(said)
        return middle, middle

    def _ranges(self, said: Mapping[str, Tensor]) -> dict[int, tuple[Tensor, Tensor]]:
        """The ranges by level, inside their frame: those that windows held out set, NaN before; without levels an
        emission's own."""
        if self.conformal.levels:
            margins = zip(self.conformal.levels, self.conformal.margins, strict=True)
            found = {level: (*self._own(said, level), margin) for level, margin in margins}
            return {level: (low - q, torch.maximum(low - q, high + q)) for level, (low, high, q) in found.items()}
        low, high = self._own(said, USUAL)
        return {} if low is high else {USUAL: (low, high)}

    def ask(self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None) -> dict[str, Tensor]:
        """ "forecast" [B, horizon, W] of what follows the input, and of ranges, by their level, "low_80", "high_80"."""
        past, lengths = tail(batch.fields["input"], batch.structure.values, self.look_back)
        frame = self._frame(past, lengths)
        y = self._vectors(embedder, core, Batch({"input": past}, Lengths(lengths)), frame)
        said = self._distribution(y, past.shape[0])
        asked = {"forecast": frame.future(self._middle(said))}
        for level, (low, high) in self._ranges(said).items():
            asked |= dict(zip(of_range(level), (frame.future(low), frame.future(high)), strict=True))
        return asked

    def demonstration(self, examples: Sequence[Example], codecs: Codecs, seed: int) -> Sequence[Example]:
        """What is looked back on at the end of each series: all that its forecast is made from."""
        return [{**each, "series": np.asarray(each["series"])[-self.look_back :]} for each in examples]

    def answers(
        self, asked: Mapping[str, Tensor], examples: Sequence[Example], codecs: Codecs, options: ForecastOptions
    ) -> list[Answer]:
        """The forecast of every variable."""
        if options.ahead is not None and options.ahead > self.horizon:
            raise ConfigError(f"ahead = {options.ahead}, but this run forecasts {self.horizon} steps. Ask for as many.")
        levels = [int(name.removeprefix("low_")) for name in asked if name.startswith("low_")]
        if options.level is not None and options.level not in levels:
            known = (
                f"it knows {', '.join(map(str, levels))}" if levels else "it has no ranges: set task.levels, and train"
            )
            raise ConfigError(f"level = {options.level} is none of this run's; {known}.")
        level = options.level or next(iter(levels), None)
        found = []
        low, high = of_range(level)
        for said, example in zip(self.forecasts(asked, codecs), examples, strict=True):
            ahead = {name: values[: options.ahead] for name, values in said.items()}
            given = np.asarray(example["series"])
            if given.ndim == 1:
                found.append(Answer((Series(given, ahead["forecast"], ahead.get(low), ahead.get(high), level=level),)))
                continue
            parts = []
            for k, name in enumerate(example.get("names") or [f"{k}" for k in range(1, given.shape[1] + 1)]):
                one = {key: values[:, k] for key, values in ahead.items()}
                parts.append(Series(given[:, k], one["forecast"], one.get(low), one.get(high), name=name, level=level))
            found.append(Answer(tuple(parts)))
        return found

    def forecasts(self, asked: Mapping[str, Tensor], codecs: Codecs) -> list[dict[str, np.ndarray]]:
        """What was asked, example by example, in the units of the file: [horizon, W] each, of numbers [horizon]."""
        rows = {name: each.cpu() for name, each in asked.items()}
        count = len(next(iter(rows.values())))
        return [{name: codecs["input"].decode(each[row]) for name, each in rows.items()} for row in range(count)]

    def metrics(self, loss: float, targets: int, details: Mapping[str, float]) -> Scores:
        """ "mse" and "mae" in the units of the input's codec, and a table of the first by parts of the horizon; of
        ranges "coverage_80", per cent, and "width_80", by their level."""
        found = _errors("model", targets, details)
        for name in details:
            kind, _, level = name.partition("_")
            if kind in ("covered", "width") and level:
                key = f"coverage_{level}" if kind == "covered" else name
                found[key] = (100 if kind == "covered" else 1) * details[name] / targets
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


def of_range(level: int | None) -> tuple[str, str]:
    """What the ends of a range are called that holds `level` per cent of the values."""
    return f"low_{level}", f"high_{level}"


def _errors(name: str, targets: int, details: Mapping[str, float]) -> dict[str, float]:
    kinds = {"mse": "squared", "mae": "absolute"}
    return {key: details[f"{name}_{kind}"] / targets for key, kind in kinds.items() if f"{name}_{kind}" in details}
