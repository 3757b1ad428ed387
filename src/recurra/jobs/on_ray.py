"""Jobs done by Ray: on a cluster that runs already, or on one that is started here."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from recurra.errors import ConfigError
from recurra.jobs.job import Ended, Job
from recurra.jobs.worker import Worker
from recurra.training.interrupt import Interrupt

TICK = 0.2
"""Seconds from one look at a process to the next."""
REACHED = 10.0
"""Seconds that a cluster's head has to answer."""
ENDING = 60.0
"""Seconds that a job has to save when it is asked to end."""


def check_installed() -> None:
    """Raise `ConfigError` where Ray is missing."""
    try:
        import ray  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "--on ray needs the package ray, which is not installed: pip install 'recurra[ray]'. Without it the work "
            "is done by processes of this machine, and by --shard on several."
        ) from error


class OnRay:
    """As many jobs at a time as the cluster has processors for, `workers` at most. All of its nodes are to see the file
    `mark`, which stands where the jobs write: it is looked for before each."""

    def __init__(
        self,
        mark: Path,
        address: str | None,
        workers: int | None,
        threads: int,
        interrupt: Interrupt,
        say: Callable[[str], None],
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        self._mark, self._address, self._threads = mark, address, threads
        self._asked, self._interrupt, self._say, self._tick = workers, interrupt, say, tick
        self._own = False
        self.workers = 1

    def __enter__(self) -> Self:
        import ray

        if not ray.is_initialized():
            former = signal.getsignal(signal.SIGTERM)
            try:
                _check_reached(self._address)
                os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
                ray.init(self._address, logging_level=logging.ERROR, log_to_driver=False, include_dashboard=False)
            except (ConnectionError, RuntimeError, ValueError, OSError) as error:
                raise ConfigError(
                    f"there is no Ray cluster at {self._address or 'this machine'} ({_first_line(error)}). Start one "
                    "with `ray start --head`, name its head's HOST:PORT by --address, or leave --address away."
                ) from error
            finally:
                if threading.current_thread() is threading.main_thread():
                    signal.signal(signal.SIGTERM, former)  # Ray's own would end this process at once
            self._own = True
        held = int(ray.cluster_resources().get("CPU", 1))
        self.workers = max(1, min(self._asked or held, held // self._threads))
        nodes = sum(bool(node["Alive"]) for node in ray.nodes())
        self._say(f"Ray: {nodes} node{'' if nodes == 1 else 's'}, {held} processors.")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import ray

        if self._own:
            ray.shutdown()

    def __call__(self, jobs: Iterable[Job]) -> Iterator[Ended]:
        import ray

        remote = ray.remote(max_retries=0)(_do)
        waiting, going, asked = iter(jobs), dict[Any, Job](), False
        while True:
            while len(going) < self.workers and not self._interrupt.requested:
                job = next(waiting, None)
                if job is None:
                    break
                options = {"num_cpus": job.threads, "num_gpus": job.gpus}
                going[remote.options(**options).remote(job, str(self._mark), str(Path.cwd()))] = job
            if not going:
                return
            if self._interrupt.requested and not asked:
                asked = True
                for each in going:
                    ray.cancel(each, force=False)
            self._tick()
            ready, _ = ray.wait([*going], timeout=TICK)
            for each in ready:
                yield _ended(going.pop(each), each)


def _check_reached(address: str | None) -> None:
    """Raise `OSError` where nobody listens: Ray itself would try for minutes."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACHED).close()


def _ended(job: Job, reference: Any) -> Ended:
    """How a job of Ray's ended."""
    import ray

    try:
        found: Ended = ray.get(reference)
    except ray.exceptions.TaskCancelledError:
        return Ended(job.key, 143, "")
    except ray.exceptions.RayTaskError as error:
        return Ended(job.key, 1, _first_line(error.cause))
    except ray.exceptions.RayError as error:  # the node is gone, there was too little memory
        return Ended(job.key, 1, _first_line(error))
    return found


def _do(job: Job, mark: str, folder: str) -> Ended:
    """Do a job on a node of the cluster, in the `folder` of whoever asked, if it is there. Cancelled, it asks the
    process to end in order and waits for that."""
    if not Path(mark).is_file():
        import ray

        node = ray.util.get_node_ip_address()
        raise ConfigError(
            f"the node {node} does not see {mark}. Name a folder by --out, and files, that all nodes see at the same "
            "place, on a file system that they share."
        )
    worker = Worker(folder if Path(folder).is_dir() else None)
    try:
        worker.begin(job)
        while (found := worker.ended()) is None:
            time.sleep(TICK)
        return found
    except KeyboardInterrupt:
        worker.stop()
        until = time.monotonic() + ENDING
        while worker.ended() is None and time.monotonic() < until:
            time.sleep(TICK)
        raise
    finally:
        worker.close()


def _first_line(error: BaseException | None) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
