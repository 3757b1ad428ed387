"""How large a model may be, and how many threads may work: what is beyond is refused before anything is allocated."""

from __future__ import annotations

import contextlib
import os
from functools import cache
from pathlib import Path

from recurra.errors import WrongValue

MOST_LAYERS = 1_000
"""Layers of a stack, and hops over a memory."""
LARGEST_SIZE = 1 << 24
"""Units, and whatever else is as wide as a matrix."""
FEWEST_MOST_THREADS = 64
CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def check_layers(name: str, number: int) -> None:
    """Raise `WrongValue` for more layers than there may be; `name` is the setting's."""
    if number > MOST_LAYERS:
        raise WrongValue(f"{name} = {number}, expected {MOST_LAYERS:,} at most.")


def check_size(name: str, number: int) -> None:
    """Raise `WrongValue` for more units than there may be; `name` is the setting's."""
    if number > LARGEST_SIZE:
        raise WrongValue(f"{name} = {number}, expected {LARGEST_SIZE:,} at most.")


def cores() -> int:
    """Processors that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # which some systems have not
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def most_threads() -> int:
    """Threads that may be asked for: 64, or as many as there are processors."""
    return max(FEWEST_MOST_THREADS, os.cpu_count() or 1)


def check_threads(name: str, number: int) -> None:
    """Raise `WrongValue` for no thread, and for so many that the process would end; `name` is the setting's."""
    if number < 1:
        raise WrongValue(f"{name} = {number}, expected 1 or more.")
    if number > most_threads():
        raise WrongValue(f"{name} = {number}, expected {most_threads()} at most on this machine.")


@cache
def memory() -> int | None:
    """Bytes of this machine's memory, or of what a container may have of it; None where that cannot be found out."""
    found = []
    with contextlib.suppress(AttributeError, ValueError, OSError):
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for file in CGROUPS:
        try:
            text = Path(file).read_text(encoding="ascii").strip()
        except (OSError, UnicodeError):
            continue
        if text.isdigit():
            found.append(int(text))
    return min((each for each in found if each > 0), default=None)
