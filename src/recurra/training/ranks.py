"""Which process of several this one is, as its launcher says. Needs no torch."""

from __future__ import annotations

import os
from dataclasses import dataclass

from recurra.errors import ConfigError

VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun, and whoever starts processes for torch, sets in the environment."""


@dataclass(frozen=True)
class Place:
    """A process of those that train one model together."""

    rank: int
    """0 … size − 1; the first writes the run."""
    size: int
    local: int
    """Its number on its own machine, which is that of its GPU."""
    restarts: int
    """How often the launcher has begun anew since a process died."""
    host: str
    port: int
    """Where the processes find each other."""


def place() -> Place | None:
    """The place of this process; None of one that was started alone. Raises `ConfigError` for numbers that are none."""
    if not all(name in os.environ for name in VARIABLES):
        return None
    rank, size = _number("RANK"), _number("WORLD_SIZE")
    if rank >= size:
        raise ConfigError(f"the environment says RANK={rank} of WORLD_SIZE={size}, expected a rank from 0 to size − 1.")
    restarts, port = _number("TORCHELASTIC_RESTART_COUNT", 0), _number("MASTER_PORT")
    return Place(rank, size, _number("LOCAL_RANK", rank), restarts, os.environ["MASTER_ADDR"], port)


def is_first() -> bool:
    """Whether this process is the one that writes and speaks."""
    found = place()
    return found is None or found.rank == 0


def _number(name: str, missing: int | None = None) -> int:
    value = os.environ.get(name)
    if value is None and missing is not None:
        return missing
    if value is None or not value.isdecimal():
        raise ConfigError(f"the environment says {name}={value!r}, expected a whole number. Is it left from elsewhere?")
    return int(value)
