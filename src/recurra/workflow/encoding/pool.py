"""The processes that read and encode, each with its own reader, task and codecs."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeAlias, TypeVar

from recurra import plugins as own_files
from recurra import registry, storage
from recurra.config import Config
from recurra.data.batching.layout import check_alike
from recurra.data.codecs import file as codec_file
from recurra.data.corpus.form import Stored
from recurra.data.corpus.writing import Shard
from recurra.data.fields import Codecs
from recurra.errors import DataError
from recurra.model import make_codecs, make_parts

Task = TypeVar("Task")
Result = TypeVar("Result")
AHEAD = 2
"""Tasks a process that are given out before the first of them is done."""
LOOK = 1.0
"""Seconds from one look at whether the parent lives to the next."""


@dataclass(frozen=True)
class Job:
    """What all processes know."""

    config: Config
    plugins: tuple[str, ...] = ()
    codecs: str | None = None
    """The file of the codecs, once they have learned."""
    dropped: str | None = None
    """A file of what tells the training examples that are left out, as they are scored."""
    fields: tuple[str, ...] = ()
    """Those that the training examples have."""

    def stored(self, codecs: Codecs) -> dict[str, Stored]:
        """How the arrays of each field lie."""
        return {name: Stored.of(codecs[name], codecs.fields[name]) for name in self.fields}


class Worker:
    """A process's own parts, made when they are first asked for."""

    def __init__(self, job: Job) -> None:
        self.job = job
        own_files.load(job.plugins)

    @cached_property
    def reader(self) -> Any:
        """What reads files."""
        return registry.construct("reader", self.job.config["reader"])

    @cached_property
    def task(self) -> Any:
        """What the examples are prepared by."""
        return make_parts(self.job.config)[2]

    @cached_property
    def codecs(self) -> Codecs:
        """What encodes."""
        embedder, _, task = make_parts(self.job.config)
        known = None if self.job.codecs is None else codec_file.load(self.job.codecs)
        return make_codecs(self.job.config, embedder, task, known)

    @cached_property
    def dropped(self) -> frozenset[str]:
        """What tells those training examples that are left out."""
        path = self.job.dropped
        return frozenset() if path is None else frozenset(json.loads(storage.read_text(Path(path))))

    def shard(self, encoded: Sequence[Mapping[str, Any]], sizes: Mapping[str, Any]) -> Shard:
        """Encoded examples as they lie in the corpus, and what is counted of them. Raises `DataError` for examples with
        other fields than the first."""
        for each in encoded[1:]:
            check_alike(encoded[0], each)
        return Shard.of(self.job.stored(self.codecs), encoded, sizes)


Function: TypeAlias = Callable[[Worker, Task], Result]


class Pool:
    """Does tasks in so many processes; with one, in this very process."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        if self._processes > 1:
            self._executor = ProcessPoolExecutor(
                self._processes,
                multiprocessing.get_context("spawn"),  # of a process with threads no copy is safe
                _begin,
                (os.getpid(),),
            )
        return self

    def __exit__(self, *error: object) -> None:
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)

    def map(self, job: Job, function: Function[Task, Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """What a function makes of each task, in their order. Raises `DataError` where a process was killed."""
        if self._executor is None:
            worker = Worker(job)
            yield from (function(worker, task) for task in tasks)
            return
        waiting: deque[Future[Result]] = deque()
        try:
            for task in tasks:
                waiting.append(self._executor.submit(_do, job, function, task))
                if len(waiting) >= AHEAD * self._processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise DataError(
                "a process that encodes was killed, expected that it lives: is there too little memory? Give the same "
                "command once more, with --processes 1: it goes on where this one was."
            ) from error


_worker: Worker | None = None


def _begin(parent: int) -> None:
    """In a new process: leave Ctrl-C to the parent, and end when it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK)
    os._exit(1)


def _do(job: Job, function: Function[Task, Result], task: Task) -> Result:
    global _worker
    if _worker is None or _worker.job != job:
        _worker = Worker(job)
    return function(_worker, task)
