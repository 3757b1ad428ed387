"""The next values as a linear function of a window: least squares, as plain as a forecast gets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from recurra.baselines.row import Row, check_fields
from recurra.errors import ConfigError, DataError
from recurra.registry import part
from recurra.types import Example

RIDGE = 1e-3
"""Of the mean square of what is regressed on: what keeps the least squares of nearly equal steps apart."""


@part("baseline", "linear-window")
class LinearWindow:
    """x̂_{t+1 … t+horizon} − x_t = A (x_{t−L+1 … t} − x_t) + b, with L = `look_back`, A and b the same for all
    variables; least squares over all windows of the training series, with a ridge. Values that were not seen stand in
    windows as their reader filled them; they are not scored.

    Raises ConfigError for sizes below 1; `rows` DataError where no series, to learn from or to forecast, is as long as
    a window.
    Source: Zeng et al. 2023, Are transformers effective for time series forecasting?, NLinear.
    """

    def __init__(self, look_back: int = 96, horizon: int = 96) -> None:
        for name, value in (("look_back", look_back), ("horizon", horizon)):
            if value < 1:
                raise ConfigError(f"baseline.{name} = {value}, expected 1 or more steps.")
        self.look_back, self.horizon = look_back, horizon

    def rows(self, train: Sequence[Example], test: Sequence[Example], codecs: Mapping[str, Any]) -> Iterator[Row]:
        """Fit on the "series" of `train` and forecast from every place of `test`."""
        for name, side in (("training", train), ("test", test)):
            check_fields("linear-window", name, side, "series")
        L, K = self.look_back, self.look_back + self.horizon
        gram, moment = np.zeros((L + 1, L + 1)), np.zeros((L + 1, self.horizon))
        for windows in _windows(train, codecs, K):
            past, future = _halves(windows, L)
            gram += past.T @ past
            moment += past.T @ future
        for name, side in (("training", train), ("test", test)):
            if all(len(example["series"]) < K for example in side):
                raise DataError(
                    f"no {name} series has {K:,} steps, a window of the linear baseline. Set baseline.look_back to "
                    "less, or use longer series."
                )
        ridge = RIDGE * np.trace(gram) / len(gram)
        weights = np.linalg.solve(gram + ridge * np.eye(L + 1), moment)
        errors = []
        for windows, seen in zip(_windows(test, codecs, K), _seen(test, K), strict=True):
            past, future = _halves(windows, L)
            errors.append((future - past @ weights)[seen[:, L:] > 0])
        error = np.concatenate(errors)
        sums = {"model_squared": float(np.square(error).sum()), "model_absolute": float(np.abs(error).sum())}
        yield Row("linear on the window", weights.size, "weights", log_p=-np.square(error), sums=sums)


def _windows(examples: Sequence[Example], codecs: Mapping[str, Any], K: int) -> Iterator[np.ndarray]:
    """Windows [N, K] of each variable of the series, scaled as the model's."""
    for example in examples:
        x = codecs["input"].encode(example["series"]).astype(np.float64)
        if len(x) >= K:
            for column in x.T:
                yield np.lib.stride_tricks.sliding_window_view(column, K)


def _seen(examples: Sequence[Example], K: int) -> Iterator[np.ndarray]:
    """As `_windows`, which of the values were seen: all, where nobody says it."""
    for example in examples:
        x = np.asarray(example["series"])
        seen = np.asarray(example.get("seen", np.ones_like(x, dtype=float))).reshape(len(x), -1)
        if len(x) >= K:
            for column in seen.T:
                yield np.lib.stride_tricks.sliding_window_view(column, K)


def _halves(windows: np.ndarray, L: int) -> tuple[np.ndarray, np.ndarray]:
    last = windows[:, L - 1 : L]
    past = windows[:, :L] - last
    return np.concatenate((past, np.ones((len(past), 1))), 1), windows[:, L:] - last
