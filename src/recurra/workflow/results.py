"""What a finished training comes to: scores beside the baselines, something to look at; kept as far as they got."""

from __future__ import annotations

import signal
import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from recurra.checkpoint import RunFolder
from recurra.diagnostics.curves import curves
from recurra.engine.device import precision_note
from recurra.errors import Stopped
from recurra.forms.files import METRICS
from recurra.runs.run import Run
from recurra.training.interrupt import Interrupt
from recurra.training.log import Result, recorded_lines
from recurra.training.trainer import Trainer
from recurra.workflow.material import Material
from recurra.workflow.verdict import verdict

UNSCORED = "unscored"
"""The key of a report that says how many parts were not scored, as the scoring was stopped."""
Write = Callable[[dict[str, Any]], None]


def score_and_show(
    run: Run, material: Material, result: Result, trainer: Trainer, write: Write, *, no_test: bool, baseline: bool
) -> None:
    """Score the best weights, and show some answers; `write` keeps each part of the report as soon as it is there.

    The parts are the model and its baselines, on the validation and on the test examples, and what is shown. Ctrl-C and
    SIGTERM end it at once and raise `Stopped`, which says how many parts were scored and how to have the others.
    """
    parts = {name: material.parts[name] for name in ("valid", "test") if material.parts[name]}
    if no_test:
        parts.pop("test", None)
    done, count = 0, len(parts) * (2 if baseline else 1) + 1
    scores: dict[str, Any] = {}

    def keep(found: dict[str, Any], all_done: bool = False) -> None:
        write({**found, UNSCORED: 0 if all_done else count - done})

    def scored(part: str, found: dict[str, Any]) -> None:
        nonlocal done
        done, scores[part] = done + 1, dict(found)
        keep({"scores": scores})

    interrupt = Interrupt(at_once=True)
    keep(_facts(run, result, trainer))
    try:
        with interrupt:
            for part, examples in parts.items():
                train = material.parts["train"] if baseline else None
                found = run.score(examples, train, partial(scored, part))
                if baseline:
                    scored(part, found)
            shown = parts.get("test") or material.parts["valid"]
            said = verdict(scores, run.model.task.main_metric, curves(run.path), run.config)
            beside = {} if said is None else {"verdict": said}
            keep({"scores": scores, **beside, **run.shown(shown, trainer.settings.seed)}, all_done=True)
    except KeyboardInterrupt as stopped:
        raise Stopped(
            f"the training is finished and saved; scored {done} of {count} parts. The others: recurra train {run.path} "
            f"--resume; the test alone: recurra evaluate {run.path}",
            interrupt.signal or signal.SIGINT,
        ) from stopped


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
