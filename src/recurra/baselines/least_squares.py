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
    AIC = Σ_q N log(RSS_q / N) + 2 q · count, over all N rows; of equals the first.
    Source: Akaike 1974, A new look at the statistical model identification.
    """
    R, Z, rest, N = triangular(pieces)
    left = rest + np.concatenate((np.cumsum(np.square(Z[::-1]), 0)[::-1], np.zeros((1, len(rest)))))  # RSS by count
    floor = SMALLEST * left[0] + np.finfo(float).tiny
    criteria = [N * np.log(np.maximum(left[c], floor) / N).sum() + 2 * len(rest) * c for c in counts]
    best = counts[int(np.argmin(criteria))]
    return best, solved(R, Z, best)


def triangular(pieces: Iterable[tuple[Array, Array]]) -> tuple[Array, Array, Array, int]:
    """What all least squares of leading columns come from: R [k, k] and Z [k, q] = Qᵀ Y of X = Q R, the RSS of all
    columns [q], and the number of rows. What columns that are left out explain is in their rows of Z."""
    factor: Array = np.zeros((0, 0))
    N, k = 0, 0
    for X, Y in pieces:
        rows, k = np.concatenate((X, Y), 1), X.shape[1]
        factor = np.asarray(np.linalg.qr(np.concatenate((factor, rows)) if N else rows, mode="r"))
        N += len(X)
    whole = np.zeros((factor.shape[1],) * 2)  # R has fewer rows where there are fewer rows than columns
    whole[: len(factor)] = factor
    return whole[:k, :k], whole[:k, k:], np.square(whole[k:, k:]).sum(0), N


def solved(R: Array, Z: Array, count: int) -> Array:
    """The weights [count, q] of so many leading columns, of what `triangular` gives."""
    weights = np.linalg.lstsq(R[:count, :count], Z[:count], rcond=None)[0]
    return np.asarray(weights, np.float64)
