"""Which notes sound at each step, as bits: a piano roll."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from recurra.data.notes import HIGHEST, name_of, steps_of
from recurra.errors import ConfigError, DataError
from recurra.registry import part

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@part("codec", "roll")
class PianoRoll:
    """The notes of each step, [[60, 64], [], …], as [T, keys] of 0 and 1: a key for each note from `lowest` to
    `highest`, by default those of a piano. `seconds` a step lasts, for whoever plays it.

    Raises `ConfigError` for keys that are none, `encode` `DataError` for a note without a key.
    """

    forms: ClassVar[tuple[str, ...]] = ("notes",)
    dtype: ClassVar[type[np.generic]] = np.float32
    padding: ClassVar[float] = 0.0

    def __init__(self, lowest: int = 21, highest: int = 108, seconds: float = 0.25) -> None:
        if not 0 <= lowest < highest <= HIGHEST:
            raise ConfigError(
                f"input.lowest = {lowest} and input.highest = {highest}, expected notes from 0 to {HIGHEST}, the "
                "second above the first."
            )
        if not 0.001 <= seconds <= 60:
            raise ConfigError(f"input.seconds = {seconds}, expected the length of a step, 0.001 to 60.")
        self.lowest, self.highest, self.seconds = lowest, highest, seconds

    @property
    def size(self) -> int:
        return self.highest - self.lowest + 1

    @property
    def shape(self) -> tuple[int | None, ...]:
        return (None, self.size)

    @property
    def rows(self) -> tuple[str, ...]:
        """The names of the keys, the lowest first."""
        return tuple(map(name_of, range(self.lowest, self.highest + 1)))

    def fit(self, values: Iterable[Sequence[Sequence[int]]]) -> Self:
        return self

    def read(self, text: str) -> list[list[int]]:
        """The notes of each step as they are typed, `60 64 67 | C4 E4`."""
        return steps_of(text)

    def encode(self, value: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        if not isinstance(value, list | tuple) or not all(isinstance(step, list | tuple) for step in value):
            raise DataError(f"{str(value)[:40]}, expected the notes of each step: [[60, 64], [], [62]].")
        found = np.zeros((len(value), self.size), np.float32)
        for step, notes in enumerate(value):
            for note in notes:
                if not isinstance(note, int | np.integer):
                    raise DataError(f"step {step}: {note!r} is no note, expected its number, 60 for C4.")
                if not self.lowest <= note <= self.highest:
                    raise DataError(
                        f"step {step}: the note {note}, expected {self.lowest} to {self.highest}. "
                        "Transpose it, or train with more keys: --set input.lowest=0 --set input.highest=127"
                    )
                found[step, note - self.lowest] = 1
        return found

    def decode(self, array: ArrayLike) -> list[list[int]]:
        return [[self.lowest + int(key) for key in np.flatnonzero(step > 0.5)] for step in np.asarray(array)]

    def record(self) -> dict[str, Any]:
        settings = {"lowest": self.lowest, "highest": self.highest, "seconds": self.seconds}
        return {"kind": "roll", "settings": settings}

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {}

    def restore(self, record: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        return self
