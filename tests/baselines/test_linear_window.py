"""The linear function of a window, against scikit-learn's ridge regression and a series that is one."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from recurra.baselines.linear_window import RIDGE, LinearWindow
from recurra.data.codecs.numbers import Scaled
from recurra.errors import ConfigError, DataError


def autoregressive(steps: int, seed: int) -> np.ndarray:
    draw, x = np.random.default_rng(seed), [0.0, 0.0]
    for _ in range(steps):
        x.append(1.2 * x[-1] - 0.6 * x[-2] + draw.normal())
    return np.array(x)[:, None] * 3 + 20


def test_its_errors_are_those_of_ridge_regression() -> None:
    train, test = autoregressive(400, 0), autoregressive(200, 1)
    codec = Scaled().fit([train])
    (row,) = LinearWindow(look_back=5, horizon=3).rows([{"series": train}], [{"series": test}], {"input": codec})

    def windows(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = np.lib.stride_tricks.sliding_window_view(codec.encode(x).astype(float)[:, 0], 8)
        last = rows[:, 4:5]
        return np.concatenate((rows[:, :5] - last, np.ones((len(rows), 1))), 1), rows[:, 5:] - last

    past, future = windows(train)
    model = Ridge(RIDGE * np.square(past).sum() / 6, fit_intercept=False).fit(past, future)
    past, future = windows(test)
    error = future - model.predict(past)
    assert row.log_p is not None
    assert row.log_p == pytest.approx(-np.square(error).ravel()) and len(row.log_p) == error.size
    assert row.sums["model_absolute"] == pytest.approx(np.abs(error).sum())
    repeated = np.square(future).mean()
    assert np.square(error).mean() < 0.8 * repeated


def test_too_short_a_series() -> None:
    codec = Scaled().fit([np.arange(5.0)[:, None]])
    examples = [{"series": np.arange(5.0)[:, None]}]
    with pytest.raises(DataError, match="no training series has 8 steps"):
        list(LinearWindow(5, 3).rows(examples, examples, {"input": codec}))
    longer = [{"series": np.arange(9.0)[:, None]}]
    with pytest.raises(DataError, match="no test series has 8 steps"):
        list(LinearWindow(5, 3).rows(longer, examples, {"input": codec}))
    with pytest.raises(ConfigError, match=r"baseline\.horizon = 0"):
        LinearWindow(horizon=0)
