"""Inputs by the number, each under an alarm, and what is counted of them."""

from __future__ import annotations

import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from types import FrameType
from typing import Any, Protocol

from recurra.errors import RecurraError

LONGEST = 5.0
"""Seconds of the processor for an input; of waiting, `PATIENCE` times as many, for other programs run, too."""
PATIENCE = 12
KEPT = 3
"""So many inputs are kept of findings that come from the same line."""


class Kind(Protocol):
    """Inputs of a kind, and what is done with them."""

    name: str

    def make(self, random: Random) -> bytes:
        """An input."""

    def take(self, given: bytes) -> bool:
        """Do with an input what a user would: True where it is accepted, False or `RecurraError` where refused."""


@dataclass(frozen=True)
class Finding:
    """An input that ended in neither a result nor a `RecurraError`."""

    kind: str
    number: int
    signature: str
    """The exception and the line of ours that it came from."""
    trace: str
    given: bytes


@dataclass
class Counts:
    """What became of the inputs of a kind."""

    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    seconds: float = 0.0
    """Of the processor, all threads together."""
    slowest: float = 0.0
    """Of the input that took longest."""
    findings: dict[str, int] = field(default_factory=dict)
    """Signature → how many."""

    @property
    def crashes(self) -> int:
        return sum(self.findings.values())


class TooLong(BaseException):
    """An input took longer than its limit. No `Exception`, so that nothing on its way takes it for its own."""


def made(kind: Kind, seed: int, number: int) -> bytes:
    """Input `number` of a kind, the same for the same seed."""
    return kind.make(Random(f"{kind.name} {seed} {number}"))


def fuzz(
    kind: Kind,
    seed: int,
    numbers: range,
    counts: Counts | None = None,
    *,
    begun: Callable[[int], None] = lambda number: None,
    longest: float = LONGEST,
) -> Iterator[Finding]:
    """Give a kind its inputs of these numbers, add to `counts`, and yield what was found, the first `KEPT` of a line.

    `begun` is told each number before its input is tried. Only in the main thread: the alarm is a signal.
    """
    counts = Counts() if counts is None else counts
    with _alarm():
        for number in numbers:
            begun(number)
            given = made(kind, seed, number)
            start = time.process_time()
            found: BaseException | None = None
            try:
                _set_alarm(longest)
                try:
                    accepted = kind.take(given)
                finally:
                    _set_alarm(0)
            except RecurraError as error:
                accepted = False
                found = None if _is_sentence(error) else AssertionError(f"no sentence: {str(error)[:200]!r}")
            except (Exception, TooLong, SystemExit) as error:
                found = error
            seconds = time.process_time() - start
            counts.inputs += 1
            counts.seconds += seconds
            counts.slowest = max(counts.slowest, seconds)
            if found is None:
                counts.accepted += accepted
                counts.refused += not accepted
                continue
            signature = _signature(found)
            counts.findings[signature] = counts.findings.get(signature, 0) + 1
            if counts.findings[signature] <= KEPT:
                trace = "".join(traceback.format_exception(found, limit=-12))
                yield Finding(kind.name, number, signature, trace, given)


def _is_sentence(error: RecurraError) -> bool:
    """Whether an error says something that can be printed."""
    said = str(error)
    try:
        said.encode("utf-8", errors="surrogateescape" if "\udc80" <= max(said, default="") <= "\udcff" else "strict")
    except UnicodeEncodeError:
        return False
    return 0 < len(said) < 2_000


def _signature(error: BaseException) -> str:
    """The class of an exception and the last lines of ours that it came through."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "recurra" in frame.filename]
    outside = [frame for frame in frames if "fuzzing" not in frame.filename] or frames
    where = f"{outside[-1].filename.rpartition('recurra/')[2]}:{outside[-1].name}" if outside else "?"
    return f"{type(error).__name__} {where}"


@contextmanager
def _alarm() -> Iterator[None]:
    def ring(number: int, frame: FrameType | None) -> None:
        raise TooLong("the input took too long")

    before: Any = {number: signal.signal(number, ring) for number in (signal.SIGALRM, signal.SIGPROF)}
    try:
        yield
    finally:
        _set_alarm(0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _set_alarm(seconds: float) -> None:
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE * seconds)
