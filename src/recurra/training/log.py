"""What training tells while it runs: events for whoever watches, lines of metrics.jsonl for later."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from torch import Tensor

from recurra import forms, storage
from recurra.errors import CheckpointError, TrainingError
from recurra.forms import Form
from recurra.forms.files import STEP

EventKind = Literal["step", "evaluation", "checkpoint", "end"]


@dataclass(frozen=True)
class Event:
    """Something happened: a `step`, an `evaluation`, a `checkpoint` written, or the `end`."""

    kind: EventKind
    step: int
    epoch: float
    """Epochs done, with fraction."""
    progress: float
    """0..1 of the whole run, by its epochs or its time, whichever is further."""
    minutes: float
    learning_rate: float
    loss: float
    """Training loss per target, the mean since the last line of the log; nan before the first step."""
    symbols_per_second: float
    valid: tuple[str, float] | None = None
    """The validation's metric and its value; only with `evaluation`."""
    best: bool = False
    """Whether `valid` is the best so far."""


Reason = Literal["epochs", "time", "patience", "interrupted"]


@dataclass(frozen=True)
class Result:
    """How a training ended: by its `epochs`, its `time`, its `patience`, or `interrupted` by Ctrl-C or SIGTERM."""

    reason: Reason
    step: int
    epochs: float
    """Epochs done, with fraction."""
    minutes: float
    best: float | None
    """Validation of model.safetensors, lower is better: the loss per target, or minus the metric where higher is
    better. None: not validated yet, the weights of a step."""
    best_step: int
    history: tuple[float, ...]
    """Validations like `best`, one every `evaluate_every` epochs."""
    signal: int | None = None
    """The number of the signal it was interrupted by."""

    @property
    def interrupted(self) -> bool:
        return self.reason == "interrupted"


class Progress(Protocol):
    """Whoever watches; called after every step, so it must be quick."""

    def __call__(self, event: Event, /) -> None: ...


class Window:
    """Loss, gradient norm and speed since the last line of the log.

    Losses and norms come as tensors and are looked at `lag` steps at a time: at once on a CPU, seldom on a GPU,
    which would have to be waited for.
    """

    def __init__(self, lag: int) -> None:
        self.lag = lag
        self._pending: list[tuple[int, Tensor, int, Tensor, float]] = []
        self._former_loss = math.nan
        self.targets = 0
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self._former_loss = self.loss
        self.steps, self.loss_sum, self.targets, self.norm_sum, self.norm_max = 0, 0.0, 0, 0.0, 0.0
        self.symbols, self.seconds = 0, 0.0

    def add(self, step: int, loss: Tensor, targets: int, norm: Tensor, learning_rate: float) -> None:
        """Take in a step's summed loss and its gradient norm; see `settle` for what it raises."""
        self._pending.append((step, loss, targets, norm, learning_rate))
        self.symbols += targets
        if len(self._pending) >= self.lag:
            self.settle()

    def settle(self) -> None:
        """Look at what is pending; a loss or norm that is not finite raises `TrainingError`."""
        for step, loss_tensor, targets, norm_tensor, learning_rate in self._pending:
            loss, norm = float(loss_tensor), float(norm_tensor)
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise TrainingError(
                    f"step {step}: the loss is {loss / max(1, targets):.6g} per target, the gradient norm {norm:.6g}, "
                    f"expected finite numbers, at learning rate {learning_rate:.6g}. Try a lower "
                    f"training.learning_rate, or a smaller training.clip_norm. What was saved before stands."
                )
            self.steps += 1
            self.loss_sum += loss
            self.targets += targets
            self.norm_sum += norm
            self.norm_max = max(self.norm_max, norm)
        self._pending.clear()

    @property
    def loss(self) -> float:
        """Mean loss per target, the former line's while there is no step since; nan before the first."""
        return self.loss_sum / self.targets if self.targets else self._former_loss

    @property
    def symbols_per_second(self) -> float:
        return self.symbols / self.seconds if self.seconds else 0.0

    def summary(self) -> dict[str, float]:
        """The part of a line that speaks of training; empty if there was no step."""
        if not self.steps:
            return {}
        return {
            "loss": self.loss,
            "gradient_norm": self.norm_sum / self.steps,
            "gradient_norm_max": self.norm_max,
            "symbols_per_second": round(self.symbols_per_second, 1),
        }


class MetricsLog:
    """The file metrics.jsonl, a JSON object a line; a file that cannot be written raises a `RecurraError`."""

    def __init__(self, path: Path, keep: int | None = None) -> None:
        """Begin the file anew, or `keep` its lines up to that step: a resumed run writes the later ones again."""
        self._path = path
        self._file = storage.begin(path, b"" if keep is None else _up_to(path, keep))

    def write(self, line: Mapping[str, Any]) -> None:
        """Append a line, at once on its way to the disk."""
        try:
            rest = (json.dumps(line) + "\n").encode()
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise TrainingError(storage.unwritable(self._path, error)) from error

    def close(self) -> None:
        """Close the file."""
        try:
            self._file.close()
        except OSError as error:
            raise TrainingError(storage.unwritable(self._path, error)) from error


def recorded_lines(path: Path, form: Form) -> list[dict[str, Any]]:
    """The whole lines of a log of JSON objects; one that a crash cut off ends it.

    Raises `CheckpointError` for a file that cannot be read, and for a line that is whole but not of the form.
    """
    return [found for _, found in _recorded(path, form)]


def _recorded(path: Path, form: Form) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """The whole lines as they are, and what they hold."""
    raw = forms.read_bytes(path) if path.is_file() else b""
    for number, line in enumerate(raw.splitlines(keepends=True), start=1):
        if not line.endswith(b"\n"):
            return
        yield line, forms.json_bytes(line, f"{path}:{number}", form)


def _up_to(path: Path, step: int) -> bytes:
    """The whole lines of an older log up to a step. A line that a crash cut off or spoilt ends it: the training goes on
    without the rest of its log."""
    kept = []
    with contextlib.suppress(CheckpointError):
        for line, found in _recorded(path, STEP):
            if found["step"] > step:
                break
            kept.append(line)
    return b"".join(kept)
