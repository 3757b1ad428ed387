"""Autoregression against scikit-learn's least squares, its order against the criterion written out, its forecasts
against a loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from recurra.baselines.autoregression import Autoregression, fit, forecast
from recurra.data.codecs.numbers import Scaled
from recurra.errors import ConfigError, DataError

TRUE = (1.2, -0.7, 0.3)


def autoregressive(steps: int, seed: int, level: float = 20.0) -> np.ndarray:
    draw, x = np.random.default_rng(seed), [0.0] * 3
    for _ in range(steps):
        x.append(sum(a * x[-k] for k, a in enumerate(TRUE, 1)) + draw.normal())
    return np.array(x) * 3 + level


@pytest.mark.parametrize("most", [0, 1, 5])
def test_order_and_weights_are_those_of_the_criterion(most: int) -> None:
    x = autoregressive(300, 0)
    target, best = x[most:], (math.inf, 0, np.zeros(0))
    for p in range(most + 1):
        rows = np.stack([x[most - k : len(x) - k] for k in range(1, p + 1)], 1) if p else np.zeros((len(target), 0))
        coefficients = LinearRegression().fit(rows, target).coef_ if p else np.zeros(0)
        constant = (target - rows @ coefficients).mean()
        rss = np.square(target - rows @ coefficients - constant).sum()
        best = min(
            best, (len(target) * math.log(rss / len(target)) + 2 * (p + 1), p, np.append(constant, coefficients))
        )
    order, weights = fit([x], most)
    assert order == best[1] == min(most, 3)
    assert weights == pytest.approx(best[2])


def test_a_forecast_takes_its_own_values_for_those_to_come() -> None:
    weights, past = np.array([0.5, 0.9, -0.4, 0.2]), np.random.default_rng(0).normal(size=(4, 6))
    found = forecast(past, weights, 5)
    for row, known in zip(found, past, strict=True):
        x = list(known)
        for _ in range(5):
            x.append(0.5 + 0.9 * x[-1] - 0.4 * x[-2] + 0.2 * x[-3])
        assert row == pytest.approx(x[6:])


def test_differences_to_a_season_before() -> None:
    """The weights are those of x itself: of x_t − x_{t−s} = c + Σ a_i (x_{t−i} − x_{t−i−s})."""
    t = np.arange(400)
    x = 5 * np.sin(2 * np.pi * t / 12) + 0.05 * t + autoregressive(397, 1, 0.0)
    order, weights = fit([x], 4, season=12)
    own, of_differences = fit([x[12:] - x[:-12]], 4)
    assert order == own and weights[0] == pytest.approx(of_differences[0]) and len(weights) == 1 + order + 12
    past = x[None, :60]
    (found,) = forecast(past, weights, 20)
    (steps,) = forecast(past[:, 12:] - past[:, :-12], of_differences, 20)
    known = list(x[:60])
    for step in steps:
        known.append(known[-12] + step)
    assert found == pytest.approx(known[60:])


def test_rows_a_model_each_and_one_for_all() -> None:
    train = [np.stack([autoregressive(300, s), autoregressive(300, s + 9, 50)], 1) for s in range(2)]
    test = [np.stack([autoregressive(90, s + 20), autoregressive(90, s + 30, 50)], 1) for s in range(2)]
    codecs = {"input": Scaled().fit(train)}
    sides = [[{"series": x} for x in side] for side in (train, test)]
    (row,) = Autoregression(look_back=10, horizon=4, max_order=6).rows(*sides, codecs)
    errors = []
    for one, other in zip(train, test, strict=True):
        for k in range(2):
            model = fit([codecs["input"].encode(one).astype(float)[:, k]], 6)[1]
            x = codecs["input"].encode(other).astype(float)[:, k]
            for begin in range(len(x) - 13):
                errors += list(x[begin + 10 : begin + 14] - forecast(x[None, begin : begin + 10], model, 4)[0])
    assert row.log_p is not None and np.sort(row.log_p) == pytest.approx(np.sort(-np.square(errors)))
    assert row.sums["model_absolute"] == pytest.approx(np.abs(errors).sum()) and row.note.endswith("by AIC")
    pooled, seasonal = Autoregression(look_back=10, horizon=4, max_order=6, season=5, pooled=True).rows(*sides, codecs)
    assert pooled.size < row.size and pooled.log_p is not None and len(pooled.log_p) == len(errors)
    assert seasonal.name == "autoregression of differences to 5 steps before"
    assert pooled.sums["model_squared"] < seasonal.sums["model_squared"]  # there is no season


def test_a_constant_and_a_series_too_short_for_a_lag() -> None:
    order, weights = fit([np.full(50, 3.0)], 5)
    assert forecast(np.full((1, 9), 3.0), weights, 3) == pytest.approx(np.full((1, 3), 3.0)) and order == 0
    assert fit([np.array([2.0, 4.0])], 5) == (0, pytest.approx([3.0]))
    _, weights = fit([np.arange(12.0)], 5, season=12)
    assert forecast(np.arange(12.0)[None], weights, 12)[0] == pytest.approx(np.arange(12.0))


def test_what_cannot_be_forecast() -> None:
    x = [{"series": autoregressive(50, 0)[:, None]}]
    codecs = {"input": Scaled().fit([x[0]["series"]])}
    with pytest.raises(DataError, match=r"2 test series, but 1 were trained on.* baseline\.pooled = true"):
        list(Autoregression(5, 3).rows(x, x * 2, codecs))
    assert len(list(Autoregression(5, 3, pooled=True).rows(x, x * 2, codecs))) == 1
    with pytest.raises(DataError, match="no test series has 103 steps"):
        list(Autoregression(100, 3).rows(x, x, codecs))
    with pytest.raises(ConfigError, match=r"baseline\.max_order = 0"):
        Autoregression(max_order=0)
