"""A run asked from many places of series what follows, beside what did: rolling origins, or cutoffs."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from recurra import registry, signatures, storage
from recurra.asking.threads import threads_set
from recurra.config import Data
from recurra.data.files import counted
from recurra.data.parts import gather
from recurra.data.timed import WHOLE, context_of
from recurra.diagnostics.backtest import Backtest
from recurra.errors import ConfigError, DataError
from recurra.progress import steps
from recurra.runs.reading import cut_of, read_like_training
from recurra.tasks.rolling_scores import Numbers, Rolling, levels_of, naive2, repeated, season_errors
from recurra.tasks.scored import Backtests
from recurra.types import Example

AT_ONCE = 256
"""Windows that are asked together."""
SHOWN = 6
"""The last windows that a page shows."""


@dataclass(frozen=True)
class Series:
    """A series to be asked from several places of."""

    example: Example
    values: Numbers
    """[T, W], where one is missing filled as its reader does."""
    truth: Numbers
    """The same, NaN where nothing was seen."""
    cutoffs: Sequence[int]
    """How many steps are known at each, from the first on."""
    absolute: Numbers
    squared: Numbers
    """What repeating a season errs before each step: `season_errors`."""

    @property
    def names(self) -> list[str]:
        """What each variable is called in a table of all: the series' own name where there is one alone."""
        W = self.values.shape[1]
        own = [str(name) for name in self.example.get("names") or range(1, W + 1)]
        name = self.example.get("id")
        return own if name is None else [str(name)] if W == 1 else [f"{name}/{each}" for each in own]

    def time(self, step: int) -> str:
        """The time of a step as its reader gives it, or its number from 1."""
        times = self.example.get("times")
        return str(step + 1) if times is None else str(times[step])


def backtest(
    run: Any,
    *files: str | Path,
    windows: int | None = None,
    stride: int | None = None,
    owa: bool = False,
    rows: Path | None = None,
    settings: Mapping[str, Any] | None = None,
    threads: int | None = None,
) -> Backtest:
    """Ask a run from the last `windows` places of each series, `stride` steps apart, what follows, and compare.

    All places that the horizon fits behind, and what is looked back on before, where no number is said; the horizon
    apart, where no stride is. Without `files` those of the run's own test part. Each step ahead is written to the file
    `rows`, as a row of unique_id, ds (its time), cutoff (the last time known), y, the run's name, and its ranges as
    NAME-lo-80, NAME-hi-80. With `owa` Naive 2 stands beside, and the overall weighted average of the M4 competition.

    Raises `ConfigError` for a run that says nothing of what follows, `DataError` where no window fits.
    """
    task = run.model.task
    if not isinstance(task, Backtests):
        raise ConfigError(
            f"{run.path}, whose task is {run.config['task']['kind']}, says nothing of what follows a step."
        )
    for name, value in (("windows", windows), ("stride", stride)):
        if value is not None and value < 1:
            raise ConfigError(f"{name} = {value}, expected 1 or more.")
    stride = stride or task.horizon
    read = read_like_training(files, run.config, settings or {}) if files else own_test(run)
    series, notes = _series(read, task, windows, stride)
    tally = Tally(run.path.name, task, owa)
    with ExitStack() as stack:
        stack.enter_context(threads_set(threads))
        file = stack.enter_context(storage.begin(rows)) if rows is not None else None
        for block in _blocks(series):
            tally.add(block, run, file)
    return Backtest(
        run.path.name,
        ", ".join(map(str, files)) or "test",
        len(series),
        sum(len(each.cutoffs) for each in series),
        task.horizon,
        stride,
        *tally.found(),
        rows,
        notes,
    )


def own_test(run: Any) -> list[Example]:
    """The series of a run's own test part, the validation's if it has none, with all that lies before in front."""
    data = Data(**signatures.checked(Data, {**run.config["data"], "context": WHOLE}, where="data"))
    parts = gather(data, registry.construct("reader", run.config["reader"]), cut_of(run.config))
    return list(parts.test or parts.valid)


def _series(
    examples: Sequence[Example], task: Backtests, windows: int | None, stride: int
) -> tuple[list[Series], list[str]]:
    found, short = [], 0
    for example in examples:
        values = np.asarray(example["series"], np.float64)
        values = values[:, None] if values.ndim == 1 else values
        last, first = len(values) - task.horizon, max(context_of(example), 1 if windows else task.look_back)
        places = range(last, first - 1, -stride)[:windows]
        if not len(places):
            short += 1
            continue
        seen = np.asarray(example.get("seen", np.ones_like(values))).reshape(values.shape)
        truth = np.where(seen > 0, values, np.nan)
        found.append(Series(example, values, truth, places[::-1], *season_errors(truth, task.season or 1)))
    if not found:
        raise DataError(
            f"no series has {task.look_back + task.horizon:,} steps, {task.look_back:,} to look back on and a horizon "
            f"of {task.horizon:,}. Name longer files."
        )
    notes = [f"{short:,} of {counted(len(examples), 'series').removesuffix('s')} too short, left out."] if short else []
    return found, notes


def _blocks(series: Sequence[Series]) -> Iterator[list[tuple[Series, int]]]:
    """The windows of all series, so many at a time."""
    places = [(each, cutoff) for each in series for cutoff in each.cutoffs]
    begins = range(0, len(places), AT_ONCE)
    yield from steps(
        (places[begin : begin + AT_ONCE] for begin in begins), "asking from", "windows", len(places), size=len
    )


