"""When to validate and when to stop: pure functions of the settings, the counters and the seconds gone by."""

from __future__ import annotations

import math
from dataclasses import dataclass

from recurra.training.log import Reason
from recurra.training.pace import VALIDATING
from recurra.training.resume import Counters
from recurra.training.settings import Training

WARMED = 40
"""Steps over which a budgeted training's learning rate climbs. Measured with `poem`, whose 40 steps end at 8.1 nats so,
at 8.4 with 10 and at 9.2, after 62, with none."""
LONGEST_WARMUP = 0.2
"""Share of all steps that this takes at most; where that is fewer than `WARMED`, the rate stays below the full one."""

PROBED = 1 / 16
"""Share of the validation examples that are validated on to find out what all cost, and the least."""
VALIDATIONS = 4
"""Validations that a tenth of a budget should be enough for."""


@dataclass(frozen=True)
class Timetable:
    """Without a time budget everything here follows from the counters alone, so a resumed training decides the same."""

    settings: Training

    @property
    def budget(self) -> float:
        """Seconds there are; infinite without `max_minutes`."""
        return math.inf if self.settings.max_minutes is None else self.settings.max_minutes * 60.0

    def share(self, counters: Counters, elapsed: float) -> float:
        """Progress 0..1 of the whole run, by its epochs or its time, whichever is further."""
        by_epochs = counters.epochs_done / self.settings.epochs
        return min(1.0, max(by_epochs, 0.0 if self.budget == math.inf else elapsed / self.budget))

    def ceiling(self, counters: Counters, elapsed: float, step_seconds: float) -> float:
        """With a time budget, the largest factor of the learning rate at the next step: it climbs over `WARMED` steps,
        for a fifth of all that there will be at most.

        A warm-up that is a share of the time is no step at all where there are few, and the loss rises.
        """
        if self.budget == math.inf:
            return 1.0
        there = math.inf if not step_seconds else counters.step + max(0.0, self.budget - elapsed) / step_seconds
        if counters.epochs_done:
            there = min(there, counters.step * self.settings.epochs / counters.epochs_done)
        return min(1.0, min(counters.step + 1, max(1.0, there * LONGEST_WARMUP)) / WARMED)

    def mark(self, counters: Counters) -> int:
        """How many multiples of `evaluate_every` have been passed."""
        return math.floor(counters.epochs_done / self.settings.evaluate_every + 1e-9)

    def by_clock(self, counters: Counters, elapsed: float) -> bool:
        """Whether to validate between two marks: with a time budget, every tenth of it, if that costs a tenth at most.

        So the best weights so far are kept, and what a validation costs is known, however long an epoch is.
        """
        if self.budget == math.inf or counters.evaluated_step == counters.step or not counters.step:
            return False
        if not self.affords(counters):
            return False
        return elapsed - counters.evaluated_at >= max(self.budget / 10.0, 10.0 * counters.evaluation_seconds)

    def affords(self, counters: Counters) -> bool:
        """Whether one validation now and one at the end leave all of them within a tenth of a budget."""
        planned = counters.validating + 2.0 * counters.evaluation_seconds
        return counters.evaluated_step < 0 or planned <= VALIDATING * self.budget

    def share_of_validation(self, seconds: float) -> float:
        """The share of the validation examples to validate on where all take so many seconds, from `PROBED`."""
        return min(1.0, max(PROBED, VALIDATING / VALIDATIONS * self.budget / max(seconds, 1e-9)))

    def end(self, counters: Counters, elapsed: float, step_seconds: float) -> Reason | None:
        """Why to stop now, if there is a reason; time is left for one more step and for the last validation."""
        if counters.epoch >= self.settings.epochs:
            return "epochs"
        history, patience = counters.history, self.settings.patience
        if patience is not None and history and len(history) - 1 - history.index(min(history)) >= patience:
            return "patience"
        evaluated = counters.evaluated_step == counters.step
        reserve = step_seconds + (0.0 if evaluated else 1.2 * counters.evaluation_seconds)
        return "time" if elapsed + reserve >= self.budget else None
