"""The next values as a linear function of a window: least squares, as plain as a forecast gets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.baselines.row import Row, check_fields
from recurra.errors import ConfigError, DataError
from recurra.registry import part
from recurra.types import Example

Numbers = NDArray[np.float64]
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
        L = self.look_back
        check_windows("linear-window", train, test, L + self.horizon)
        weights = least_squares(train, codecs, L, self.horizon)
        errors = []
        for windows, seen in windows_and_seen(test, codecs, L + self.horizon):
            past, future = halves(windows, L)
            errors.append((future - with_one(past) @ weights)[seen[:, L:] > 0])
        yield row_of("linear on the window", weights.size, "weights", np.concatenate(errors))


def check_windows(baseline: str, train: Sequence[Example], test: Sequence[Example], K: int) -> None:
    """Raise `DataError` where one of both has no series of K steps."""
    for name, side in (("training", train), ("test", test)):
        check_fields(baseline, name, side, "series")
    for name, side in (("training", train), ("test", test)):
        if all(len(example["series"]) < K for example in side):
            raise DataError(
                f"no {name} series has {K:,} steps, a window of the {baseline} baseline. Set baseline.look_back to "
                "less, or use longer series."
            )


def least_squares(train: Sequence[Example], codecs: Mapping[str, Any], L: int, horizon: int) -> Numbers:
    """A and b [L + 1, horizon] of all windows of the training series, with a ridge."""
    gram, moment = np.zeros((L + 1, L + 1)), np.zeros((L + 1, horizon))
    for windows, _ in windows_and_seen(train, codecs, L + horizon):
        past, future = halves(windows, L)
        past = with_one(past)
        gram += past.T @ past
        moment += past.T @ future
    ridge = RIDGE * np.trace(gram) / len(gram)
    weights: Numbers = np.linalg.solve(gram + ridge * np.eye(L + 1), moment)
    return weights


def windows_and_seen(
    examples: Sequence[Example], codecs: Mapping[str, Any], K: int
) -> Iterator[tuple[Numbers, Numbers]]:
    """Windows [N, K] of each variable of the series that have any, and which of their values were seen."""
    for column, seen in columns_of(examples, codecs, K):
        yield np.lib.stride_tricks.sliding_window_view(column, K), np.lib.stride_tricks.sliding_window_view(seen, K)


def columns_of(examples: Sequence[Example], codecs: Mapping[str, Any], K: int) -> Iterator[tuple[Numbers, Numbers]]:
    """Each variable [T] of the series of K steps and more, scaled as the model's; and which of its values were seen:
    all, where nobody says it."""
    for example in examples:
        x = codecs["input"].encode(example["series"]).astype(np.float64)
        seen = np.asarray(example.get("seen", np.ones_like(x)), np.float64).reshape(len(x), -1)
        if len(x) >= K:
            yield from zip(x.T, seen.T, strict=True)


def halves(windows: Numbers, L: int) -> tuple[Numbers, Numbers]:
    """What is looked back on [N, L] and what follows, both less the last value of the first."""
    last = windows[:, L - 1 : L]
    return windows[:, :L] - last, windows[:, L:] - last


def with_one(past: Numbers) -> Numbers:
    """[N, L + 1]: a constant beside what is looked back on."""
    return np.concatenate((past, np.ones((len(past), 1))), 1)


def row_of(name: str, size: int, unit: str, error: Numbers, note: str = "") -> Row:
    """The row of a forecast by its errors."""
    sums = {"model_squared": float(np.square(error).sum()), "model_absolute": float(np.abs(error).sum())}
    return Row(name, size, unit, note=note, log_p=-np.square(error), sums=sums)
