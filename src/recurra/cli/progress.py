"""What is waited for, and how a training goes: a line rewritten on a terminal, lines now and then elsewhere."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from recurra.progress import Wait, duration, listening

if TYPE_CHECKING:
    from recurra.training.log import Event

PATIENCE, INSIDE, TICK = 2.0, 1.0, 1.0
"""Seconds before a wait is shown; before one inside of another is shown beside it; from one look to the next."""
FIRST, QUIET = 5.0, 30.0
"""Seconds before the first line, and from one to the next, where lines stay."""
WORKING = "working"
"""What is shown where nobody says what is waited for: torch is loaded, say."""
BAR = 12
"""Characters of the bar of a training."""


class Watch:
    """Writes on `stream`, stderr as a rule, so that stdout holds results alone. `unit`: what a training's targets are.

    A thread of its own looks at what is waited for, so that a wait is shown that does not count, and counting is free.
    """

    def __init__(self, stream: TextIO, unit: str = "symbols") -> None:
        self._stream, self._unit = stream, unit
        self._terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._listening = listening(self)
        self._waits: list[Wait] = []
        self._training, self._valid, self._speed = "", "", 0.0
        self._drawn = False
        self._told = time.monotonic()
        self._waiting_told = False
        self._quiet_since = time.monotonic()
        self._lock, self._over = threading.RLock(), threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._listening.__enter__()
        self._quiet_since = time.monotonic()
        if self._terminal:
            self._look_on()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.__exit__(kind, error, trace)
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        self._waits.clear()
        self._erase()

    def begin(self, wait: Wait) -> None:
        """What is told of a wait: see `recurra.progress.Listener`."""
        with self._lock:
            self._waits.append(wait)
            self._look_on()

    def end(self, wait: Wait) -> None:
        """The wait is over, and whatever began inside of it."""
        with self._lock:
            if wait in self._waits:
                del self._waits[self._waits.index(wait) :]
            if not self._waits:
                self._waiting_told, self._quiet_since = False, time.monotonic()
                if not self._training:
                    self._erase()

    def say(self, sentence: str) -> None:
        """A sentence of its own line."""
        with self._lock:
            self._erase()
            print(sentence, file=self._stream, flush=True)
            self._told = self._quiet_since = time.monotonic()

    def print(self, text: str) -> None:
        """Print a result on stdout while something is waited for."""
        with self._lock:
            self._erase()
            print(text, flush=True)  # stdout may be this very terminal
            self._quiet_since = time.monotonic()

    def __call__(self, event: Event) -> None:
        """Show what happened in a training, if it is time to."""
        if event.valid is not None:
            metric, value = event.valid
            named = "" if metric == "loss" else f"{metric.replace('_', ' ')} "
            digits = 4 if metric == "loss" or metric.startswith("nats") else 2
            shown = f"{named}{value:.3g}" if 0 < abs(value) < 0.1 else f"{named}{value:.{digits}f}"
            self._valid = f"  valid {shown}{' (best)' if event.best else ''}"
        self._speed = event.symbols_per_second or self._speed
        loss = "" if math.isnan(event.loss) else f"loss {event.loss:.4f}"
        state = f"{loss}{self._valid}  {self._speed:,.0f} {self._unit}/s"
        if self._terminal:
            with self._lock:
                self._training = "" if event.kind == "end" else _bar(event, state)
                if event.kind in ("evaluation", "end"):
                    self.look()
        elif event.kind == "evaluation" or (event.kind == "step" and time.monotonic() - self._told > QUIET):
            self.say(f"{event.minutes:6.1f} min  epoch {event.epoch:.2f}  step {event.step:,}  {state}")

    def look(self) -> None:
        """Show how far it is, if it is time to."""
        with self._lock:
            now = time.monotonic()
            waits = self._shown(now)
            if self._terminal:
                idle = "" if self._waits or self._training or now - self._quiet_since < PATIENCE else WORKING
                self._draw("  ".join(filter(None, [self._training, waits or idle])))
            elif waits and now - self._told >= (QUIET if self._waiting_told else FIRST):
                self._waiting_told = True
                self.say(waits)

    def _look_on(self) -> None:
        """Look now and then from here on."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._look_until_over, name="recurra-progress", daemon=True)
            self._thread.start()

    def _look_until_over(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # whoever looked on has left, the stream is closed
            while not self._over.wait(TICK):
                self.look()

    def _shown(self, now: float) -> str:
        """What is waited for, from the outside in, and how long yet; "": nothing that is worth showing.

        Where a line of a terminal has no room for all, what is outside is left out.
        """
        if not self._waits or now - self._waits[0].begun < PATIENCE:
            return ""
        outer, *inner = self._waits
        shown = [outer, *(wait for wait in inner if now - wait.begun >= INSIDE)]
        left = next((seconds for wait in shown if (seconds := wait.left(now)) is not None), None)
        uncounted = not any(wait.unit for wait in shown)
        rest = f"{duration(left)} left" if left is not None else f"{duration(now - outer.begun)} so far"
        end = f", {rest}" if left is not None or uncounted else ""
        texts = [*map(_counted, shown)]
        while self._terminal and len(texts) > 1 and len(": ".join(texts) + end) >= _columns(self._stream):
            del texts[0]
        return ": ".join(texts) + end

    def _draw(self, text: str) -> None:
        """Write the line anew, no longer than the terminal is wide."""
        if text or self._drawn:
            self._stream.write(f"\r{text[: _columns(self._stream) - 1]}\x1b[K")
            self._stream.flush()
            self._drawn = bool(text)

    def _erase(self) -> None:
        if self._terminal and self._drawn:
            self._draw("")


def _counted(wait: Wait) -> str:
    """A wait in words: what, and how much of it."""
    if not wait.unit:
        return wait.name
    of = "" if wait.total is None else f" of {wait.total:,}"
    return f"{wait.name} {wait.done:,}{of} {wait.unit}"


def _bar(event: Event, state: str) -> str:
    """A training in one line."""
    full = round(BAR * event.progress)
    left = event.minutes * 60 * (1 - event.progress) / event.progress if event.progress else None
    rest = "" if left is None else f", {duration(left)} left"
    bar = f"{'━' * full}{'╌' * (BAR - full)}"
    return f"epoch {event.epoch:.2f} {bar} {event.progress:.0%}{rest}  {state}"


def _columns(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return shutil.get_terminal_size().columns
