"""Least squares whose columns are added block by block, as lags are: how many, Akaike's criterion says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

SMALLEST = 1e-24
"""Of the sum of squares of what is explained: errors below are roundings, and no model is chosen by them."""

Array = NDArray[np.float64]


def by_aic(pieces: Iterable[tuple[Array, Array]], counts: Sequence[int]) -> tuple[int, Array]:
    """Which of the `counts` of leading columns explains best, and the weights [count, q] of these.

    `pieces` are rows X [n, k] and what they explain, Y [n, q], as many of both as one likes. The criterion is
    AIC = Σ_q N log(RSS_q / N) + 2 q · count, over all N rows; of equals the first. One QR of [X | Y] gives the RSS of
    every count: what the columns left out explain is in their rows of R.
    Source: Akaike 1974, A new look at the statistical model identification.
    """
    factor: Array = np.zeros((0, 0))
    N, total, k = 0, np.zeros(0), 0
    for X, Y in pieces:
        k = X.shape[1]
        rows = np.concatenate((X, Y), 1)
        factor = np.asarray(np.linalg.qr(np.concatenate((factor, rows)) if N else rows, mode="r"))
        N, total = N + len(X), total + np.square(Y).sum(0) if N else np.square(Y).sum(0)
    whole = np.zeros((k + len(total),) * 2)  # R has fewer rows where there are fewer rows than columns
    whole[: len(factor)] = factor
    R, Z = whole[:k, :k], whole[:k, k:]
    rest = np.square(whole[k:, k:]).sum(0)
    left = rest + np.concatenate((np.cumsum(np.square(Z[::-1]), 0)[::-1], np.zeros((1, len(rest)))))  # RSS by count
    floor = SMALLEST * total + np.finfo(float).tiny
    criteria = [N * np.log(np.maximum(left[c], floor) / N).sum() + 2 * len(rest) * c for c in counts]
    best = counts[int(np.argmin(criteria))]
    weights = np.linalg.lstsq(R[:best, :best], Z[:best], rcond=None)[0]
    return best, np.asarray(weights, np.float64)
