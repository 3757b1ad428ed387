"""What is served: runs by name, each with its own thread."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from recurra.errors import did_you_mean
from recurra.server.answering import Asking
from recurra.server.batching import CLOSING, Worker
from recurra.server.cards import card
from recurra.server.generating import written_by
from recurra.server.limits import Limits
from recurra.server.problems import Problem, too_many
from recurra.server.sessions import Sessions
from recurra.serving.run import Run
from recurra.streaming.session import Session, advance


class Served:
    """One model: its run, its card, its queue, its sessions."""

    def __init__(self, name: str, run: Run, limits: Limits, threads: int) -> None:
        self.name, self.run, self.limits = name, run, limits
        self.asking = Asking(run)
        self.card = card(name, run, limits)
        self._first: Session | None = None
        writer = written_by(run, self.open_session)
        self.defaults: dict[str, Any] = {} if writer is None else writer[1]
        self.generates = writer is not None
        self.sessions = Sessions(limits)
        self._streams = 0
        self.worker = Worker(
            self._compute,
            _nothing_written if writer is None else writer[0],
            limits,
            name,
            str(run.path),
            lambda: torch.set_num_threads(threads),
        )

    def open_session(self) -> Session:
        """A session at its begin, in the model's thread. The first is kept, so that weights are packed once."""
        if self._first is None:
            self._first = self.run.session()
        return self._first.fork()

    async def fed(self, session: Session, given: Any, top: int) -> tuple[int, list[dict[str, Any]]]:
        """How many symbols a session has read when it was fed, and the answers."""
        if isinstance(given, list) and len(given) == 1:  # those of other sessions may share the step
            ((count, answer),) = await self.worker.ask(("fed", top), [(session, given[0])])
            return count, [answer]

        def read() -> tuple[int, list[dict[str, Any]]]:
            answers = session.feed(given, top)
            return session.count, answers

        count, answers = await self.worker.call(read)
        return count, answers

    def begin_stream(self) -> Callable[[], None]:
        """Count a stream, until what is given is called. Raises `Problem` where there are as many as there may be."""
        if self._streams >= self.limits.streams:
            raise too_many("texts being generated", self.limits.streams, 5)
        self._streams += 1

        def left() -> None:
            self._streams -= 1

        return left

    def _compute(self, key: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        if key[0] == "fed":
            sessions = [session for session, _ in inputs]
            answers = advance(sessions, [symbol for _, symbol in inputs], top=key[1])
            return [(session.count, answer) for session, answer in zip(sessions, answers, strict=True)]
        return self.asking.compute(key, inputs, self.worker.stop)


class Models:
    """All that is served, by name."""

    def __init__(self, runs: Sequence[Run], limits: Limits | None = None, threads: int = 1) -> None:
        self.limits = limits or Limits()
        self._left = 0.0
        names = names_of([run.path for run in runs])
        self.by_name: Mapping[str, Served] = {
            name: Served(name, run, self.limits, threads) for name, run in zip(names, runs, strict=True)
        }

    def start(self) -> None:
        """Begin to work."""
        for served in self.by_name.values():
            served.worker.start()

    def leave(self) -> None:
        """Answer whoever waits by 503, now, and, in the event loop, a little later whoever is being computed for."""
        self._left = self._left or time.monotonic()
        for served in self.by_name.values():
            served.worker.leave()
            asyncio.get_running_loop().call_later(CLOSING, served.worker.abandon)

    def close(self) -> None:
        """Stop all threads, but wait no longer than a few seconds for what is being computed."""
        left = self._left or time.monotonic()
        for served in self.by_name.values():
            served.worker.leave()
        for served in self.by_name.values():
            served.worker.close(max(0.0, left + CLOSING - time.monotonic()))

    def find(self, name: str) -> Served:
        """The model of a name. Raises `Problem` for one there is not."""
        if name not in self.by_name:
            guess = did_you_mean(name, self.by_name)
            raise Problem(
                404,
                f"there is no model of this name{guess}" if guess != "." else "there is no model of this name",
                expected=", ".join(self.by_name),
                got=name,
                next="GET /api/models lists them.",
            )
        return self.by_name[name]


def names_of(paths: Sequence[Path]) -> list[str]:
    """A name for each folder, that can stand in an address and that no other has."""
    names: list[str] = []
    for path in paths:
        bare = re.sub(r"[^\w.-]+", "-", path.resolve().name).strip("-.") or "model"
        k, name = 1, bare
        while name in names:
            k += 1
            name = f"{bare}-{k}"
        names.append(name)
    return names


def _nothing_written(texts: Sequence[Any]) -> list[bool | BaseException]:
    return [True] * len(texts)
