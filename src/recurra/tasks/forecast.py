"""Forecast a series of numbers: the next values of all its variables, with a range where that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra import registry
from recurra.answers import Answer, Series
from recurra.data.codecs.calendar import Calendar
from recurra.data.fields import Codecs
from recurra.decoding.state import leaves, rebuilt
from recurra.errors import ConfigError, DataError
from recurra.nn.conformal import Conformal
from recurra.nn.covariates import Covariates
from recurra.nn.emissions.contract import middle_of
from recurra.nn.frame import Frame, Window
from recurra.nn.highway import Highway, training_windows
from recurra.nn.pooling import Pooling, has_halves
from recurra.nn.segments import FutureSegments
from recurra.nn.unrolled import unrolled
from recurra.nn.windows import Windows
from recurra.registry import part
from recurra.tasks.contract import Card
from recurra.tasks.rolling_scores import levels_of
from recurra.tasks.scores import Scores
from recurra.tasks.window_scores import by_band, by_range, errors, repeating, rows_of, scores_of
from recurra.types import GAPS, Batch, Example, Field, Lengths, Output, Sizes

USUAL = 80
"""Per cent of the values that lie in a range, where no levels are named."""
FLOOR = 1e-2
"""What a window's spread is never taken to be below, in units of the codec."""
STEPWISE = ("series", "times", "known", "past", *GAPS)
"""Fields of an example with a value a step."""


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

    What is predicted comes from the core in one of three ways. "direct": a linear layer on its last output y gives all
    values. "parallel": one more step of the core for each future segment m, all from the state h that it ended in,
    whose input is a vector that is learnt for m, and where variables are read apart one for the variable; a linear
    layer gives that segment's values, `segment` steps. "recursive": a linear layer on each y gives the segment that
    follows, which is read in its turn, as if it had come. The last two want a core with a state.

    `covariates` are added to each step that the core reads (`recurra.nn.covariates`): "past", known up to now; "known",
    whose values of the steps to come are known, too; "calendar", where times stand in their hour, weekday, day or
    month, as `calendar` names them.

    With `linear` the least squares of each variable by its own window stand beside the network (`recurra.nn.highway`),
    which says what they leave; not for "recursive", which reads its own values.

    The loss is Σ (x − x̂)² or Σ |x − x̂|, or that of an `emission` of numbers (gaussian, quantiles), in the units of
    the input's codec, of scaled windows in theirs.

    Ranges that hold `levels` per cent of the values each are set by the validation windows when training has ended
    (`recurra.nn.conformal`): around the forecast, or around what an emission says. An emission has one of its own, of
    80 %, where none are named.

    Where the reader says what was seen, only what was is learnt from and scored.

    Reads the field "input" [B, T, W], and in training "target", the same one step later, with "target_seen". `dropout`
    zeroes entries of y.
    Source of "parallel": Lin et al. 2023, SegRNN, section 3.3; of the last value: Zeng et al. 2023, Are transformers
    effective for time series forecasting?, NLinear.
    """

    unit = "values"
    causal = False
    main_metric = ("mse", "min")
    baselines = ("linear-window", "tdnn", "ar")
    card = Card("Forecast", "Numbers, a line a step, the latest last.", "1 2 3 4 5 6", "forecaster")
    Options: ClassVar[type] = ForecastOptions

    def __init__(
        self,
        look_back: int = 5,
        horizon: int = 1,
        decode: Literal["parallel", "direct", "recursive"] = "parallel",
        segment: int = 1,
        subtract: Literal["last", "season", "none"] = "last",
        scale: Literal["none", "window"] = "none",
        loss: Literal["squared", "absolute"] = "absolute",
        emission: dict | None = None,
        levels: tuple[int, ...] = (),
        covariates: tuple[Literal["calendar", "known", "past"], ...] = (),
        calendar: tuple[str, ...] = ("hour", "weekday"),
        season: int | None = None,
        dropout: float = 0.0,
        linear: bool = False,
    ) -> None:
        super().__init__()
        for name, value in (("look_back", look_back), ("horizon", horizon), ("segment", segment), ("season", season)):
            if value is not None and value < 1:
                raise ConfigError(f"task.{name} = {value}, expected 1 or more steps.")
        if subtract == "season" and season is None:
            raise ConfigError('task.subtract = "season" wants to know how long one is: set task.season.')
        if not 0 <= dropout < 1:
            raise ConfigError(f"task.dropout = {dropout}, expected 0 or more and less than 1.")
        if linear and decode == "recursive":
            raise ConfigError(
                'task.linear puts a linear forecast beside the whole horizon, but task.decode = "recursive" says it '
                'segment by segment. Set task.decode = "parallel" or "direct".'
            )
        self.look_back, self.horizon, self.decode, self.subtract = look_back, horizon, decode, subtract
        self.segment = horizon if decode == "direct" else min(segment, horizon)
        order = ("calendar", "known", "past")  # those known of the future first
        self.covariates, self.calendar = tuple(sorted({*covariates}, key=order.index)), calendar
        Calendar(calendar)  # which refuses what it does not know
        self.windows = Windows(look_back, horizon, self.covariates)
        self.loss, self.season, self.dropout, self.scale = loss, season, dropout, scale
        self.beside_linear = linear
        self.conformal = Conformal(levels)
        self.emission: Any = None
        if emission is not None:
            self.emission = registry.construct("emission", emission, where="task.emission")
            if self.emission.target != "numbers":
                kind = emission["kind"]
                raise ConfigError(f"task.emission.kind = {kind!r}, expected one of numbers: gaussian, quantiles.")

    @property
    def fields(self) -> Mapping[str, Field]:
        """The series, what is read beside it, and of what is known of the future the steps to come."""
        kinds: dict[str, dict[str, Any]] = {name: {"kind": "scaled"} for name in ("known", "past")}
        kinds["calendar"] = {"kind": "calendar", "names": self.calendar}
        found = {"input": Field(("series",), {"kind": "scaled"}), "seen": GAPS["seen"]}
        for name in self.covariates:
            of = "times" if name == "calendar" else name
            later = None if name == "past" else f"next_{name}"
            found[name] = Field((of,), kinds[name], along=True, following=later, by_task=True)
        if "known" in self.covariates:
            found["known_to_come"] = Field(("known_to_come",), kinds["known"], record="known", length=self.horizon)
        if "calendar" in self.covariates:
            found["calendar_to_come"] = Field(("times",), {**kinds["calendar"], "ahead": self.horizon})
        return found

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
        self.coming = FutureSegments(self.horizon, self.segment, sizes.width, sizes.apart)
        size = self.segment * (1 if sizes.apart else sizes.width)
        self.pooling = Pooling("last", sizes.core)
        self.conformal.build(self.horizon, sizes.width)
        if self.emission is None:
            self.linear = nn.Linear(sizes.core, size)
        else:
            self.emission.build(sizes.core, size)
        told = "since" in sizes.fields  # which is there where the embedder is told
        self.highway = Highway(self.look_back, self.horizon, sizes.width, told) if self.beside_linear else None
        D = sizes.embedding
        if self.decode == "recursive" and self.segment != sizes.stride:
            raise ConfigError(
                f"task.segment = {self.segment} steps are forecast at once, but {sizes.stride} read at once: to go on "
                "from its own forecast these are alike. Set task.segment and embedder.segment to one number."
            )
        widths = {name: sizes.fields[name] for name in self.covariates}
        known = sum(width for name, width in widths.items() if name != "past")
        self.added = Covariates(sum(widths.values()), known) if self.covariates else None
        if self.added is not None:
            self.added.build(sizes.stride, self.segment, D, sizes.core if self.decode == "direct" else D)
        if self.decode == "parallel":
            own = D // 2 if sizes.apart else 0
            self.ahead = nn.Parameter(torch.randn(self.coming.count, D - own))
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

    def begin_with(self, embedder: nn.Module, core: nn.Module, encoded: Sequence[Mapping[str, Any]]) -> str:
        """Solve the least squares beside the network, where there are any."""
        if self.highway is None:
            return ""
        floor = FLOOR if self.scale == "window" else None
        self.highway.fit(training_windows(encoded, self.look_back, self.horizon, self._seasonal, floor))
        return f"Beside the network: least squares of the last {self.look_back:,} steps of each variable."

    def forward(self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None) -> Output:
        """The loss of a batch of windows, summed over the values that there are."""
        return self._loss(embedder, core, batch, measured=False)

    @torch.no_grad()
    def measure(self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None) -> Output:
        """The loss with sums of squared and absolute errors, by parts of the horizon, too, and those of repeating."""
        return self._loss(embedder, core, batch, measured=True)

    def _loss(self, embedder: nn.Module, core: nn.Module, batch: Batch, measured: bool) -> Output:
        window = self.windows.learnt(batch)
        past, future = window.past, window.future
        frame = self._frame(window)
        y = self._vectors(embedder, core, window, frame)
        target = self.coming.rows(frame.of_future(future))
        if self.emission is not None:
            loss = self.emission.loss(y, target)
        else:
            error = torch.where(target.isnan(), 0, target - self.linear(y))
            loss = (error.square() if self.loss == "squared" else error.abs()).sum()
        details: dict[str, Tensor] = {}
        if not self.training:
            distribution = self._distribution(y, past.shape[0])
            middle = frame.future(self._middle(distribution))
            details |= errors(future, {"model": middle, **(repeating(window, self.season) if measured else {})})
        if measured:
            inside = self._ranges(distribution)
            ranges = {level: (frame.future(low), frame.future(high)) for level, (low, high) in inside.items()}
            details |= {**by_range(future, ranges), **by_band(future, middle)}
        sequences = len(past) if batch.structure.values is None else int((batch.structure.values > 0).sum())
        return Output(loss, int((~future.isnan()).sum()), sequences, None, details)

    @torch.no_grad()
    def conform(self, embedder: nn.Module, core: nn.Module, batches: Iterable[Batch]) -> None:
        """Set the ranges by windows that training did not learn from."""
        if self.conformal.levels:
            self.conformal.fit(self._errors(embedder, core, batch) for batch in batches)

    def _errors(self, embedder: nn.Module, core: nn.Module, batch: Batch) -> Tensor:
        """How far values lie outside what is said of them, [B, levels, horizon, W]; below 0 inside of a range."""
        window = self.windows.learnt(batch)
        frame = self._frame(window)
        y = self._vectors(embedder, core, window, frame)
        said, inside = self._distribution(y, window.past.shape[0]), frame.of_future(window.future)
        pairs = (self._own(said, level) for level in self.conformal.levels)
        return torch.stack([torch.maximum(low - inside, inside - high) for low, high in pairs], 1)

    @property
    def _seasonal(self) -> int:
        """How many of the last steps are taken from a window."""
        return {"last": 1, "season": self.season or 1, "none": 0}[self.subtract]

    def _frame(self, window: Window) -> Frame:
        """The level and the unit that a window is read and forecast in, and what is known to follow it."""
        frame = Frame.of(window.past, window.lengths, self._seasonal, FLOOR if self.scale == "window" else None)
        if self.highway is None:
            return frame
        line = self.highway(frame.of_past(window.past), window.lengths, window.gaps.get("seen"))
        return replace(frame, line=line)

    def _vectors(self, embedder: nn.Module, core: nn.Module, window: Window, frame: Frame) -> Tensor:
        """The core's y that each segment's values come from, [B (· W) · pieces, H]."""
        past = frame.of_past(window.past)
        x, structure = embedder(Batch({"input": past, **window.gaps}, Lengths(window.lengths)))
        if self.added is not None:
            x = self.added(x, torch.cat(list(window.beside), 2), window.lengths)
        y, state = core(x, structure, None)
        if self.decode == "direct":
            said = self._future(self._end(core, y, structure)[:, None], window)[:, 0]
            return F.dropout(said, self.dropout, self.training)
        if not leaves(state):
            raise ConfigError(
                f'task.decode = "{self.decode}" goes on from the state of the core, and this one has none. Set '
                'task.decode = "direct", or core.kind = "recurrent".'
            )
        if self.decode == "recursive":
            said = unrolled(
                core, self._end(core, y, structure), state, self.coming.count, self._following(embedder, window)
            )
        else:
            state = rebuilt(state, [each.repeat_interleave(self.coming.count, -2) for each in leaves(state)])
            ahead = self.ahead.expand(x.shape[0], -1, -1)  # [R, pieces, D]
            if self.variable is not None:
                own = self.variable.repeat(past.shape[0], 1)[:, None].expand(-1, self.coming.count, -1)
                ahead = torch.cat((ahead, own), 2)
            ahead = self._future(ahead.to(x.dtype), window)
            said, _ = core(ahead.flatten(0, 1)[:, None], Lengths(), state)
        return F.dropout(said.flatten(0, 1), self.dropout, self.training)

    def _end(self, core: nn.Module, y: Tensor, structure: Lengths) -> Tensor:
        """The core's last y of each sequence."""
        self.pooling.both = has_halves(core)  # known of the core alone
        return self.pooling(y, structure.values)

    def _future(self, z: Tensor, window: Window) -> Tensor:
        """Inputs of future segments [R, pieces, D] with what is known of them."""
        if self.added is None or not window.to_come:
            return z
        return self.added.of_future(z, torch.cat(list(window.to_come), 2))

    def _following(self, embedder: nn.Module, window: Window) -> Callable[[int, Tensor], Tensor]:
        """What the core reads after it said a segment: that segment, as if it had come."""
        B = window.past.shape[0]

        def read(m: int, y: Tensor) -> Tensor:
            values = self._middle(self._distribution(y, B, 1))  # [B, segment, W]
            x, _ = embedder(Batch({"input": values}))
            if window.to_come:
                known = torch.cat(list(window.to_come), 2)[:, (m - 1) * self.segment : m * self.segment]
                x = self._future(x, replace(window, to_come=[known]))
            return x

        return read

    def _distribution(self, y: Tensor, B: int, pieces: int | None = None) -> dict[str, Tensor]:
        """What is said of the values inside their frame, by name, [B, horizon, W, …], or of so many segments."""
        given = {"value": self.linear(y)} if self.emission is None else self.emission.distribution(y)
        return {name: self.coming.values(each, B, pieces) for name, each in given.items()}

    def _middle(self, said: Mapping[str, Tensor]) -> Tensor:
        """The one value that is forecast, inside its frame: the median of quantiles, else the mean."""
        return said["value"] if self.emission is None else self.emission.sample(said, temperature=0)

    def _own(self, said: Mapping[str, Tensor], level: int) -> tuple[Tensor, Tensor]:
        """From where to where `level` per cent of the values lie as an emission says, or, where it does not say it of
        that level, 80; the forecast twice where it says nothing of the kind."""
        for each in (level, USUAL):
            if (found := middle_of(self.emission, said, each / 100)) is not None:
                return found
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
        window = self.windows.asked(batch)
        frame = self._frame(window)
        y = self._vectors(embedder, core, window, frame)
        said = self._distribution(y, window.past.shape[0])
        asked = {"forecast": frame.future(self._middle(said))}
        for level, (low, high) in self._ranges(said).items():
            asked |= dict(zip(of_range(level), (frame.future(low), frame.future(high)), strict=True))
        return asked

    def demonstration(self, examples: Sequence[Example], codecs: Codecs, seed: int) -> Sequence[Example]:
        """What is looked back on at the end of each series: all that its forecast is made from; where some of the steps
        to come is read, as far before the end."""
        before = self.horizon if "known" in self.covariates else 0
        return [self.at(each, len(each["series"]) - before) for each in examples]

    def at(self, example: Example, place: int) -> Example:
        """An example as it is asked from a place in it: what is looked back on, and what is known of steps to come."""
        begin = max(0, place - self.look_back)
        cut = {name: example[name][begin:place] for name in STEPWISE if name in example}
        if "known" in self.covariates and "known" in example:
            cut["known_to_come"] = example["known"][place : place + self.horizon]
        return {**example, **cut}

    def answers(
        self, asked: Mapping[str, Tensor], examples: Sequence[Example], codecs: Codecs, options: ForecastOptions
    ) -> list[Answer]:
        """The forecast of every variable."""
        if options.ahead is not None and options.ahead > self.horizon:
            raise ConfigError(f"ahead = {options.ahead}, but this run forecasts {self.horizon} steps. Ask for as many.")
        whole = self.forecasts(asked, codecs)
        levels = levels_of(whole[0]) if whole else []
        if options.level is not None and options.level not in levels:
            known = f"it knows {', '.join(map(str, levels))}" if levels else "they are set when a training has ended"
            raise ConfigError(f"level = {options.level} is none of this run's levels (task.levels); {known}.")
        level = options.level or next(iter(levels), None)
        found = []
        low, high = of_range(level)
        for said, example in zip(whole, examples, strict=True):
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
        """What was asked, example by example, in the units of the file: [horizon, W] each, of numbers [horizon]. Ranges
        that nothing has set, as of a training that was stopped, are left out."""
        rows = {name: each.cpu() for name, each in asked.items() if name == "forecast" or not each.isnan().all()}
        count = len(next(iter(rows.values())))
        return [{name: codecs["input"].decode(each[row]) for name, each in rows.items()} for row in range(count)]

    def metrics(self, loss: float, targets: int, details: Mapping[str, float]) -> Scores:
        """Of the windows of a part: `recurra.tasks.window_scores`."""
        return scores_of(self.horizon, targets, details)

    def beside(
        self, embedder: nn.Module, core: nn.Module, targets: int, details: Mapping[str, float]
    ) -> list[dict[str, Any]]:
        """The naive forecasts of the same windows: the last value, and that of a season before."""
        return rows_of(self.season, targets, details)


def of_range(level: int | None) -> tuple[str, str]:
    """What the ends of a range are called that holds `level` per cent of the values."""
    return f"low_{level}", f"high_{level}"
