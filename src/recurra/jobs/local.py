"""Jobs as processes of this machine's, so many at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from recurra.jobs.asked import check_workers
from recurra.jobs.job import Ended, Job
from recurra.jobs.worker import Worker
from recurra.training.interrupt import Interrupt

TICK = 0.05
"""Seconds from one look at the processes to the next."""


class Local:
    """`workers` jobs at a time. The first Ctrl-C or SIGTERM asks them to end in order, the second ends them at once;
    both begin no further one, and `interrupt` says so."""

    def __init__(self, workers: int, interrupt: Interrupt, tick: Callable[[], None] = lambda: None) -> None:
        """`tick` is called now and then while they go on."""
        check_workers(workers)
        self._workers, self._interrupt, self._tick = workers, interrupt, tick

    def __call__(self, jobs: Iterable[Job]) -> Iterator[Ended]:
        waiting, going, idle, asked = iter(jobs), list[Worker](), list[Worker](), False
        try:
            while True:
                while len(going) < self._workers and not self._interrupt.requested:
                    job = next(waiting, None)
                    if job is None:
                        break
                    going.append(idle.pop() if idle else Worker())
                    going[-1].begin(job)
                if not going:
                    return
                if self._interrupt.requested and not asked:
                    asked = True
                    for each in going:
                        each.stop()
                for each in [*going]:
                    found = each.ended()
                    if found is None:
                        continue
                    going.remove(each)
                    if found.code:  # what failed may leave too little memory behind
                        each.close()
                    else:
                        idle.append(each)
                    yield found
                self._tick()
                time.sleep(TICK)
        finally:
            for each in (*going, *idle):
                each.close()