class Tally:
    """What a run says and what plain repeating says, beside what came."""

    def __init__(self, name: str, task: Backtests, owa: bool) -> None:
        self.name, self.task, self.owa = name, task, owa
        self.season = task.season
        kinds = {
            "the last value again": 1,
            **({} if self.season is None else {f"the last {self.season} again": self.season}),
        }
        self.plain = {kind: (Rolling(task.horizon), season) for kind, season in kinds.items()}
        self.naive2 = Rolling(task.horizon)
        self.own: Rolling | None = None
        self.shown: deque[dict[str, Any]] = deque(maxlen=SHOWN)

    def add(self, block: Sequence[tuple[Series, int]], run: Any, file: BinaryIO | None) -> None:
        """Ask from a block of places, count the errors, write the rows."""
        said = self._asked(block, run)
        levels = levels_of(said[0])
        if self.own is None:
            self.own = Rolling(self.task.horizon, levels)
            if file is not None:
                ends = [f"{self.name}-{end}-{level}" for level in levels for end in ("lo", "hi")]
                file.write(
                    ",".join(map(_quoted, ["unique_id", "ds", "cutoff", "y", self.name, *ends])).encode() + b"\n"
                )
        self._count(block, said, levels, self.own)
        for (each, cutoff), one in zip(block, said, strict=True):
            self.shown.append(self._picture(each, cutoff, one))
            if file is not None:
                file.write(_rows(each, cutoff, self.task.horizon, one).encode())

    def _asked(self, block: Sequence[tuple[Series, int]], run: Any) -> list[dict[str, Numbers]]:
        """What the run says from each place, [H, W] by name."""
        found: list[dict[str, Numbers]] = [{}] * len(block)
        asked = run.questions([self.task.at(each.example, cutoff) for each, cutoff in block])
        for rows, tensors in run.said(asked):
            for row, one in zip(rows, self.task.forecasts(tensors, run.model.codecs), strict=True):
                found[row] = {name: each[:, None] if each.ndim == 1 else each for name, each in one.items()}
        return found

    def _count(
        self,
        block: Sequence[tuple[Series, int]],
        said: Sequence[Mapping[str, Numbers]],
        levels: Sequence[int],
        own: Rolling,
    ) -> None:
        """Count the errors of the run and of all that stands beside it."""
        H = self.task.horizon
        y = np.stack([each.truth[cutoff : cutoff + H] for each, cutoff in block])
        absolute = np.stack([each.absolute[cutoff] for each, cutoff in block])
        squared = np.stack([each.squared[cutoff] for each, cutoff in block])
        named = {name: np.stack([one[name] for one in said]) for name in said[0]}
        ranges = {level: (named[f"low_{level}"], named[f"high_{level}"]) for level in levels}
        own.add(y, named["forecast"], absolute, squared, ranges)
        for rolling, season in self.plain.values():
            again = [repeated(each.values[max(0, cutoff - season) : cutoff], H, season) for each, cutoff in block]
            rolling.add(y, np.stack(again), absolute, squared, {})
        if self.owa:
            columns = [each.values[:cutoff].T for each, cutoff in block]
            plain = [np.stack([naive2(x, H, self.season or 1) for x in column], 1) for column in columns]
            self.naive2.add(y, np.stack(plain), absolute, squared, {})

    def _picture(self, series: Series, cutoff: int, said: Mapping[str, Numbers]) -> dict[str, Any]:
        """A window of the first variable."""
        H = self.task.horizon
        ends = [name for name in said if name != "forecast"][:2]
        return {
            "name": series.names[0],
            "cutoff": series.time(cutoff - 1),
            "given": series.values[max(0, cutoff - min(self.task.look_back, 3 * H)) : cutoff, 0].tolist(),
            "truth": series.truth[cutoff : cutoff + H, 0].tolist(),
            "forecast": said["forecast"][:, 0].tolist(),
            **{name.partition("_")[0]: said[name][:, 0].tolist() for name in ends},
            "level": int(ends[0].partition("_")[2]) if ends else None,
        }

    def found(self) -> tuple[dict[str, dict[str, float]], dict[str, list[float | None]], Sequence[int], list[Any]]:
        """Scores and errors by step of all rows, the levels, and the windows shown."""
        assert self.own is not None
        rows = {self.name: self.own, **{kind: rolling for kind, (rolling, _) in self.plain.items()}}
        rows |= {"Naive 2": self.naive2} if self.owa else {}
        metrics = {name: rolling.metrics() for name, rolling in rows.items()}
        if self.owa and (beside := metrics["Naive 2"]).get("mase") and beside["smape"]:
            whole = {name: [each[key] / beside[key] for key in ("smape", "mase")] for name, each in metrics.items()}
            metrics = {name: {**each, "owa": sum(whole[name]) / 2} for name, each in metrics.items()}
        by_step = {name: rolling.by_step() for name, rolling in rows.items()}
        return metrics, by_step, self.own.levels, list(self.shown)


def _rows(series: Series, cutoff: int, H: int, said: Mapping[str, Numbers]) -> str:
    """The rows of a window, a step ahead each, variable by variable."""
    times, at = [series.time(step) for step in range(cutoff, cutoff + H)], series.time(cutoff - 1)
    lines = []
    for k, name in enumerate(map(_quoted, series.names)):
        columns = [series.truth[cutoff : cutoff + H, k], *(each[:, k] for each in said.values())]
        written = [["" if math.isnan(x) else repr(x) for x in column.tolist()] for column in columns]
        lines += [
            f"{name},{time},{at},{','.join(row)}\n" for time, row in zip(times, zip(*written, strict=True), strict=True)
        ]
    return "".join(lines)


def _quoted(cell: str) -> str:
    """A cell as CSV writes it."""
    return '"' + cell.replace('"', '""') + '"' if {*cell} & {",", '"', "\n", "\r"} else cell
