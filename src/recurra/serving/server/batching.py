"""One thread for each model, in which all of its computing is done: what waits while it computes is computed together
next, and what comes when it is idle begins at once. Needs no torch."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Protocol

from recurra.errors import RecurraError
from recurra.serving.server.limits import Limits
from recurra.serving.server.problems import Problem, of_model, of_recurra, too_many, too_slow

log = logging.getLogger("recurra.serve")
Compute = Callable[[Hashable, Sequence[Any]], Sequence[Any]]
"""What is asked and the inputs of one or several requests; an answer for each input."""


class Writing(Protocol):
    """A text that is being generated: a symbol a round, until it says that it is done or its client is gone."""

    gone: bool

    def end(self, error: BaseException | None) -> None:
        """It was written to its end, or could not be."""


Advance = Callable[[Sequence[Any]], Sequence[bool | BaseException]]
"""A symbol more of several texts: of each whether it is done, or why it cannot go on."""


class Job:
    """What one request wants computed. Made in the event loop, which it is answered in."""

    def __init__(self, key: Hashable, inputs: Sequence[Any], call: Callable[[], Any] | None = None) -> None:
        self.key, self.inputs, self.call = key, inputs, call
        self.size = sum(len(given) if isinstance(given, str | list) else 1 for given in inputs)
        self.gone = self.begun = False
        self._loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[Any] = self._loop.create_future()

    def give(self, value: Any) -> None:
        """Answer, from the model's thread; an exception is raised where the answer is awaited."""
        with contextlib.suppress(RuntimeError):  # the event loop is closed, nobody waits any more
            self._loop.call_soon_threadsafe(self._give, value)

    def _give(self, value: Any) -> None:
        if self.answer.done():
            return
        if isinstance(value, BaseException):
            self.answer.set_exception(value)
        else:
            self.answer.set_result(value)


class Worker:
    """The queue of a model, and the thread that works it off."""

    def __init__(
        self,
        compute: Compute,
        advance: Advance,
        limits: Limits,
        name: str = "model",
        path: str = "",
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        self._compute, self._advance, self._prepare, self._limits = compute, advance, prepare, limits
        self._name, self._path = name, path
        self._jobs: deque[Job] = deque()
        self._writing: list[Any] = []
        self._changed = threading.Condition()
        self._closing = False
        self.computed = self.batches = 0
        """Requests computed, and in how many batches."""
        self._thread = threading.Thread(target=self._work, name=f"recurra {name}", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def close(self) -> None:
        """Stop after what is being computed; whatever waits is answered by 503."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    async def ask(self, key: Hashable, inputs: Sequence[Any], seconds: float | None = None) -> list[Any]:
        """The answers to inputs. What has one `key` may be computed together.

        Raises `Problem` where too many wait, where it takes too long, and for what the model refuses.
        """
        return list(await self._answered(Job(key, inputs), seconds))

    async def call(self, function: Callable[[], Any], seconds: float | None = None) -> Any:
        """What a function gives, called in the model's thread in its turn."""
        return await self._answered(Job(object(), (), function), seconds)

    def write(self, writing: Writing) -> None:
        """Generate a text beside the others. Raises `Problem` where too many are."""
        with self._changed:
            if len(self._writing) >= self._limits.streams:
                raise too_many("texts being generated", self._limits.streams, 5)
            self._writing.append(writing)
            self._changed.notify()

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return len(self._jobs)

    @property
    def writing(self) -> int:
        """Texts that are being generated."""
        return len(self._writing)

    async def _answered(self, job: Job, seconds: float | None) -> Any:
        seconds = self._limits.seconds if seconds is None else seconds
        with self._changed:
            if self._closing:
                raise _closing()
            if len(self._jobs) >= self._limits.waiting:
                raise too_many("requests waiting for this model", self._limits.waiting, 1)
            self._jobs.append(job)
            self._changed.notify()
        try:
            async with asyncio.timeout(seconds):
                return await job.answer
        except TimeoutError:
            raise too_slow(seconds, job.begun) from None
        finally:
            job.gone = True

    def _work(self) -> None:
        self._prepare()
        while True:
            with self._changed:
                while not (self._jobs or self._writing or self._closing):
                    self._changed.wait()
                if self._closing:
                    self._give_up()
                    return
                jobs = self._taken()
                writing = list(self._writing)
            for group in _grouped(jobs):
                self._answer(group)
            if writing:
                self._write(writing)

    def _taken(self) -> list[Job]:
        """The requests that go together next: the first in the queue and as many behind it as there is room for."""
        jobs: list[Job] = []
        count = size = 0
        while self._jobs:
            first = self._jobs[0]
            count, size = count + len(first.inputs), size + first.size
            if jobs and (count > self._limits.together or size > self._limits.in_all):
                break
            self._jobs.popleft()
            if first.gone:
                count, size = count - len(first.inputs), size - first.size
            else:
                jobs.append(first)
        return jobs

    def _answer(self, jobs: Sequence[Job]) -> None:
        """Compute requests together; where that fails, halves of them, so that in the end one fails for itself."""
        jobs = [job for job in jobs if not job.gone]
        if not jobs:
            return
        for job in jobs:
            job.begun = True
        try:
            found = self._found(jobs)
        except Exception as error:
            if len(jobs) == 1:
                jobs[0].give(self._explained(error))
                return
            half = len(jobs) // 2
            self._answer(jobs[:half])
            self._answer(jobs[half:])
            return
        self.batches += 1
        self.computed += len(jobs)
        for job, answers in zip(jobs, found, strict=True):
            job.give(answers)

    def _found(self, jobs: Sequence[Job]) -> list[Any]:
        if jobs[0].call is not None:
            return [jobs[0].call()]
        answers = list(self._compute(jobs[0].key, [given for job in jobs for given in job.inputs]))
        found = []
        for job in jobs:
            found.append(answers[: len(job.inputs)])
            del answers[: len(job.inputs)]
        return found

    def _write(self, writing: Sequence[Any]) -> None:
        """A round of all texts; those that are done, or whose client is gone, leave."""
        alive = [one for one in writing if not one.gone]
        try:
            done = self._advance(alive) if alive else []
        except Exception as error:
            done = [error] * len(alive)
        left = [one for one in writing if one.gone]
        for one, said in zip(alive, done, strict=True):
            if said is not False:
                left.append(one)
                one.end(self._explained(said) if isinstance(said, Exception) else None)
        if left:
            with self._changed:
                self._writing = [one for one in self._writing if one not in left]

    def _explained(self, error: BaseException) -> BaseException:
        """What a client is told of an error."""
        if isinstance(error, Problem):
            return error
        if isinstance(error, RecurraError):
            return of_recurra(error, self._path, self._name)
        log.error("a request failed", exc_info=error)
        return of_model()

    def _give_up(self) -> None:
        for job in self._jobs:
            job.give(_closing())
        for one in self._writing:
            one.end(_closing())
        self._jobs.clear()
        self._writing.clear()


def _grouped(jobs: Sequence[Job]) -> list[list[Job]]:
    """Requests by what they ask, in the order they came."""
    groups: dict[Hashable, list[Job]] = {}
    for job in jobs:
        groups.setdefault(job.key, []).append(job)
    return list(groups.values())


def _closing() -> Problem:
    return Problem(503, "the server is closing", next="Try again when it is back.", headers={"Retry-After": "10"})
