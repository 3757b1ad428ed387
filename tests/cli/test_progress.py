"""A bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import io
import math
import threading

import pytest

from recurra.cli import progress
from recurra.cli.progress import Watch
from recurra.progress import stage, steps
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
        assert stream.getvalue().endswith("  1,234 symbols/s\x1b[K")
    shown = stream.getvalue()
    assert shown.startswith("Text: [one] file.\n\r") and shown.endswith("\r\x1b[K")  # nothing of it stays
    for words in (
        "epoch 2.00",
        "━━━╌",
        "50%, 3.3 minutes left",
        "loss 1.2500",
        "valid 1.5000 (best)",
        "1,234 symbols/s",
    ):
        assert words in shown


class Clock:
    """What the watch takes for the time; its own thread does not look in the meantime."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(progress.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(progress, "TICK", 3600.0)


def test_a_wait_is_shown_after_two_seconds_and_rewritten(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, stream = Clock(monkeypatch), Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    with Watch(stream) as watch:
        with stage("scoring"):
            for k in steps(range(200), "answering", "examples"):
                clock.now += 0.5
                if k < 3:
                    watch.look()
                    assert not stream.getvalue()
            watch.look()
        for _ in steps(range(100), "answering", "examples"):
            clock.now += 0.5
            if clock.now == 225.0:
                watch.look()
                watch.print("a result")
        assert not watch._waits
    assert stream.getvalue() == (
        "\rscoring, 100 seconds so far\x1b[K\r\x1b[K\ranswering 49 of 100 examples, 25 seconds left\x1b[K\r\x1b[K"
    )


def test_one_inside_of_another_is_shown_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, stream = Clock(monkeypatch), Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "64")
    with Watch(stream) as watch, stage("scoring the test"):
        for k in steps(range(10), "answering", "examples"):
            clock.now += 10
            if k == 5:
                watch.look()
            if k == 6:
                monkeypatch.setenv("COLUMNS", "40")
                watch.look()
    assert "\rscoring the test: answering 5 of 10 examples, 40 seconds left\x1b[K" in stream.getvalue()
    assert "\ranswering 6 of 10 examples, 30 seconds \x1b[K" in stream.getvalue()  # no longer than the line


def test_where_nobody_says_what_is_done_there_is_a_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, stream = Clock(monkeypatch), Terminal()
    monkeypatch.setenv("TERM", "xterm")
    with Watch(stream) as watch:
        clock.now += 1
        watch.look()
        assert not stream.getvalue()
        clock.now += 1
        watch.look()
        assert stream.getvalue() == "\rworking\x1b[K"
        watch.say("a sentence")
        watch.look()
    assert stream.getvalue() == "\rworking\x1b[K\r\x1b[Ka sentence\n"


def test_elsewhere_a_wait_is_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, stream = Clock(monkeypatch), io.StringIO()
    with Watch(stream) as watch:
        for _ in steps(range(50), "encoding", "examples"):
            clock.now += 1
            watch.look()
    assert stream.getvalue().splitlines() == [
        "encoding 4 of 50 examples, 45 seconds left",
        "encoding 34 of 50 examples, 15 seconds left",
    ]


def test_what_a_terminal_cannot_rewrite_is_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    with Watch(stream) as watch:
        watch(event("evaluation", 200, valid=1.5, best=True))
    assert stream.getvalue().startswith("   3.3 min  epoch 2.00  step 200")


def test_the_thread_of_a_watch_looks_by_itself_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "TICK", 0.001)
    monkeypatch.setattr(progress, "FIRST", 0.0)
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    seen = threading.Event()

    class Stream(io.StringIO):
        def flush(self) -> None:
            seen.set()

    stream = Stream()
    with Watch(stream), stage("compiling lstm"):
        assert seen.wait(10)
    assert stream.getvalue().startswith("compiling lstm, 0 seconds so far\n")
    assert "recurra-progress" not in [thread.name for thread in threading.enumerate()]
