"""What a finished training comes to: scores beside the baselines, something to look at; kept as far as they got."""

from __future__ import annotations

import math
import signal
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from recurra.checkpoint import RunFolder
from recurra.diagnostics.curves import curves
from recurra.engine.device import precision_note
from recurra.errors import Stopped
from recurra.forms.files import METRICS
from recurra.progress import stage
from recurra.runs.run import Run
from recurra.runs.scoring import score_model, with_baselines
from recurra.training.interrupt import Interrupt, OutOfTime, limited
from recurra.training.log import Result, recorded_lines
from recurra.training.settings import Training
from recurra.training.trainer import Trainer
from recurra.types import Example
from recurra.workflow.material import Material
from recurra.workflow.sampled import Sample, forecast, score_affordable
from recurra.workflow.verdict import verdict

UNSCORED, SCORED = "unscored", "scored"
"""The keys of a report whose scoring was stopped: the parts that are missing, and those that are there."""
BEYOND, AT_LEAST = 0.2, 10.0
"""Scoring may take so much of a budget beyond it, and what training has left of it; seconds that it may always take."""
OF_MODEL, OF_BASELINES = 0.25, 0.8
"""Shares of the time left that the model's answers to a part may take where baselines follow, and these."""
OF_SEARCH = 0.03
"""Share of a budget that goes beyond it to find out how sure what a search finds is."""
NAMES = {"test": "test", "valid": "validation"}
SHOWN = "what is shown"
Write = Callable[[dict[str, Any]], None]
Say = Callable[[str], None]


def score_and_show(
    run: Run,
    material: Material,
    result: Result,
    trainer: Trainer,
    write: Write,
    *,
    no_test: bool,
    baseline: bool,
    say: Say = lambda sentence: None,
    former: Mapping[str, Any] | None = None,
    plugged: str = "",
) -> None:
    """Score the best weights, and show some answers; `write` keeps each part of the report as soon as it is there.

    The parts are the model and its baselines, on the test and on the validation examples, and what is shown. Ctrl-C and
    SIGTERM end it at once and raise `Stopped`, which says how many parts were scored and how to have the others; those
    that a `former` report of the same weights has are taken from it. With a budget of time a part is scored on as many
    examples as there is time for, and without baselines where there is none for them. `say` is told what takes long.
    `plugged`: the words that name the run's plugins.
    """
    seconds = _allowed(trainer.settings, result)
    names = [name for name in ("test", "valid") if material.parts[name] and not (no_test and name == "test")]
    scoring = _Scoring(run, material.parts, names, baseline, trainer.settings.seed, seconds, write, say, former or {})
    interrupt = Interrupt(at_once=True)
    scoring.keep(_facts(run, result, trainer))
    try:
        with interrupt:
            for part in names:
                scoring.score(part)
            scoring.show()
    except KeyboardInterrupt as stopped:
        raise Stopped(
            f"the training is finished and saved; scored {len(scoring.done)} of {len(scoring.wanted)} parts. The "
            f"others: recurra train {run.path} --resume{plugged}; the test alone: recurra evaluate {run.path}{plugged}",
            interrupt.signal or signal.SIGINT,
        ) from stopped


