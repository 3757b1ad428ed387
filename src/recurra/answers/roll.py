"""Which of some rows sound or act at each step: a piano roll, frames of activity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from recurra.data.abc import abc_of
from recurra.data.midi import midi_of
from recurra.errors import ConfigError

WIDTH = 80
"""Steps that a terminal shows, the last ones."""


@dataclass(frozen=True)
class Roll:
    """Rows by name, the lowest first, and of each step the rows that are on."""

    kind: ClassVar[str] = "roll"
    rows: tuple[str, ...]
    steps: Sequence[Sequence[int]]
    given: int = 0
    """Of the steps so many were given; the others are the model's."""
    seconds: float | None = None
    """Seconds a step, where that is known."""
    pitches: tuple[int, ...] = ()
    """The number of each row's note, of rows that are notes (MIDI's, 60 is C4)."""
    endings: ClassVar[tuple[str, ...]] = (".mid", ".abc")
    """Of files that it can be saved as."""

    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"rows": list(self.rows), "steps": [list(step) for step in self.steps]}
        return {**found, "given": self.given, **({} if self.seconds is None else {"seconds": self.seconds})}

    def text(self) -> str:
        """A line for each row that is ever on, the highest first; what was given is ▒, what is new █."""
        first = max(0, len(self.steps) - WIDTH)
        shown = [set(step) for step in self.steps[first:]]
        used = sorted({row for step in shown for row in step}, reverse=True)
        width = max((len(self.rows[row]) for row in used), default=0)
        return "\n".join(
            f"{self.rows[row]:>{width}} "
            + "".join(("▒" if first + t < self.given else "█") if row in step else "·" for t, step in enumerate(shown))
            for row in used
        )

    def saved(self, ending: str) -> bytes:
        """The roll as a MIDI file, or in ABC notation. Raises `ConfigError` for rows that are no notes, and for MIDI
        without the package mido."""
        if not self.pitches:
            raise ConfigError("the rows of this answer are no notes, so it is no music. Save it as JSON: --json.")
        steps, seconds = [[self.pitches[row] for row in step] for step in self.steps], self.seconds or 0.25
        return abc_of(steps, seconds).encode() if ending == ".abc" else midi_of(steps, seconds)

    def page(self) -> dict[str, Any]:
        return {
            "rows": list(self.rows),
            "steps": [list(step) for step in self.steps],
            "given": self.given,
            "seconds": self.seconds,
            "pitches": list(self.pitches),
        }
