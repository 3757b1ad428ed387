"""What cells learn to remember, over how many steps, with and without clipping; within a budget, and resumable."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from recurra import forms, storage
from recurra.config import check_seed
from recurra.diagnostics.plain import plain
from recurra.errors import ConfigError, DataError, UnknownName
from recurra.forms import Items, Table
from recurra.lab.networks import CELLS, layer
from recurra.lab.problems import PROBLEMS, Problem
from recurra.progress import steps as counted

CLIP = 1.0
"""The norm to which gradients are clipped, where they are."""
BATCH, HELD, EVERY = 32, 256, 25
"""Sequences a step; sequences for the error that is reported; steps between two looks at it."""


@dataclass(frozen=True)
class Trial:
    """One training: which cell, on what, and how."""

    problem: str
    cell: str
    lag: int
    clipped: bool
    hidden: int = 64
    learning_rate: float = 0.003
    forget: float = 1.0
    seed: int = 0

    @property
    def key(self) -> str:
        """Its name in the file of outcomes."""
        clipped = f"clipped at {CLIP:g}" if self.clipped else "unclipped"
        rest = f"{self.hidden} units, rate {self.learning_rate:g}, forget bias {self.forget:g}, seed {self.seed}"
        return f"{self.problem} {self.lag}, {self.cell}, {clipped}, {rest}"


@dataclass(frozen=True)
class Outcome:
    """What came of a trial."""

    trial: Trial
    error: float
    """The smallest on held-out sequences; nan where there was none that is finite."""
    baseline: float
    unit: str
    solved: int | None
    """Steps after which the error was below a tenth of the baseline."""
    end: str
    """"solved", "steps", "time", or "diverged": a loss that was not finite."""
    steps: int
    seconds: float
    curve: tuple[tuple[int, float], ...] = field(default=())
    """Steps and the error after them."""
    largest: float = 0.0
    """The largest norm of a gradient before it was clipped."""

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        found: dict[str, Any] = plain(asdict(self))
        return found

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Outcome:
        """What `as_json` gave."""
        error, largest = (math.nan if found[name] is None else found[name] for name in ("error", "largest"))
        curve = tuple((step, math.nan if value is None else value) for step, value in found["curve"])
        rest = {"trial": Trial(**found["trial"]), "error": error, "largest": largest, "curve": curve}
        return cls(**{**found, **rest})


def trials(
    problems: Sequence[str] = tuple(PROBLEMS),
    cells: Sequence[str] = CELLS,
    lags: Sequence[int] = (50,),
    clipped: Sequence[bool] = (True, False),
    *,
    hidden: int = 64,
    learning_rate: float = 0.003,
    forget: float = 1.0,
    seed: int = 0,
) -> list[Trial]:
    """Every combination. Raises `ConfigError` for what cannot be trained."""
    for name in problems:
        if name not in PROBLEMS:
            raise UnknownName("problem", name, PROBLEMS)
    for lag in lags:
        if lag < 2:
            raise ConfigError(f"lag {lag}, expected 2 or more steps to remember over.")
    check_seed(seed)
    if hidden < 1 or not learning_rate > 0:
        raise ConfigError(f"{hidden} units at a learning rate of {learning_rate}, expected both above 0.")
    every = product(problems, lags, cells, clipped)
    return [Trial(p, cell, lag, clip, hidden, learning_rate, forget, seed) for p, lag, cell, clip in every]


def outcomes(
    wanted: Sequence[Trial], *, minutes: float, steps: int = 3000, file: Path | None = None
) -> Iterator[tuple[Outcome, bool]]:
    """Every trial's outcome, and whether it was in the file from before.

    `minutes` of training for all of them together: each has an even share of what is left. `steps`: at most so many
    each. `file`: outcomes are kept there as soon as they are known; a trial that stands there is not run again, unless
    it ended for want of time or steps and would now have more.
    """
    if not minutes > 0 or steps < 1:
        raise ConfigError(f"{minutes} minutes and {steps} steps, expected more than 0 of both.")
    kept, left = _read(file), minutes * 60
    missing = [t for t in wanted if not _done(kept.get(t.key), steps, left / max(1, len(wanted)))]
    waiting = len(missing)
    for trial in counted(wanted, "training", "networks"):
        if trial not in missing:
            yield kept[trial.key], True
            continue
        found = train(trial, seconds=left / waiting, steps=steps)
        left, waiting = max(0.0, left - found.seconds), waiting - 1
        before = kept.get(trial.key)
        if before is None or before.steps <= found.steps:
            kept[trial.key] = found
        _write(file, kept)
        yield kept[trial.key], False


def train(trial: Trial, *, seconds: float, steps: int) -> Outcome:
    """Train one network with Adam until its problem is solved, or time or steps are over.

    The numbers are the same for the same seed and steps. `seconds` does not count the compiling of a cell's code.
    """
    problem = PROBLEMS[trial.problem](trial.lag)
    torch.manual_seed(trial.seed)
    network = layer(trial.cell, problem.inputs, trial.hidden, forget=trial.forget)
    head = nn.Linear(trial.hidden, problem.outputs)
    weights = [*network.parameters(), *head.parameters()]
    optimiser = torch.optim.Adam(weights, lr=trial.learning_rate)
    draw = torch.Generator().manual_seed(trial.seed + 1)
    held = problem.draw(HELD, torch.Generator().manual_seed(trial.seed + 2))

    def error(x: Tensor, target: Tensor) -> Tensor:
        return problem.loss(head(network(x)[0]), target)

    torch.autograd.grad(error(*held), weights)  # what must be compiled is compiled now
    begun, curve, largest, done, end = time.perf_counter(), [(0, _seen(error, held))], 0.0, 0, "steps"
    for _ in counted(iter(range(steps)), f"{trial.problem} {trial.lag}, {trial.cell}", "steps"):
        loss = error(*problem.draw(BATCH, draw))
        optimiser.zero_grad()
        loss.backward()
        norm = float(nn.utils.clip_grad_norm_(weights, CLIP if trial.clipped else math.inf))
        largest = max(largest, norm) if math.isfinite(norm) else math.inf
        if not (math.isfinite(norm) and math.isfinite(float(loss.detach()))):
            end = "diverged"
            break
        optimiser.step()
        done += 1
        over = time.perf_counter() - begun >= seconds
        if done % EVERY and not over and done < steps:
            continue
        curve.append((done, _seen(error, held)))
        if curve[-1][1] < problem.solved or over:
            end = "solved" if curve[-1][1] < problem.solved else "time"
            break
    return _outcome(trial, problem, curve, end, done, time.perf_counter() - begun, largest)


def _outcome(
    trial: Trial,
    problem: Problem,
    curve: Sequence[tuple[int, float]],
    end: str,
    done: int,
    seconds: float,
    largest: float,
) -> Outcome:
    best = min((value for _, value in curve if math.isfinite(value)), default=math.nan)
    solved = done if end == "solved" else None
    return Outcome(trial, best, problem.baseline, problem.unit, solved, end, done, seconds, tuple(curve), largest)


def _seen(error: Callable[[Tensor, Tensor], Tensor], held: tuple[Tensor, Tensor]) -> float:
    with torch.no_grad():
        return float(error(*held))


def _done(found: Outcome | None, steps: int, share: float) -> bool:
    """Whether to run a trial again would tell nothing new."""
    if found is None:
        return False
    if found.end == "steps":
        return found.steps >= steps
    return found.end != "time" or found.steps >= steps or found.seconds >= share


def _read(file: Path | None) -> dict[str, Outcome]:
    if file is None or not file.exists():
        return {}
    move = "Name another folder, or delete the file."
    whose = f"It is not what an experiment on memory left there. {move}"
    stored = forms.json_file(file, Table({"outcomes": Items(Table())}), DataError, whose)
    try:
        return {found.trial.key: found for found in map(Outcome.from_json, stored["outcomes"])}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"{file} is not what an experiment on memory left there ({error}). {move}") from error


def _write(file: Path | None, kept: Mapping[str, Outcome]) -> None:
    """Whole or not at all: a run that is cut off leaves the file as it was."""
    if file is None:
        return
    storage.make_folder(file.parent)
    storage.write_text(file, json.dumps({"outcomes": [one.as_json() for one in kept.values()]}, indent=1))
