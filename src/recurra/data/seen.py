"""What a model reads of an example, as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.data.codecs.contract import Placed

if TYPE_CHECKING:
    from numpy.typing import NDArray

STEPS = 2000
"""Steps of a picture, at most."""


def seen(codec: Any, value: Any) -> tuple[NDArray[np.float32], float]:
    """The numbers [W, T] of a value, from 0 to 1, as they are drawn: a picture as it is, of other numbers the first at
    the bottom; and where it ends, in the codec's unit of place, else in steps. What is left out before the first step
    is 0."""
    x = codec.encode(value)[:STEPS].reshape(-1, max(1, codec.size)).T  # [W, T]
    low, high = (np.quantile(x, share) if x.size else 0.0 for share in (0.01, 0.99))
    picture = np.clip((x - low) / max(float(high - low), 1e-9), 0, 1).astype(np.float32)
    begin, end = (codec.place_of(value, k) if isinstance(codec, Placed) else float(k) for k in (0, x.shape[1]))
    if begin:
        picture = np.pad(picture, ((0, 0), (round(begin * x.shape[1] / (end - begin)) if end > begin else 0, 0)))
    return (picture if "image" in codec.forms else picture[::-1]), end
