"""Scores of numbers: errors, correlations, and agreement on a scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recurra.errors import DataError
from recurra.tasks.scores import Scores, Table

Numbers = NDArray[np.float64]


def number_scores(
    truth: Sequence[float], guesses: Sequence[float], scales: Sequence[str] | None = None, step: float | None = None
) -> Scores:
    """ "mse", "mae", "pearson" and "spearman" of guessed numbers; where a `step` says that they are marks of a scale,
    first of all "kappa", of guesses rounded to it.

    With `scales` each is computed for a scale by itself, and what is told is the mean over scales, with a table
    "scales": numbers of different scales must not be pooled, which would reward knowing the scale.

    Raises DataError where there are no numbers, or not as many guesses.
    """
    if len(truth) != len(guesses):
        raise DataError(f"{len(guesses)} predictions, expected {len(truth)}: one for each example, in their order.")
    if not truth:
        raise DataError("a score over 0 examples means nothing. Evaluate on one sequence or more.")
    a, b = np.asarray(truth, np.float64), np.asarray(guesses, np.float64)
    if step is not None:
        b = np.round(b / step) * step
    if scales is None:
        return Scores(_metrics(a, b, step is not None))
    of = np.asarray(scales)
    names = sorted({*scales}, key=lambda name: (len(name), name))  # numbers in their order
    each = {name: _metrics(a[of == name], b[of == name], step is not None) for name in names}
    columns = [*each[names[0]]]
    rows: list[list[str | float]] = [
        [name, int((of == name).sum()), *(each[name][column] for column in columns)] for name in names
    ]
    means = {column: float(np.mean([metrics[column] for metrics in each.values()])) for column in columns}
    noted = [f"Each score is the mean over {len(names)} scales."] if len(names) > 1 else []
    return Scores(means, {"scales": Table(columns=["scale", "examples", *columns], rows=rows)}, noted)


def _metrics(a: Numbers, b: Numbers, marks: bool) -> dict[str, float]:
    return {
        **({"kappa": quadratic_kappa(a, b)} if marks else {}),
        "mse": float(np.square(a - b).mean()),
        "mae": float(np.abs(a - b).mean()),
        "pearson": pearson(a, b),
        "spearman": pearson(ranks(a), ranks(b)),
    }


def quadratic_kappa(a: Numbers, b: Numbers) -> float:
    """Cohen's kappa with quadratic weights: 1 − Σ_n (a_n − b_n)² / (Σ_n Σ_m (a_n − b_m)² / N), 1 where both sides are
    one and the same number.

    What the weighted matrices of the definition come to, whatever the scale they are written on:
    1 − E (a − b)² / (var a + var b + (ā − b̄)²). Source: Cohen 1968, Weighted kappa.
    """
    chance = a.var() + b.var() + (a.mean() - b.mean()) ** 2
    return round(1.0 - float(np.square(a - b).mean() / chance), 12) if chance > 0 else 1.0  # 0, not 1e-17


def pearson(a: Numbers, b: Numbers) -> float:
    """Pearson's correlation; 0 where a side is constant, and nothing goes along with it."""
    x, y = a - a.mean(), b - b.mean()
    size = np.sqrt(np.square(x).sum() * np.square(y).sum())
    return float((x * y).sum() / size) if size > 1e-12 * len(a) else 0.0


def ranks(a: Numbers) -> Numbers:
    """Ranks from 1; equal numbers have the mean of theirs."""
    _, where, counts = np.unique(a, return_inverse=True, return_counts=True)
    last = counts.cumsum()
    found: Numbers = (last - (counts - 1) / 2)[where].astype(np.float64)
    return found
