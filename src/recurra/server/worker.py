"""One thread for each model: what waits while it computes is computed together next, and what comes when it is idle
begins at once. Who waits, and for what, is known to the event loop alone."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from recurra.asking.stopped import Stopped
from recurra.errors import RecurraError
from recurra.server.limits import Limits, size_of
from recurra.server.problems import Problem, of_model, of_recurra, too_many, too_slow
from recurra.server.texts import Text

log = logging.getLogger("recurra.serve")
BURST = 0.02
"""Seconds in which texts are written on before it is looked who waits meanwhile, and what is written is sent."""
PAUSE = 0.05
"""Seconds after which texts whose readers are behind are looked at again."""
CLOSING = 2.0
"""Seconds that what is being computed has when the server closes."""


@dataclass(eq=False)
class Job:
    """What one request wants computed: inputs, together with those of the same key, or a call, which goes alone."""

    key: Hashable
    inputs: Sequence[Any]
    call: Callable[[], Any] | None = None
    begun: bool = False
    answer: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def size(self) -> int:
        """What its inputs count against the limit of a batch."""
        return sum(size_of(given) if isinstance(given, str | list) else 1 for given in self.inputs)

    def fail(self, error: BaseException) -> None:
        """Answer by an error, if nothing was answered yet and somebody waits."""
        if not self.answer.done():
            self.answer.set_exception(error)


class Worker:
    """The queue of a model, and the thread that works it off.

    `compute(key, inputs)` gives an answer for each input, `advance(texts)` writes a symbol more of each and says of
    each whether it is finished, or why it cannot go on; `prepare` is called in the thread before all else.
    """

    def __init__(
        self,
        compute: Callable[[Any, Sequence[Any]], Sequence[Any]],
        advance: Callable[[Sequence[Any]], Sequence[bool | BaseException]],
        limits: Limits,
        name: str = "model",
        path: str = "",
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        self._compute, self._advance, self._limits, self._name, self._path = compute, advance, limits, name, path
        self._jobs: list[Job] = []
        self._taken: Sequence[Job] = ()
        self._computing: Sequence[Job] = ()
        self._texts: list[Text] = []
        self._calls: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, args=(prepare,), name=f"recurra {name}", daemon=True)
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self.closing = False
        self.computed = self.batches = 0
        """Requests computed, and in how many batches."""

    async def ask(self, key: Hashable, inputs: Sequence[Any], seconds: float | None = None) -> list[Any]:
        """The answers to inputs. What has one `key` may be computed together.

        Raises `Problem` where too many wait, where it takes too long, and for what the model refuses.
        """
        return list(await self._answered(Job(key, inputs), seconds))

    async def call(self, function: Callable[[], Any], seconds: float | None = None) -> Any:
        """What a function gives, called in the model's thread in its turn."""
        return await self._answered(Job(object(), (), function), seconds)

    def write(self, text: Text) -> None:
        """Generate a text: one that is streamed beside the others, a prediction as soon as fewer than there may be
        are written. Raises `Problem` where there are too many already, or the server closes."""
        if text.streamed and sum(one.streamed for one in self._texts) >= self._limits.streams:
            raise too_many("texts being generated", self._limits.streams, 5)
        self._check(room=not text.streamed)
        self._texts.append(text)
        self._wake()

    def drop(self, text: Text) -> None:
        """Generate it no further: its client has left."""
        with contextlib.suppress(ValueError):
            self._texts.remove(text)

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return len(self._jobs) + len(self._texts) - self.writing

    @property
    def writing(self) -> int:
        """Texts that are being generated."""
        return len(self._going())

    def stop(self) -> bool:
        """Whether what is being computed need not go on: nobody waits for it, or the server closes."""
        return self.closing or all(job.answer.done() for job in self._computing)

    def refuse_all(self) -> None:
        """Take nothing more, and answer whoever waits by 503, for what is being computed a little later."""
        self.closing = True
        asyncio.get_running_loop().call_later(CLOSING, self._abandon)
        for job in self._jobs:
            job.fail(_closing())
        for text in self._texts:
            text.send(_closing())
        self._texts.clear()

    def close(self, seconds: float = CLOSING) -> None:
        """Stop after what is being computed, but wait for that no longer than `seconds`. Called in any thread."""
        self.closing = True
        self._calls.put(None)
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _abandon(self) -> None:
        for job in self._taken:
            job.fail(_closing())

    async def _answered(self, job: Job, seconds: float | None) -> Any:
        seconds = self._limits.seconds if seconds is None else seconds
        self._check(room=True)
        self._jobs.append(job)
        self._wake()
        try:
            async with asyncio.timeout(seconds):
                return await job.answer
        except TimeoutError:
            raise too_slow(seconds, job.begun) from None
        finally:
            with contextlib.suppress(ValueError):
                self._jobs.remove(job)

    def _check(self, room: bool) -> None:
        """Raise `Problem` where the server closes, and where there is to be room but as many requests wait as may."""
        if self.closing:
            raise _closing()
        if room and self.waiting >= self._limits.waiting:
            raise too_many("requests waiting for this model", self._limits.waiting, 1)

    def _wake(self) -> None:
        """See to what waits."""
        if self._task is not None and not self._task.done():
            self._changed.set()
            return
        if self._thread.ident is None:
            self._thread.start()
        self._changed = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        """Compute what goes together next, and some symbols of the texts, as long as there is anything to do."""
        while (self._jobs or self._texts) and not self.closing:
            self._changed.clear()
            self._taken = self._together()
            await self._answer(self._taken)
            self._taken = ()
            going = [one for one in self._going() if not one.full]
            if going:
                await self._write(going)
            elif self._texts and not self._jobs:  # their readers are behind
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), PAUSE)

    def _together(self) -> list[Job]:
        """The requests that go together next, which leave the queue: the first, and as many behind it that ask the same
        as there is room for. A call asks what nothing else does, so it goes alone."""
        found: list[Job] = []
        count = size = 0
        for job in [job for job in self._jobs if job.key == self._jobs[0].key]:
            count, size = count + len(job.inputs), size + job.size
            if found and (count > self._limits.together or size > self._limits.in_all):
                break
            found.append(job)
        self._jobs = [job for job in self._jobs if job not in found]
        return found

    async def _answer(self, jobs: Sequence[Job]) -> None:
        """Compute requests together; where that fails, halves of them, so that in the end one fails for itself."""
        jobs = [job for job in jobs if not job.answer.done()]
        if not jobs:
            return
        for job in jobs:
            job.begun = True
        try:
            found = await self._threaded(lambda: self._found(jobs))
        except Stopped:
            for job in jobs:
                job.fail(_closing())
        except Exception as error:
            if len(jobs) == 1:
                jobs[0].fail(self._explained(error))
                return
            half = len(jobs) // 2
            await self._answer(jobs[:half])
            await self._answer(jobs[half:])
        else:
            self.batches += 1
            self.computed += len(jobs)
            for job, answers in zip(jobs, found, strict=True):
                if not job.answer.done():
                    job.answer.set_result(answers)

    def _found(self, jobs: Sequence[Job]) -> list[Any]:
        if self.closing:
            raise Stopped
        self._computing = jobs
        if jobs[0].call is not None:
            return [jobs[0].call()]
        answers = list(self._compute(jobs[0].key, [given for job in jobs for given in job.inputs]))
        return [[answers.pop(0) for _ in job.inputs] for job in jobs]

    def _going(self) -> list[Text]:
        """The texts that are being written: all streams, and as many predictions as may be."""
        predicted = [one for one in self._texts if not one.streamed][: self._limits.streams]
        return [one for one in self._texts if one.streamed] + predicted

    async def _write(self, texts: Sequence[Text]) -> None:
        for one in texts:
            one.begun = True
        finished = await self._threaded(lambda: self._written(texts))
        for one in texts:
            one.send()
        self._texts = [one for one in self._texts if one not in finished]

    def _written(self, texts: Sequence[Text]) -> list[Text]:
        """Write for a while, no longer than until somebody waits, lags behind or has all; those texts that are ended,
        or could not be written."""
        until, finished = time.monotonic() + BURST, list[Text]()
        while not finished:
            try:
                done = self._advance([one.writing for one in texts])
            except BaseException as error:
                done = [error] * len(texts)
            for one, found in zip(texts, done, strict=True):
                if found is False:
                    continue
                finished.append(one)
                try:
                    one.writing.end(None if found is True else self._explained(found))
                except Exception as error:  # the whole is worked out then
                    one.writing.end(self._explained(error))
            if self._jobs or self.closing or time.monotonic() > until or any(one.full for one in texts):
                break
        return finished

    def _explained(self, error: BaseException) -> BaseException:
        """What a client is told of an error."""
        if isinstance(error, Problem):
            return error
        if isinstance(error, RecurraError):
            return of_recurra(error, self._path, self._name)
        log.error("a request failed", exc_info=error)
        return of_model()

    async def _threaded(self, function: Callable[[], Any]) -> Any:
        """What a function gives, called in the model's thread."""
        answer: Future[Any] = Future()
        self._calls.put((answer, function))
        return await asyncio.wrap_future(answer)

    def _serve(self, prepare: Callable[[], None]) -> None:
        """The thread. It is a daemon, which those of an executor are not: what computes for too long when the server
        closes is left behind."""
        prepare()
        while (call := self._calls.get()) is not None:
            answer, function = call
            if not answer.set_running_or_notify_cancel():
                continue
            try:
                answer.set_result(function())
            except Exception as error:
                answer.set_exception(error)
            except BaseException as error:  # which would end the event loop
                answer.set_exception(RuntimeError(f"{type(error).__name__} in the model's thread"))


def _closing() -> Problem:
    return Problem(503, "the server is closing", next="Try again when it is back.", headers={"Retry-After": "10"})
