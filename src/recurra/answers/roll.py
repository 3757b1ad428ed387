"""Which of some rows sound or act at each step: a piano roll, frames of activity."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from recurra.data.abc import abc_of
from recurra.data.midi import midi_of
from recurra.errors import ConfigError
from recurra.figures.drawing import drawing, file_of

WIDTH = 80
"""Steps that a terminal shows, the last ones."""
STEP, TALL, LETTER = 8, 11, 7.6
"""Of a drawing: how wide a step is, how high a row, and how wide a letter."""


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
    endings: ClassVar[tuple[str, ...]] = (".mid", ".abc", ".svg")
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
        """The roll as a MIDI file, in ABC notation, or as a drawing. Raises `ConfigError` for music of rows that are no
        notes, and for MIDI without the package mido."""
        if ending == ".svg":
            return self._drawn()
        if not self.pitches:
            raise ConfigError("the rows of this answer are no notes, so it is no music. Save it as JSON: --json.")
        steps, seconds = [[self.pitches[row] for row in step] for step in self.steps], self.seconds or 0.25
        return abc_of(steps, seconds).encode() if ending == ".abc" else midi_of(steps, seconds)

    def _drawn(self) -> bytes:
        """A row for each that is ever on, the highest first, with its name; what was given in another colour."""
        used = sorted({row for step in self.steps for row in step}, reverse=True)
        left = 8 + LETTER * max((len(self.rows[row]) for row in used), default=0)
        places = {row: TALL * y + 4 for y, row in enumerate(used)}
        drawn = [
            f'<text x="{left - 4:.1f}" y="{places[row] + TALL - 2}" text-anchor="end">'
            f"{html.escape(self.rows[row])}</text>"
            for row in used
        ]
        for t, step in enumerate(self.steps):
            look = "cell" if t < self.given else "bar"
            drawn += [
                f'<rect class="{look}" x="{left + STEP * t:.1f}" y="{places[row]}" width="{STEP}" height="{TALL - 1}"/>'
                for row in sorted(step)
            ]
        width = round(left + STEP * len(self.steps)) + 4
        return file_of(drawing(drawn, width, TALL * len(used) + 8, f"{len(self.steps)} steps of notes"))

    def page(self) -> dict[str, Any]:
        return {
            "rows": list(self.rows),
            "steps": [list(step) for step in self.steps],
            "given": self.given,
            "seconds": self.seconds,
            "pitches": list(self.pitches),
        }
