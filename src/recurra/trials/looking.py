"""How far the trainings of a sweep are, by what they write down."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from recurra.training.lock import NAME
from recurra.trials.plan import Sweep

EVERY = 60.0
"""Seconds from one sentence to the next."""
LAST = 1 << 13
"""Bytes of the end of a log that are looked at."""


class Looking:
    """Called now and then, it says each minute at which epoch the trials are that train."""

    def __init__(self, sweep: Sweep, say: Callable[[str], None]) -> None:
        self._sweep, self._say, self._told = sweep, say, time.monotonic()

    def __call__(self) -> None:
        if time.monotonic() - self._told >= EVERY:
            self._told = time.monotonic()
            if found := going(self._sweep):
                self._say(f"Training: {found}")


def going(sweep: Sweep) -> str:
    """The trials that train, each with its epoch of so many; "" where none does."""
    of = sweep.config["training"].get("epochs")
    epochs = {trial: epoch_of(sweep.place(trial)) for trial in range(sweep.count) if _trains(sweep.place(trial))}
    whole = f" of {of}" if of and "training.epochs" not in sweep.names else ""
    return ", ".join(f"{trial:04d} at epoch {epoch:.1f}{whole}" for trial, epoch in epochs.items())


def epoch_of(run: Path) -> float:
    """The epochs of a run that its log tells of; 0 where it tells of none."""
    try:
        with (run / "metrics.jsonl").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LAST))
            lines = [line for line in file.read().splitlines(keepends=True) if line.endswith(b"\n")]
        return float(json.loads(lines[-1])["epoch"]) if lines else 0.0
    except (OSError, ValueError, KeyError, TypeError):  # it is being written, or is no log: nothing depends on it
        return 0.0


def _trains(run: Path) -> bool:
    return (run / NAME).exists()
