"""A command that is to be done, and how it ended."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

LAST = 1 << 14
"""Bytes of the end of what a process said that are looked at."""
SAYS = "recurra: "
"""How the sentence begins by which a command ends that could not be done."""


@dataclass(frozen=True)
class Job:
    """A command, `recurra` and these words. Its files are named by whole paths: it may be done elsewhere."""

    key: int
    words: tuple[str, ...]
    log: Path
    """Where what it says is kept."""
    threads: int = 1
    """Processor threads that it takes."""
    gpus: int = 0

    @property
    def command(self) -> str:
        return shlex.join(["recurra", *self.words])


@dataclass(frozen=True)
class Ended:
    """How a job ended."""

    key: int
    code: int
    """0: it was done."""
    said: str
    """Why not, as a sentence; "": it was done, or was stopped."""


class Where(Protocol):
    """Does jobs, and gives them as they end, in any order. Interrupted, it asks those that go on to end in order, waits
    for that and begins no other; closed before the last, it kills them."""

    def __call__(self, jobs: Iterable[Job]) -> Iterator[Ended]: ...


def ended(job: Job, code: int, text: str) -> Ended:
    """How a job ended that said this at its end."""
    return Ended(job.key, code, "" if code == 0 else _reason(code, text))


def _reason(code: int, text: str) -> str:
    """Why a process ended by this code, of what it said last."""
    lines = [line.strip() for line in text.replace("\r", "\n").splitlines() if line.strip()]
    for line in reversed(lines):
        if line.startswith(SAYS):
            return line.removeprefix(SAYS)
    if code < 0:
        return f"its process was killed by signal {-code}. Was there too little memory? Fewer at a time: --workers"
    return lines[-1] if lines else f"its process ended with code {code} and said nothing"
