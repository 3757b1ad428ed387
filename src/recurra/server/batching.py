"""One thread for each model, in which all of its computing is done: what waits while it computes is computed together
next, and what comes when it is idle begins at once. Needs no torch."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Literal, Protocol

from recurra.asking.stopped import Stopped
from recurra.errors import RecurraError
from recurra.server.jobs import Job, taken
from recurra.server.limits import Limits
from recurra.server.problems import Problem, of_model, of_recurra, too_many, too_slow

log = logging.getLogger("recurra.serve")
PAUSE = 0.05
"""Seconds after which texts whose readers are behind are looked at again."""
CLOSING = 2.0
"""Seconds that what is being computed has when the server closes."""
Compute = Callable[[Hashable, Sequence[Any]], Sequence[Any]]
"""What is asked and the inputs of one or several requests; an answer for each input."""


class Writing(Protocol):
    """A text that is being generated: a symbol a round, until it says that it is done or its client is gone."""

    gone: bool
    begun: bool
    """Whether it had a turn."""

    @property
    def full(self) -> bool:
        """Whether its client has so much to read that the text waits."""

    def end(self, error: BaseException | None) -> None:
        """It was written to its end, or could not be."""


Advance = Callable[[Sequence[Any]], Sequence[bool | BaseException]]
"""A symbol more of several texts: of each whether it is done, or why it cannot go on."""


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
        self._taken: Sequence[Job] = ()
        self._computing: Sequence[Job] = ()
        self._later: deque[Writing] = deque()
        self._streams: list[Writing] = []
        self._predicted: list[Writing] = []
        self._changed = threading.Condition()
        self._closing = self._failed = False
        self.computed = self.batches = 0
        """Requests computed, and in how many batches."""
        self._thread = threading.Thread(target=self._work, name=f"recurra {name}", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def leave(self) -> None:
        """Take nothing more, and answer whoever waits by 503; what is being computed may still be answered."""
        with self._changed:
            self._closing = True
            self._refuse()
            self._changed.notify()

    def abandon(self) -> None:
        """Answer by 503 whoever waits for what is being computed."""
        for job in self._taken:
            job.give(self._refusal())

    def close(self, seconds: float = CLOSING) -> None:
        """Stop after what is being computed, but wait for that no longer than `seconds`."""
        self.leave()
        if self._thread.is_alive():
            self._thread.join(seconds)
        self.abandon()

    def stop(self) -> bool:
        """Whether what is being computed need not go on: nobody waits for it, or the server closes."""
        return self._closing or all(job.gone for job in self._computing)

    async def ask(self, key: Hashable, inputs: Sequence[Any], seconds: float | None = None) -> list[Any]:
        """The answers to inputs. What has one `key` may be computed together.

        Raises `Problem` where too many wait, where it takes too long, and for what the model refuses.
        """
        return list(await self._answered(Job(key, inputs), seconds))

    async def call(self, function: Callable[[], Any], seconds: float | None = None) -> Any:
        """What a function gives, called in the model's thread in its turn."""
        return await self._answered(Job(object(), (), function), seconds)

    def write(self, writing: Writing) -> None:
        """Generate a text beside the others. Raises `Problem` where the server closes."""
        with self._changed:
            self._check_open()
            self._streams.append(writing)
            self._changed.notify()

    def write_later(self, writing: Writing) -> None:
        """Generate a text as soon as fewer predictions than streams may be are being written; see `check_room`."""
        with self._changed:
            self._check_open()
            self._later.append(writing)
            self._changed.notify()

    def check_room(self) -> None:
        """Raise `Problem` where as many requests wait as may."""
        with self._changed:
            if self.waiting < self._limits.waiting:
                return
            self._jobs = deque(job for job in self._jobs if not job.gone)
            self._later = deque(one for one in self._later if not one.gone)
        if self.waiting >= self._limits.waiting:
            raise too_many("requests waiting for this model", self._limits.waiting, 1)

    @property
    def state(self) -> Literal["ok", "closing", "stopped"]:
        """Whether the thread works: "stopped" where it failed, or never began."""
        if self._thread.is_alive() and not self._closing:
            return "ok"
        return "closing" if self._closing and not self._failed else "stopped"

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return len(self._jobs) + len(self._later)

    @property
    def writing(self) -> int:
        """Texts that are being generated."""
        return len(self._streams) + len(self._predicted)

    async def _answered(self, job: Job, seconds: float | None) -> Any:
        seconds = self._limits.seconds if seconds is None else seconds
        with self._changed:
            self._check_open()
            self.check_room()
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
        try:
            self._prepare()
            while self._turn():
                pass
        except BaseException as error:
            self._failed = True
            log.critical("the thread of the model %s has failed", self._name, exc_info=error)
        finally:
            self.leave()
            self.abandon()

    def _turn(self) -> bool:
        """Compute what goes together next, and a round of the texts; False where the server closes."""
        with self._changed:
            while not (self._jobs or self._closing or self._advancing()):
                self._changed.wait(PAUSE if self.writing else None)
            if self._closing:
                return False
            self._taken = taken(self._jobs, self._limits)
            writing = [*self._streams, *self._predicted]
        self._answer(self._taken)
        self._taken = self._computing = ()
        if writing:
            self._write(writing)
        return True

    def _advancing(self) -> bool:
        """Whether there are texts to go on with; those that waited for a turn are among them now."""
        while self._later and len(self._predicted) < self._limits.streams:
            one = self._later.popleft()
            if not one.gone:
                one.begun = True
                self._predicted.append(one)
        return any(one.gone or not one.full for one in (*self._streams, *self._predicted))

    def _answer(self, jobs: Sequence[Job]) -> None:
        """Compute requests together; where that fails, halves of them, so that in the end one fails for itself."""
        jobs = self._computing = [job for job in jobs if not job.gone]
        if not jobs:
            return
        for job in jobs:
            job.begun = True
        try:
            if self._closing:
                raise Stopped
            found = self._found(jobs)
        except Stopped:
            for job in jobs:
                job.give(self._refusal())
            return
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

    def _write(self, writing: Sequence[Writing]) -> None:
        """A round of the texts whose readers keep up; those that are done, or whose client is gone, leave."""
        going = [one for one in writing if not (one.gone or one.full)]
        try:
            done = self._advance(going) if going else []
        except Exception as error:
            done = [error] * len(going)
        left = [one for one in writing if one.gone]
        for one, said in zip(going, done, strict=True):
            if said is not False:
                left.append(one)
                self._end(one, self._explained(said) if isinstance(said, Exception) else None)
        if left:
            with self._changed:
                self._streams = [one for one in self._streams if one not in left]
                self._predicted = [one for one in self._predicted if one not in left]

    def _end(self, one: Writing, error: BaseException | None) -> None:
        """Tell a client that its text is at its end; where that fails, because the whole is worked out then, why."""
        try:
            one.end(error)
        except Exception as fault:
            with contextlib.suppress(Exception):
                one.end(self._explained(fault))

    def _explained(self, error: BaseException) -> BaseException:
        """What a client is told of an error."""
        if isinstance(error, Problem):
            return error
        if isinstance(error, RecurraError):
            return of_recurra(error, self._path, self._name)
        log.error("a request failed", exc_info=error)
        return of_model()

    def _refuse(self) -> None:
        """Answer whoever waits, or has a text written, by why nothing comes."""
        for job in self._jobs:
            job.give(self._refusal())
        for one in (*self._later, *self._streams, *self._predicted):
            self._end(one, self._refusal())
        for each in (self._jobs, self._later, self._streams, self._predicted):
            each.clear()

    def _check_open(self) -> None:
        if self._closing:
            raise self._refusal()

    def _refusal(self) -> Problem:
        if self._failed:
            return Problem(
                503, "this model has stopped working", next="Ask whoever started the server to start it anew."
            )
        return Problem(503, "the server is closing", next="Try again when it is back.", headers={"Retry-After": "10"})
