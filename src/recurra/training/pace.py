"""How long an update of the weights takes, measured while a training runs, and what the time left makes of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

MEASURED = 3.0
"""Seconds of updates that a pace is measured over, without the first update: kernels are compiled in it."""
VALIDATING = 0.1
"""Largest share of a budget that goes into validation."""


@dataclass(frozen=True)
class Pace:
    """What was measured, and how far the training was then."""

    seconds: float
    """Of an update."""
    updates_an_epoch: int
    step: int
    """Updates done so far."""
    left: float = math.inf
    """Seconds of the budget that were left; infinite without one."""

    def updates(self, seconds: float, epochs: int) -> int:
        """Updates of the whole training were one to take so many `seconds`: those of all epochs at most."""
        most = epochs * self.updates_an_epoch
        if self.left == math.inf:
            return most
        return min(most, self.step + int((1 - VALIDATING) * max(0.0, self.left) / seconds))


class Stopwatch:
    """Takes the seconds of every update, and tells once how long one takes."""

    def __init__(self) -> None:
        self._seconds, self._count, self.done = 0.0, -1, False

    def take(self, seconds: float) -> float | None:
        """The seconds of an update, the mean over those measured; None: not yet, or told before."""
        self._count += 1
        if self.done or not self._count:
            return None
        self._seconds += seconds
        if self._seconds < MEASURED:
            return None
        self.done = True
        return self._seconds / self._count
