"""Scores of numbers against scipy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from recurra.errors import DataError
from recurra.tasks.number_scores import number_scores, pearson, quadratic_kappa, ranks


def marks(seed: int, N: int = 60) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    a = draw.integers(2, 13, N).astype(float)
    return a, np.clip(np.round(a + draw.normal(0, 2, N)), 2, 12)


def test_scores_are_those_of_others() -> None:
    a, b = marks(0)
    found = number_scores(a.tolist(), b.tolist(), step=1.0)
    assert list(found.metrics) == ["kappa", "mse", "mae", "pearson", "spearman"]
    assert found.metrics["kappa"] == pytest.approx(cohen_kappa_score(a, b, weights="quadratic"))
    assert found.metrics["pearson"] == pytest.approx(stats.pearsonr(a, b).statistic)
    assert found.metrics["spearman"] == pytest.approx(stats.spearmanr(a, b).statistic)
    assert found.metrics["mse"] == pytest.approx(np.square(a - b).mean())
    assert found.metrics["mae"] == pytest.approx(np.abs(a - b).mean())
    assert not found.tables and not found.notes


def test_a_scale_may_be_of_halves_and_guesses_are_rounded_to_it() -> None:
    a, b = marks(1)
    noise = np.random.default_rng(2).uniform(-0.24, 0.24, len(a))
    found = number_scores((a / 2).tolist(), (b / 2 + noise).tolist(), step=0.5)
    assert found.metrics["kappa"] == pytest.approx(cohen_kappa_score(a, b, weights="quadratic"))
    assert found.metrics["mae"] == pytest.approx(np.abs(a - b).mean() / 2)
    assert "kappa" not in number_scores(a.tolist(), b.tolist()).metrics


def test_scales_are_scored_by_themselves_and_averaged() -> None:
    (a, b), (c, d) = marks(3, 40), marks(4, 25)
    truth, guess = [*a, *(c + 100)], [*b, *(d + 100)]
    found = number_scores(truth, guess, ["10"] * 40 + ["9"] * 25, 1.0)
    each = [cohen_kappa_score(x, y, weights="quadratic") for x, y in ((c, d), (a, b))]
    assert found.metrics["kappa"] == pytest.approx(np.mean(each))
    assert quadratic_kappa(np.array(truth), np.array(guess)) > 0.99  # knowing the scale is no knowing the mark
    table = found.tables["scales"]
    assert [row[:2] for row in table["rows"]] == [["9", 25], ["10", 40]]
    assert [row[2] for row in table["rows"]] == pytest.approx(each)
    assert found.notes == ["Each score is the mean over 2 scales."]


def test_constant_sides() -> None:
    same = np.full(5, 3.0)
    assert quadratic_kappa(same, same) == 1 and quadratic_kappa(same, same + 1) == 0
    assert pearson(same, np.arange(5.0)) == 0 == pearson(np.arange(5.0) * 1e9, same)
    assert ranks(np.array([3.0, 1.0, 3.0, 2.0])).tolist() == [3.5, 1, 3.5, 2]


def test_what_is_no_score() -> None:
    with pytest.raises(DataError, match="over 0 examples means nothing"):
        number_scores([], [])
    with pytest.raises(DataError, match="1 predictions, expected 2"):
        number_scores([1.0, 2.0], [1.0])
