"""How far a long piece of work is: counted by what does it, shown by whoever listens; nothing where nobody does.

    for batch in steps(batches, "validating", "batches"): …
    with stage("compiling lstm"): …

Work says what it does and how much is done, never how that looks. Whoever listens looks at it when it pleases, so a
step costs next to nothing. Another thread hears nothing of it, unless it begins to listen itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

Item = TypeVar("Item")


@dataclass(eq=False)
class Wait:
    """A piece of work that is waited for."""

    name: str
    """What is done, "encoding"."""
    unit: str = ""
    """What is counted, "examples"; "": nothing is."""
    total: int | None = None
    done: int = 0
    begun: float = field(default_factory=lambda: time.monotonic())
    """The clock when it began, `time.monotonic()`."""
    reached: float = 0.0
    """The clock when so much was done."""

    def left(self, now: float) -> float | None:
        """Seconds that the rest takes at the pace so far; None where that cannot be told."""
        if not self.done or self.total is None:
            return None
        rest = (self.reached - self.begun) / self.done * (self.total - self.done)
        return max(0.0, rest - (now - self.reached))


class Listener(Protocol):
    """Whoever shows what is waited for. A wait that begins inside of another ends before it."""

    def begin(self, wait: Wait, /) -> None: ...
    def end(self, wait: Wait, /) -> None: ...
    def say(self, sentence: str, /) -> None:
        """Show a sentence of its own."""


_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Inside, the listener is told of what this thread waits for."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def steps(
    items: Iterable[Item],
    name: str,
    unit: str,
    total: int | None = None,
    size: Callable[[Item], int] | None = None,
) -> Iterable[Item]:
    """The items, counted as they are done with: how many of `total`, that of the items if they know it. They can be
    gone through as often as the items themselves.

    `size`: how much one counts for, where that is not 1.
    """
    listener = _listener.get()
    if listener is None:
        return items
    if total is None and size is None and isinstance(items, Sized):
        total = len(items)
    return _Counted(items, listener, name, unit, total, size)


@dataclass(frozen=True)
class _Counted(Generic[Item]):
    items: Iterable[Item]
    listener: Listener
    name: str
    unit: str
    total: int | None
    size: Callable[[Item], int] | None

    def __iter__(self) -> Iterator[Item]:
        wait = Wait(self.name, self.unit, self.total)
        self.listener.begin(wait)
        try:
            for item in self.items:
                yield item
                wait.done += 1 if self.size is None else self.size(item)
                wait.reached = time.monotonic()
        finally:
            self.listener.end(wait)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Inside, something is done that cannot be counted."""
    listener = _listener.get()
    if listener is None:
        yield
        return
    wait = Wait(name)
    listener.begin(wait)
    try:
        yield
    finally:
        listener.end(wait)


def told(sentence: str) -> bool:
    """Whether somebody listens, who was told the sentence."""
    listener = _listener.get()
    if listener is not None:
        listener.say(sentence)
    return listener is not None


def duration(seconds: float) -> str:
    """A time in the largest unit that it has two of."""
    for unit, name in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.2g} {name}" if seconds < 10 * unit else f"{seconds / unit:,.0f} {name}"
    return "1 second" if round(seconds) == 1 else f"{seconds:.0f} seconds"
