"""Where a recording is loud: the silence before and behind it says how it was cut, not what was said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def loud(samples: NDArray[np.float32], window: int, hop: int, decibels: float) -> slice:
    """From the first to the last frame of samples [N] whose power is at most so many decibels below the loudest's.

    Frames have `window` samples, one begins every `hop`, and behind the last one that fits comes one to the end. What
    is shorter than a frame, or silent throughout, is loud as it is.
    """
    last = len(samples) - window
    if last <= 0:
        return slice(0, len(samples))
    begins = np.append(np.arange(0, last, hop), last)
    sums = np.concatenate(([0.0], np.cumsum(np.square(samples, dtype=np.float64))))
    power = sums[begins + window] - sums[begins]
    found = begins[power >= power.max() * 10 ** (-decibels / 10)] if power.max() > 0 else begins
    return slice(int(found[0]), int(found[-1]) + window)