class _Scoring:
    """Scores part by part, in the `seconds` that there are, and keeps what is found."""

    def __init__(
        self,
        run: Run,
        parts: Mapping[str, list[Example]],
        names: Sequence[str],
        baseline: bool,
        seed: int,
        seconds: float,
        write: Write,
        say: Say,
        former: Mapping[str, Any],
    ) -> None:
        self._run, self._parts, self._names, self._seed = run, parts, names, seed
        self._baseline, self._write, self._say = baseline, write, say
        self._end = time.monotonic() + seconds
        self._least, self._baseline_seconds = 0.0, 0.0  # seconds that the least sample, and baselines, took
        each = ("model", "baselines") if baseline else ("model",)
        self.wanted = [*(f"{part} {what}" for part in names for what in each), SHOWN]
        self.done = [name for name in former.get(SCORED, ()) if name in self.wanted]
        self._scores = {part: former["scores"][part] for part in names if f"{part} model" in self.done}

    def keep(self, found: Mapping[str, Any]) -> None:
        """Write what is known by now."""
        missing = [name for name in self.wanted if name not in self.done]
        self._write({"scores": self._ordered(), **found, UNSCORED: missing, SCORED: self.done if missing else []})

    def score(self, part: str) -> None:
        """Score the model on a part, and its baselines, where that was not done before."""
        sample = Sample(self._parts[part], self._seed, _sequence(self._run, self._parts[part]))
        if part != self._names[0] and self._left() < self._least:
            note = f"The {NAMES[part]} examples are not scored: --max-minutes leaves no time for it."
            self._scores[self._names[0]]["notes"].append(note)
            self.done += [name for name in self.wanted if name.startswith(part) and name not in self.done]
        for name, made in ((f"{part} model", self._model), (f"{part} baselines", self._baselines)):
            if name in self.wanted and name not in self.done:
                with stage(f"scoring {len(self.done) + 1} of {len(self.wanted)} parts"):
                    self._scores[part] = made(part, sample)
                self.done.append(name)
                self.keep({})

    def show(self) -> None:
        """Say how the model compares, and let it answer some examples."""
        task, examples = self._run.model.task, self._parts[self._names[0] if self._names else "valid"]
        said = verdict(self._ordered(), task.main_metric, curves(self._run.path), self._run.config)
        with stage("answering what is shown"):
            shown = self._run.shown(examples, self._seed)
        self.done = self.wanted
        self.keep({**({} if said is None else {"verdict": said}), **shown})

    def _model(self, part: str, sample: Sample) -> dict[str, Any]:
        """The scores of the model on as many examples of a part as there is time for."""

        def told(whole: float, share: float) -> None:
            if said := forecast(NAMES[part], sample, whole, share):
                self._say(said)

        def score(examples: Sequence[Example]) -> dict[str, Any]:
            started, train = time.monotonic(), self._parts["train"] if self._baseline else None
            found = score_model([self._run], examples, train, self._run.options())
            self._least = self._least or time.monotonic() - started
            return found

        found, share = score_affordable(
            sample,
            score,
            self._left() * (OF_MODEL if self._baseline else OF_BASELINES),
            told,
        )
        if share == 1:
            return found
        note = f"Scored on {sample.words(share)}, drawn by the seed{self._move(part, '; all of them')}."
        return found | {"drawn": share, "notes": [note, *found["notes"]]}

    def _baselines(self, part: str, sample: Sample) -> dict[str, Any]:
        """The scores with those of the baselines on the same examples, where there is time for them."""
        found = {**self._scores[part]}
        begun, seconds, examples = time.monotonic(), self._left() * OF_BASELINES, sample.draw(found.get("drawn", 1.0))
        if self._baseline_seconds <= seconds:
            try:
                scores, train = {**found}, self._parts["train"]
                limited(seconds, lambda: with_baselines(self._run, scores, examples, train, found.update))
                self._baseline_seconds = time.monotonic() - begun
                return found
            except OutOfTime:
                self._baseline_seconds = math.inf
        missing = "Not all baselines are there" if "baseline" in found else "No baseline"
        note = f"{missing}: it would take longer than --max-minutes leaves{self._move(part, '; with all')}."
        return found | {"notes": [*found["notes"], note]}

    def _move(self, part: str, what: str) -> str:
        """How to have all of a part's scores: where there is a test, it is what the verb scores."""
        evaluated = "test" if self._parts["test"] else "valid"
        return f"{what}: recurra evaluate {self._run.path}" if part == evaluated else ""

    def _left(self) -> float:
        """Seconds that there are yet."""
        return max(0.0, self._end - time.monotonic())

    def _ordered(self) -> dict[str, Any]:
        return {part: self._scores[part] for part in ("valid", "test") if part in self._scores}


def _allowed(settings: Training, result: Result) -> float:
    """Seconds that scoring may take; infinite without a budget."""
    if settings.max_minutes is None:
        return math.inf
    return max(AT_LEAST, ((1 + BEYOND) * settings.max_minutes - result.minutes) * 60)


def for_searching(settings: Training) -> float:
    """Seconds that the recipe's search may take on validation examples before it is scored; infinite without a
    budget."""
    return math.inf if settings.max_minutes is None else max(AT_LEAST, OF_SEARCH * settings.max_minutes * 60)


def _sequence(run: Run, examples: Sequence[Example]) -> str | None:
    """The field that holds the steps of long sequences, where examples are such."""
    if not run.in_pieces:
        return None
    return next(name for name in run.model.codecs.fields["input"].of if name in examples[0])


def _facts(run: Run, result: Result, trainer: Trainer) -> dict[str, Any]:
    """How the training went."""
    note = precision_note(trainer.precision, trainer.device)
    return {
        "threads": torch.get_num_threads(),
        "device": str(run.device),
        "precision": trainer.precision,
        **({"precision_note": note} if note else {}),
        "ended": result.reason,
        "steps": result.step,
        "epochs": result.epochs,
        "targets_per_second": _speed(run),
        "unit": run.model.task.unit,
    }


def _speed(run: Run) -> float | None:
    """Targets trained on per second, the median over the lines of the log; None where it has no such line."""
    lines = recorded_lines(RunFolder(run.path).metrics, METRICS)
    speeds = [line["symbols_per_second"] for line in lines if "symbols_per_second" in line]
    return statistics.median(speeds) if speeds else None
