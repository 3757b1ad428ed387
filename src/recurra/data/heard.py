"""Frames of a recording as it comes, sample by sample: what later ones are still made of goes from call to call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.data.resampling import count_of, first_of, known_of, resampled_piece
from recurra.errors import ConfigError, DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from recurra.data.spectra import Spectra

TENSORS = {"given": (np.float32, 1), "samples": (np.float32, 1), "found": (np.float64, 2)}
"""The arrays of a `Heard`, their types and axes."""


@dataclass(frozen=True, eq=False)
class Heard:
    """What is kept of a recording that goes on; it does not grow with it."""

    given: NDArray[np.float32]
    """Samples as they were given, that such at the rate of the frames are still to be made of."""
    samples: NDArray[np.float32]
    """At the rate of the frames, from where the next frame begins."""
    found: NDArray[np.float64]
    """Coefficients [K, D] of the last frames, that deltas are still to be taken over."""
    rate: int = 0
    """Of what is given, in Hz; 0 before anything is."""
    before: int = 0
    """Samples that were given before `given`."""
    made: int = 0
    """Samples at the rate of the frames, all together."""
    first: int = 0
    """The number of the frame that `found` begins with."""
    frames: int = 0
    """Frames that were given out."""
    ended: int = 0
    """1 behind the end of the recording."""

    @classmethod
    def nothing(cls, D: int) -> Heard:
        """Before the first sample, of D coefficients."""
        return cls(np.zeros(0, np.float32), np.zeros(0, np.float32), np.zeros((0, D)))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All of it in arrays, by name."""
        numbers = [getattr(self, field.name) for field in fields(self) if field.name not in TENSORS]
        return {**{name: getattr(self, name) for name in TENSORS}, "numbers": np.array(numbers, np.int64)}

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]], D: int) -> Heard:
        """What `arrays` gave. Raises `DataError` for what cannot be of it."""
        names = [field.name for field in fields(cls) if field.name not in TENSORS]
        for name, (kind, axes) in {**TENSORS, "numbers": (np.int64, 1)}.items():
            found = arrays.get(name)
            if found is None or found.dtype != kind or found.ndim != axes or not np.isfinite(found).all():
                raise DataError(f"no {name} of what was heard")
        numbers = dict(zip(names, arrays["numbers"].tolist(), strict=False))
        if len(arrays["numbers"]) != len(names) or min(numbers.values()) < 0 or arrays["found"].shape[1] != D:
            raise DataError("what was heard does not fit the run")
        return cls(arrays["given"], arrays["samples"], arrays["found"], **numbers)


def hear(
    made: Spectra, rate: int, held: Heard, samples: NDArray[np.float32], given: int, ended: bool = False
) -> tuple[NDArray[np.float32], Heard]:
    """The frames [T, D] that samples [N] of `given` Hz, −1 to 1, complete behind what is `held`, and what is held then.

    `made` computes frames at `rate` Hz. All of them together are those of the whole recording: a frame comes as soon as
    its window is full, with deltas as soon as those 2 · deltas behind it are, at another rate when the samples around
    it are there; `ended` says that nothing follows, so that what is left comes, too.

    Raises `DataError` where the rate changes on the way, `ConfigError` behind the end.
    """
    import torch

    if held.ended:
        raise ConfigError("the recording has ended. Reset the session to hear another.")
    if held.rate and len(samples) and given != held.rate:
        raise DataError(f"samples of {given:,} Hz behind some of {held.rate:,} Hz. Give a recording at one rate.")
    own = held.rate or given
    waiting, total = np.concatenate((held.given, samples)), held.before + len(held.given) + len(samples)
    count = max(held.made, count_of(total, own, rate) if ended or own == rate else known_of(total, own, rate))
    if own == rate:
        new, kept, before = waiting, waiting[:0], total
    else:
        new = resampled_piece(waiting, held.before, own, rate, held.made, count)
        before = min(total, max(held.before, first_of(count, own, rate)))
        kept = waiting[before - held.before :]
    ready = np.concatenate((held.samples, new))
    if ended and 0 < count < made.window:  # a recording shorter than a window is filled up with silence
        ready = np.pad(ready, (0, made.window - count))
    T = made.frames(len(ready))
    with torch.no_grad():
        fresh = made.coefficients(torch.from_numpy(ready[: (T - 1) * made.hop + made.window])).numpy() if T else None
        found = held.found if fresh is None else np.concatenate((held.found, fresh))
        around = made.reach
        last = held.first + len(found) - (0 if ended else around)
        out = np.zeros((0, len(made.mean)), np.float32)
        if last > held.frames:
            scaled = made.scaled(torch.from_numpy(found)).float().numpy()
            out = scaled[held.frames - held.first : last - held.first]
    frames = max(held.frames, last)
    first = max(held.first, frames - around)
    return out, replace(
        held,
        given=kept.copy(),
        samples=ready[T * made.hop :].copy(),
        found=found[first - held.first :].copy(),
        rate=own,
        before=before,
        made=count,
        first=first,
        frames=frames,
        ended=int(ended),
    )
