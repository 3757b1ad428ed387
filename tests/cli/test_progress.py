"""A bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import io
import math

import pytest

from recurra.cli import progress
from recurra.cli.progress import Watch
from recurra.training.log import Event, EventKind


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def event(kind: EventKind, step: int, loss: float = 1.25, valid: float | None = None, best: bool = False) -> Event:
    return Event(
        kind=kind,
        step=step,
        epoch=step / 100,
        progress=step / 400,
        minutes=step / 60,
        learning_rate=0.1,
        loss=loss,
        symbols_per_second=1234.5 if kind == "step" else 0.0,
        valid=None if valid is None else ("loss", valid),
        best=best,
    )


def test_lines_tell_of_validations_and_of_a_long_time_between(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    with Watch(stream) as watch:
        watch.say("Text: one file.")
        watch(event("evaluation", 0, loss=math.nan, valid=3.0, best=True))
        for step in range(1, 5):
            now[0] += progress.QUIET / 3
            watch(event("step", step))
        watch(event("checkpoint", 4))
        watch(event("evaluation", 6, valid=1.5))
        watch(event("end", 6))
    assert stream.getvalue().splitlines() == [
        "Text: one file.",
        "   0.0 min  epoch 0.00  step 0    valid 3.0000 (best)  0 symbols/s",
        "   0.1 min  epoch 0.04  step 4  loss 1.2500  valid 3.0000 (best)  1,234 symbols/s",
        "   0.1 min  epoch 0.06  step 6  loss 1.2500  valid 1.5000  1,234 symbols/s",
    ]


def test_a_terminal_has_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    stream = Terminal()
    with Watch(stream) as watch:
        watch.say("Text: [one] file.")
        watch(event("step", 100))
        watch(event("evaluation", 200, valid=1.5, best=True))
    shown = stream.getvalue()
    assert "Text: [one] file." in shown
    for words in ("epoch 2.00", "50%", "loss 1.2500", "valid 1.5000 (best)", "1,234 symbols/s"):
        assert words in shown
