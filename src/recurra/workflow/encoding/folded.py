"""A pass over many tasks whose results are added up, and kept now and then, so that a killed process goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from recurra import storage
from recurra.progress import steps
from recurra.workflow.encoding.pool import Function, Job, Pool

EVERY, SHARE = 10.0, 0.05
"""Seconds after which what there is is kept, and the share of the time that this takes at most."""


def folded(
    pool: Pool,
    job: Job,
    function: Function[Any, Any],
    tasks: Sequence[Any],
    state: Any,
    add: Callable[[Any, Any], None],
    path: Path,
    name: str,
    unit: str,
    size: Callable[[Any], int],
) -> Any:
    """`state`, to which `add` has added what a function makes of each task, in their order; kept in a file as JSON.

    `name`, `unit` and `size`, of a task, say how far it is.
    """
    done, state = _kept(path, state)
    if done == len(tasks):
        return state
    rest = tasks[done:]
    kept, took = time.monotonic(), 0.0
    results = zip(rest, pool.map(job, function, rest), strict=True)
    for _, result in steps(results, name, unit, sum(map(size, rest)), lambda each: size(each[0])):
        add(state, result)
        done += 1
        if time.monotonic() - kept > max(EVERY, took / SHARE):
            begun = time.monotonic()
            _keep(path, done, state)
            kept = time.monotonic()
            took = kept - begun
    _keep(path, done, state)
    return state


def _kept(path: Path, state: Any) -> tuple[int, Any]:
    """How many tasks are done, and the state then."""
    try:
        found = json.loads(storage.read_text(path))
        return int(found["done"]), found["state"]
    except (OSError, ValueError, KeyError, TypeError):
        return 0, state


def _keep(path: Path, done: int, state: Any) -> None:
    storage.write_text(path, json.dumps({"done": done, "state": state}))
