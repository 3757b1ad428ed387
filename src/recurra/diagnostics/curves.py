"""How a training went: the loss and the validations that a run wrote down, and what they say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.checkpoint import RunFolder
from recurra.diagnostics.plain import plain
from recurra.errors import CheckpointError
from recurra.forms.files import METRICS
from recurra.training.log import recorded_lines

Series = NDArray[np.float64]
VALID = "valid_"
"""What the name of the validated metric begins with in a line."""
LOSS = "loss in training"
ON = 0.002
"""The share by which the last fifth of the lines must lower the loss for a training to count as still learning."""


@dataclass(frozen=True, eq=False)
class Curves:
    """A training by the lines of its log, N of them."""

    steps: NDArray[np.int64]
    epochs: Series
    minutes: Series
    loss: Series
    """Per target, in training; nan where a line has none."""
    metric: str
    """The name of what was validated; "" where nothing was."""
    valid: Series
    """Its values; nan in a line without."""
    best: int | None
    """The line of the best validation; None: none was done."""

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        found: dict[str, Any] = plain(self)
        return found

    @property
    def series(self) -> dict[str, tuple[NDArray[np.bool_], Series]]:
        """What can be drawn, by name: the lines that have it, and its values in them."""
        found = {LOSS: self.loss, f"validation: {self.metric.replace('_', ' ')}": self.valid}
        known = {name: ~np.isnan(values) for name, values in found.items()}
        return {name: (known[name], values[known[name]]) for name, values in found.items() if known[name].any()}

    @property
    def still_better(self) -> bool:
        """Whether nothing says that more training would not help: no validation came after the best."""
        return self.best is None or not (np.flatnonzero(~np.isnan(self.valid)) > self.best).any()

    @property
    def conclusion(self) -> str:
        """A sentence on how it ended."""
        validated = np.flatnonzero(~np.isnan(self.valid))
        if self.best is None:
            return self._of_loss()
        later = validated[validated > self.best]
        best = f"{self.metric.replace('_', ' ')} {self.valid[self.best]:.4g}"
        if len(validated) == 1:
            return f"It was validated once ({best}): whether it was still getting better, more validations would say."
        if not len(later):
            return f"The last validation was the best ({best}): it was still getting better when the training ended."
        fell = self.loss[later[-1]] < self.loss[self.best]
        times = f"{len(later)} validation{'' if len(later) == 1 else 's'}"
        end = (
            "while the loss in training still fell: from there on it learns its training data by heart."
            if fell
            else "and the loss in training did not fall either: it has learned what it can as it is set."
        )
        return (
            f"The best validation ({best}) was at epoch {self.epochs[self.best]:.3g}; {times} after it "
            f"{'was' if len(later) == 1 else 'were'} no better, {end}"
        )

    def _of_loss(self) -> str:
        known = self.loss[~np.isnan(self.loss)]
        if len(known) < 5:
            return "The training ended before it was validated, and before its loss says where it was going."
        last = len(known) // 5
        falls = known[-last:].mean() < (1 - ON) * known[-2 * last : -last].mean()
        how = "was still falling when the training ended" if falls else "had stopped falling"
        return f"Nothing was validated. The loss in training {how}, at {known[-1]:.4g}."


def curves(run: str | Path) -> Curves:
    """The curves of a run's training. Raises `CheckpointError` where it wrote no line."""
    folder = RunFolder(Path(run))
    lines = recorded_lines(folder.metrics, METRICS)
    if not lines:
        raise CheckpointError(f"{folder.metrics} has no line: the training was stopped before it wrote one.")
    metric = next((name for line in lines for name in line if name.startswith(VALID)), "")
    best = [k for k, line in enumerate(lines) if line.get("best") is True]
    return Curves(
        steps=np.array([line["step"] for line in lines], np.int64),
        epochs=_series(lines, "epoch"),
        minutes=_series(lines, "minutes"),
        loss=_series(lines, "loss"),
        metric=metric.removeprefix(VALID),
        valid=_series(lines, metric),
        best=best[-1] if best else None,
    )


def _series(lines: list[dict[str, Any]], name: str) -> Series:
    return np.array([line.get(name, np.nan) for line in lines], np.float64)
