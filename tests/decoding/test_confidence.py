"""How sure a search is, against what its examples were drawn by, and against scipy's minimum."""

import numpy as np
import pytest
from scipy.optimize import minimize

from recurra.decoding.confidence import FARTHEST, PRECISIONS, START, confidence, fitted_weights, margin


def drawn(N: int, weights: list[float], seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    margins, best = random.normal(1, 3, N), -random.gamma(2, 4, N)
    p = 1 / (1 + np.exp(-(weights[0] + weights[1] * margins + weights[2] * best)))
    return margins, best, random.random(N) < p


def test_the_margin_is_the_logit_of_the_share_of_the_best():
    scores = [-1.0, -2.5, -3.0, -np.inf]
    share = np.exp(scores[0]) / np.exp(scores).sum()
    assert margin(scores) == pytest.approx(np.log(share / (1 - share)))
    assert confidence(scores, START.tolist()) == pytest.approx(share)
    assert margin([-4.0]) == margin([-4.0, -np.inf]) == FARTHEST
    assert confidence([-np.inf], [5.0, 1.0, 0.0]) == 0.0


def test_weights_are_found_that_drew_the_examples():
    weights = [1.0, 0.7, 0.2]
    found = fitted_weights(*drawn(20_000, weights))
    assert found == pytest.approx(weights, abs=0.06)
    margins, best, right = drawn(5_000, weights, seed=1)
    sure = np.array([confidence([s, s - m], found) for m, s in zip(margins, best, strict=True)])
    assert abs(sure.mean() - right.mean()) < 0.02
    for some in np.array_split(np.argsort(sure), 5):
        assert abs(sure[some].mean() - right[some].mean()) < 0.06


def test_few_examples_have_the_minimum_too():
    margins, best, right = drawn(25, [0.0, 1.0, 0.1], seed=2)
    X = np.stack([np.ones(25), margins, best], 1)
    target = np.where(right, (right.sum() + 1) / (right.sum() + 2), 1 / ((~right).sum() + 2))

    def loss(w: np.ndarray) -> float:
        z = X @ w
        return (np.logaddexp(0, z) - target * z).sum() + 0.5 * (PRECISIONS * (w - START) ** 2).sum()

    least = minimize(loss, START, bounds=[(None, None), (0, None), (0, None)], tol=1e-12).x
    assert fitted_weights(margins, best, right) == pytest.approx(least, abs=1e-4)


@pytest.mark.parametrize("right", [True, False])
def test_examples_that_are_all_alike_leave_no_certainty(right: bool):
    found = fitted_weights([3.0, 2.0, 5.0], [-3.0, -9.0, -1.0], [right] * 3)
    sure = confidence([-3.0, -5.0], found)
    assert np.isfinite(found).all() and (found[1:] >= 0).all()
    assert 0.5 < sure < 0.999 if right else 0.001 < sure < 0.6


def test_what_is_farther_ahead_is_no_less_sure():
    margins, best, right = drawn(2_000, [0.0, -1.0, 0.3], seed=3)
    found = fitted_weights(margins, best, right)
    assert found[1] == 0.0 and found[2] > 0.1
