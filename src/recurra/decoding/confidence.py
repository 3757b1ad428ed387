"""How sure what a search found is, by what it was ranked by and how far behind the others are: logistic regression.

Source: Platt 1999, Probabilistic outputs for support vector machines, for the regression and its smoothed targets.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recurra.decoding.arrays import Floats

START = np.array([0.0, 1.0, 0.0])
"""The weights that give the share of the best among all that were found, a softmax of their scores."""
PRECISIONS = np.array([1 / 9, 1.0, 4.0])
"""Of normal priors around them: what few examples leave open stays as it is."""
FARTHEST = 30.0
"""Nats that a margin is taken to have at most: beyond it the best is certain to the last digit, or alone."""
ENOUGH = 1e-9


def margin(scores: Sequence[float]) -> float:
    """s₁ − ln Σ_{k>1} exp s_k of scores in nats, the best first: the logit of the best's share; `FARTHEST` at most."""
    others = [score for score in scores[1:] if score > -np.inf]
    if not others:
        return FARTHEST
    return float(np.clip(scores[0] - np.logaddexp.reduce(others), -FARTHEST, FARTHEST))


def confidence(scores: Sequence[float], weights: Sequence[float]) -> float:
    """σ(w₀ + w₁ margin + w₂ s₁), 0 to 1, of scores in nats, the best first; 0 of what is ruled out."""
    if scores[0] == -np.inf:
        return 0.0
    z = weights[0] + weights[1] * margin(scores) + weights[2] * scores[0]
    return float(np.exp(-np.logaddexp(0.0, -z)))


def fitted_weights(margins: Sequence[float], best: Sequence[float], right: Sequence[bool]) -> Floats:
    """The weights [3] that make it most likely which of the best, of these margins and scores, are right.

    Regularised by `PRECISIONS` around `START`; the last two are never below 0: what is farther ahead, and what is
    likelier, is no less sure. Newton's method.
    """
    X = np.stack([np.ones(len(best)), margins, best], 1)
    y = np.asarray(right, bool)
    yes, no = int(y.sum()), int((~y).sum())
    target = np.where(y, (yes + 1) / (yes + 2), 1 / (no + 2))
    free = np.ones(3, bool)
    while True:
        weights = _least(X, target, free)
        if not (negative := free & (weights < 0) & np.array([False, True, True])).any():
            return weights
        free &= ~negative


def _least(X: Floats, target: Floats, free: NDArray[np.bool_]) -> Floats:
    """The least loss over those weights that are `free`, the others being 0."""
    weights = np.where(free, START, 0.0)

    def loss(weights: Floats) -> float:
        z = X @ weights
        return float((np.logaddexp(0.0, z) - target * z).sum() + 0.5 * (PRECISIONS * (weights - START) ** 2).sum())

    for _ in range(100):
        p = np.exp(-np.logaddexp(0.0, -(X @ weights)))
        slope = X.T @ (p - target) + PRECISIONS * (weights - START)
        curve = (X.T * (p * (1 - p))) @ X + np.diag(PRECISIONS)
        step = np.zeros(3)
        step[free] = np.linalg.solve(curve[np.ix_(free, free)], slope[free])
        size, now = 1.0, loss(weights)
        while loss(weights - size * step) > now and size > ENOUGH:
            size /= 2
        weights = weights - size * step
        if float(np.abs(step).max()) < ENOUGH:
            break
    return weights
