"""What requests want computed, and which of it goes together. Needs no torch."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from recurra.server.limits import Limits, size_of


class Job:
    """What one request wants computed. Made in the event loop, which it is answered in."""

    def __init__(self, key: Hashable, inputs: Sequence[Any], call: Callable[[], Any] | None = None) -> None:
        self.key, self.inputs, self.call = key, inputs, call
        self.size = sum(size_of(given) if isinstance(given, str | list) else 1 for given in inputs)
        self.gone = self.begun = False
        self._loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[Any] = self._loop.create_future()

    def give(self, value: Any) -> None:
        """Answer, from whatever thread, if nothing was answered yet; an exception is raised where it is awaited."""
        with contextlib.suppress(RuntimeError):  # the event loop is closed, nobody waits any more
            self._loop.call_soon_threadsafe(self._give, value)

    def _give(self, value: Any) -> None:
        if self.answer.done():
            return
        if isinstance(value, BaseException):
            self.answer.set_exception(value)
        else:
            self.answer.set_result(value)


def taken(jobs: deque[Job], limits: Limits) -> list[Job]:
    """The requests that go together next, which leave the queue: the first whose client waits, and as many behind it
    that ask the same as there is room for. A call asks what nothing else does, so it goes alone."""
    while jobs and jobs[0].gone:
        jobs.popleft()
    if not jobs:
        return []
    found = [jobs.popleft()]
    count, size = len(found[0].inputs), found[0].size
    for job in [job for job in jobs if job.key == found[0].key and not job.gone]:
        count, size = count + len(job.inputs), size + job.size
        if count > limits.together or size > limits.in_all:
            break
        jobs.remove(job)
        found.append(job)
    return found
