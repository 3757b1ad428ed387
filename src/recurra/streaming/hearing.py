"""Steps of a recording as its samples come: pieces of any size become the frames that they complete."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.data.codecs.contract import Hears, Opens
from recurra.data.heard import Heard
from recurra.data.sound import Sound
from recurra.data.wav import LOUDEST
from recurra.errors import DataError
from recurra.streaming.measured import Symbol


class Hearing:
    """The steps of a run that reads recordings, `AT_ONCE` at most at a time."""

    AT_ONCE = 64

    def __init__(self, codec: Hears, path: Path) -> None:
        self._codec, self._path = codec, path

    def pieces(self, given: Any) -> Iterator[Sound]:
        """What is given in pieces that make a few steps each: a `Sound`, the bytes of a file, or samples [N] at the
        run's rate, int16 or numbers from −1 to 1. Raises `DataError` for anything else."""
        sound = self._sound(given)
        size = max(1, round(self.AT_ONCE * self._codec.seconds_per_step * sound.rate))
        for k in range(0, len(sound), size):
            yield Sound(sound.samples[k : k + size], sound.rate)

    def steps(self, piece: Sound, held: Heard | None, count: int, ended: bool = False) -> tuple[list[Symbol], Heard]:
        """The steps that a piece completes behind `count` others, and what is held then. A step is called by the
        seconds at which it begins."""
        frames, held = self._codec.heard(held, piece, ended)
        each = self._codec.seconds_per_step
        found = [Symbol(f"{(count + k) * each:.3f}", 0, tuple(row)) for k, row in enumerate(frames.tolist())]
        return found, held

    def rest(self, held: Heard | None, count: int) -> tuple[list[Symbol], Heard]:
        """The steps that are left at the end of a recording."""
        return self.steps(Sound(np.zeros(0, np.float32), self._codec.rate), held, count, ended=True)

    def restored(self, arrays: Mapping[str, NDArray[Any]]) -> Heard:
        """What was held, of its arrays. Raises `DataError` for what this run cannot have held."""
        nothing = self.rest(None, 0)[1]
        return Heard.of(arrays, nothing.found.shape[1])

    def _sound(self, given: Any) -> Sound:
        if isinstance(given, Sound):
            return given
        if isinstance(given, bytes) and isinstance(self._codec, Opens):
            found: Sound = self._codec.opened(given)
            return found
        try:
            array = np.asarray(given)
        except (ValueError, TypeError):
            array = np.zeros(0, object)
        if array.ndim != 1 or array.dtype.kind not in "fi" or (array.dtype.kind == "i" and array.dtype != np.int16):
            what = "a text" if isinstance(given, str) else f"{array.dtype} of the shape {list(array.shape)}"
            raise DataError(
                f"{what}, but {self._path} hears recordings. Feed samples [N] at {self._codec.rate:,} Hz, int16 or "
                "floats from −1 to 1, or recurra.data.sound.Sound(samples, rate)."
            )
        if array.dtype.kind == "f" and len(array) and not np.abs(array).max() <= LOUDEST:  # NaN, too
            raise DataError(
                f"samples as great as {np.abs(array).max():,.4g}, expected −1 to 1. Divide them, or give int16."
            )
        return Sound(array if array.dtype == np.int16 else array.astype(np.float32), self._codec.rate)
