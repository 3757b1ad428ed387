"""Steps of numbers without a memory: each drawn from one Gaussian."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np

from recurra.baselines.row import Row
from recurra.data.fields import Codecs
from recurra.errors import DataError
from recurra.registry import part
from recurra.types import Example

LEAST = 1e-6
"""What is added to variances."""


@part("baseline", "single-gaussian")
class SingleGaussian:
    """Each step from one Gaussian of all its numbers, whatever was before; numbers that are never but 0 and 1 in
    training apart, each 1 as often as there, (n + ½) / (N + 1). Log-probabilities are of whole steps, in the codec's
    units."""

    of_numbers: ClassVar[bool] = True

    def rows(self, train: Sequence[Example], test: Sequence[Example], codecs: Codecs) -> Iterator[Row]:
        """Fit on `train`, and score `test`. Raises `DataError` where there are fewer than two steps."""
        codec = codecs["input"]
        learned, asked = (
            np.concatenate([codec.encode(codecs.value("input", each)) for each in side]).astype(np.float64)
            for side in (train, test)
        )
        if len(learned) < 2:
            raise DataError(f"single-gaussian: {len(learned)} training steps, expected at least 2.")
        bits = np.isin(learned, (0, 1)).all(0)
        measured = learned[:, ~bits]
        D = measured.shape[1]
        log_p = np.zeros(len(asked))
        if D:
            variance = np.cov(measured.T).reshape(D, D) + LEAST * np.eye(D)
            away = asked[:, ~bits] - measured.mean(0)
            squares = (away @ np.linalg.inv(variance) * away).sum(1)
            log_p -= 0.5 * (squares + np.linalg.slogdet(variance)[1] + D * math.log(2 * math.pi))
        p = (learned[:, bits].sum(0) + 0.5) / (len(learned) + 1)
        log_p += np.log(np.where(asked[:, bits] > 0.5, p, 1 - p)).sum(1)
        size = D + D * (D + 1) // 2 + len(p)
        yield Row("one Gaussian", size, "numbers", log_p=log_p)
