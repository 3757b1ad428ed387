"""Ctrl-C, and what else asks a process to end: the first asks for an orderly end, the second ends at once."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, TypeVar

from recurra.errors import Stopped

Value = TypeVar("Value")

ENDS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""What system services, schedulers and closed terminals send; taken over only from the system's own handling."""


class OutOfTime(BaseException):
    """A piece of work took longer than it may. No `Exception`, so that nobody takes it for a failure of theirs."""


def limited(seconds: float, work: Callable[[], Value]) -> Value:
    """Do work, for so many seconds at most: then `OutOfTime` is raised, wherever it is.

    Alarms reach the main thread of systems that have them; elsewhere the work goes on to its end.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or not math.isfinite(seconds) or not hasattr(signal, "setitimer"):
        return work()
    inside = rung = False

    def ring(number: int, frame: FrameType | None) -> None:
        nonlocal rung
        rung = True
        if inside:
            raise OutOfTime

    former, begun, left = signal.signal(signal.SIGALRM, ring), time.monotonic(), 0.0
    try:  # the alarm may ring between any two instructions, and it rings once: what is behind the inner try is safe
        try:
            left, _ = signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-6))
            inside = True
            if rung:
                raise OutOfTime
            return work()
        finally:
            inside = False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
        if left:  # somebody else's alarm
            signal.setitimer(signal.ITIMER_REAL, max(1e-6, left - (time.monotonic() - begun)))


class Interrupt:
    """A context in which the first SIGINT, SIGTERM or SIGHUP sets `requested`, the second raises KeyboardInterrupt.

    With `at_once` the first raises.

    Signals reach the main thread only, and a process started to ignore them goes on doing so: there nothing changes.
    """

    def __init__(self, at_once: bool = False) -> None:
        self._at_once = at_once
        self.signal: int | None = None
        """The first that came."""
        self._former: dict[int, Any] = {}

    @property
    def requested(self) -> bool:
        """Whether one came."""
        return self.signal is not None

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
                self._former[signal.SIGINT] = signal.signal(signal.SIGINT, self._handle)
            for number in ENDS:
                if signal.getsignal(number) is signal.SIG_DFL:
                    self._former[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, former in self._former.items():
            signal.signal(number, former)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested or self._at_once:
            self.signal = self.signal or number
            raise Stopped("stopped at once; what was saved before stands", number)
        self.signal = number
