"""Pictures whose pixels know nothing of each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np

from recurra.baselines.row import Row
from recurra.data.fields import Codecs
from recurra.errors import DataError
from recurra.registry import part
from recurra.types import Example

LEAST = 1e-4


@part("baseline", "pixels")
class Pixels:
    """Each pixel by itself: p that it is on, the mean of its intensities in the training pictures, `LEAST` at least.

    Log-probabilities are of whole pictures, Σ x log p + (1 − x) log (1 − p) with the intensities x as they are: of bits
    that are drawn from them that is the mean over all draws.
    """

    of_numbers: ClassVar[bool] = True

    def rows(self, train: Sequence[Example], test: Sequence[Example], codecs: Codecs) -> Iterator[Row]:
        """Take the means of `train`, and score `test`. Raises `DataError` without a picture to learn from."""
        codec = codecs["input"]
        total = np.zeros(codec.shape)
        for each in train:
            total += codec.encode(codecs.value("input", each))
        if not len(train):
            raise DataError("pixels: no training picture, expected at least 1.")
        p = (total / len(train)).clip(LEAST, 1 - LEAST)
        on, off = np.log(p), np.log1p(-p)
        log_p = np.array([_sum(codec.encode(codecs.value("input", each)), on, off) for each in test])
        yield Row("each pixel by itself", p.size, "means", log_p=log_p)


def _sum(x: np.ndarray, on: np.ndarray, off: np.ndarray) -> float:
    return float((x * on + (1 - x) * off).sum(dtype=np.float64))
