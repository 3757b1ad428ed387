"""Notes by number and by name, and steps of them as text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from recurra.errors import DataError

NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
HIGHEST = 127
"""The number of the highest note of MIDI, from 0; 60 is C4, the middle C."""
LONGEST = 1_000_000
"""Steps of a piece, at most: days of music."""
_NAME = re.compile(r"([A-Ga-g])([#♯b♭]?)(-?\d)")
_STEPS = re.compile(r"[|\n]")


def name_of(number: int) -> str:
    """60 → "C4"."""
    return f"{NAMES[number % 12]}{number // 12 - 1}"


def number_of(written: str) -> int:
    """ "60", "C4", "F#3" or "Bb5" → the number of the note. Raises `DataError` for none."""
    if found := _NAME.fullmatch(written):
        letter, sign, octave = found.groups()
        number = NAMES.index(letter.upper()) + {"": 0, "#": 1, "♯": 1}.get(sign, -1) + 12 * (int(octave) + 1)
    elif written.isascii() and written.isdigit() and len(written) <= 3:
        number = int(written)
    else:
        raise DataError(f"{written[:20]!r} is no note, expected a number such as 60, or a name such as C4 or F#3.")
    if not 0 <= number <= HIGHEST:
        raise DataError(f"the note {written}, expected 0 to {HIGHEST}, which is C-1 to {name_of(HIGHEST)}.")
    return number


def steps_of(text: str) -> list[list[int]]:
    """ "60 64 67 | 62 | | 60": the notes of each step, rising. A step is a line or ends at |; one of none is silent.

    Raises `DataError` for what is no note.
    """
    if not text.strip():
        return []
    body = text.rstrip().removesuffix("|").strip(" \t")
    return [sorted({number_of(each) for each in step.split()}) for step in _STEPS.split(body)]


def written(steps: Iterable[Sequence[int]]) -> str:
    """The numbers of each step's notes, a step a line."""
    return "".join(" ".join(map(str, sorted(step))) + "\n" for step in steps)


def sounding_at(spans: Iterable[tuple[int, int, int]], name: str) -> list[list[int]]:
    """The notes that sound at each step, of spans (note, first step, the step behind its last).

    Raises `DataError` for more than `LONGEST` steps of the piece `name`.
    """
    held = list(spans)
    count = max((end for _, _, end in held), default=0)
    if count > LONGEST:
        raise DataError(f"{name}: {count:,} steps, expected {LONGEST:,} at most. Cut it, or take longer steps.")
    found: list[set[int]] = [set() for _ in range(count)]
    for note, begin, end in held:
        for place in range(begin, end):
            found[place].add(note)
    return [sorted(each) for each in found]
