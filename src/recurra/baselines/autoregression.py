"""Autoregression: the next value as a linear function of the last p, again and again up to the horizon."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from recurra.baselines.least_squares import Array, by_aic
from recurra.baselines.row import Row, check_fields
from recurra.errors import ConfigError, DataError
from recurra.registry import part
from recurra.types import Example

ROWS_A_WEIGHT = 3
"""Steps that a series has for each lag at least: fewer lags are tried where it is short."""


@part("baseline", "ar")
class Autoregression:
    """AR(p): x̂_t = c + Σ_{i=1…p} a_i x_{t−i}, by least squares; p from 0 to `max_order` by Akaike's criterion.

    Forecasts are iterated: x̂_{t+1} is taken for x_{t+1} to forecast x_{t+2}, up to t + `horizon`. Each variable of each
    series has a model of its own, fitted on its training part; with `pooled` all share one. A model looks back on
    `look_back` steps at most. With a `season` of s steps there is a second row: the same of x_t − x_{t−s}, which
    repeats the last season where nothing else is known.

    Raises ConfigError for sizes out of range; `rows` DataError where there is a series to forecast that was not trained
    on, and where none is as long as a window.
    Source: Box & Jenkins 1970, Time series analysis, chapters 5 and 9.
    """

    def __init__(
        self,
        look_back: int = 96,
        horizon: int = 96,
        max_order: int = 96,
        season: int | None = None,
        pooled: bool = False,
    ) -> None:
        sizes = (("look_back", look_back), ("horizon", horizon), ("max_order", max_order), ("season", season))
        for name, value in sizes:
            if value is not None and value < 1:
                raise ConfigError(f"baseline.{name} = {value}, expected 1 or more steps.")
        self.look_back, self.horizon, self.max_order = look_back, horizon, max_order
        self.season, self.pooled = season, pooled

    def rows(self, train: Sequence[Example], test: Sequence[Example], codecs: Mapping[str, Any]) -> Iterator[Row]:
        """Fit on the "series" of `train` and forecast from every place of `test`."""
        for name, side in (("training", train), ("test", test)):
            check_fields("ar", name, side, "series")
        if not self.pooled and len(train) != len(test):
            raise DataError(
                f"{len(test):,} test series, but {len(train):,} were trained on, and each has an autoregression of its "
                "own. Set baseline.pooled = true for one that all share."
            )
        learned, asked = (
            [codecs["input"].encode(each["series"]).astype(float) for each in side] for side in (train, test)
        )
        self._seen = [_seen(each) for each in test]
        yield self._row("autoregression", learned, asked, 0)
        if self.season is not None and self.season < self.look_back:
            yield self._row(f"autoregression of differences to {self.season} steps before", learned, asked, self.season)

    def _row(self, name: str, train: Sequence[Array], test: Sequence[Array], season: int) -> Row:
        most = min(self.max_order, self.look_back - season)
        if self.pooled:
            shared = fit([column for x in train for column in x.T], most, season)
            models = {(row, k): shared for row, x in enumerate(test) for k in range(x.shape[1])}
        else:
            models = {
                (row, k): fit([column], most, season) for row, x in enumerate(train) for k, column in enumerate(x.T)
            }
        found = [
            self._errors(test[row][:, k], self._seen[row][:, k], weights) for (row, k), (_, weights) in models.items()
        ]
        error = np.concatenate([np.zeros(0), *found])
        if not len(error):
            raise DataError(
                f"no test series has {self.look_back + self.horizon:,} steps, a window of the autoregression. Set "
                "baseline.look_back to less, or use longer series."
            )
        sums = {"model_squared": float(np.square(error).sum()), "model_absolute": float(np.abs(error).sum())}
        orders = [shared[0]] if self.pooled else [order for order, _ in models.values()]
        low, high = min(orders), max(orders)
        note = f"order {low} by AIC" if low == high else f"orders {low} to {high} by AIC"
        size = sum(order + 1 for order in orders)
        return Row(name, size, "weights", log_p=-np.square(error), sums=sums, note=note)

    def _errors(self, column: Array, seen: Array, weights: Array) -> Array:
        """Of every window, those of values that were seen."""
        K = self.look_back + self.horizon
        if len(column) < K:
            return np.zeros(0)
        windows = np.lib.stride_tricks.sliding_window_view(column, K)
        errors: Array = windows[:, self.look_back :] - forecast(windows[:, : self.look_back], weights, self.horizon)
        there = np.lib.stride_tricks.sliding_window_view(seen, K)[:, self.look_back :] > 0
        return errors[there]


def _seen(example: Example) -> Array:
    """Which values of a series were seen [T, W]: all, where nobody says it."""
    x = np.asarray(example["series"])
    found: Array = np.asarray(example.get("seen", np.ones(x.shape)), float).reshape(len(x), -1)
    return found


def fit(series: Sequence[Array], max_order: int, season: int = 0) -> tuple[int, Array]:
    """An order p by AIC, at most `max_order`, and the weights c, a_1 … a_{p + season} of one model of all series [T].

    With a `season` the model is of differences, x_t − x_{t−season}; its weights are those of x itself. Of series that
    are all too short for one lag it is their mean.
    """
    differences = [x[season:] - x[:-season] for x in series] if season else list(series)
    longest = max((len(d) for d in differences), default=0)
    most = max(0, min(max_order, (longest - 1) // ROWS_A_WEIGHT))
    used = [d for d in differences if len(d) > most]
    count, found = by_aic((lagged(d, most) for d in used), range(1, most + 2)) if used else (1, np.zeros((1, 1)))
    own = found[1:, 0]
    weights = np.zeros(count + season)
    weights[:count] = found[:, 0]
    if season:
        weights[season] += 1
        weights[season + 1 :] -= own
    return count - 1, weights


def lagged(x: Array, order: int) -> tuple[Array, Array]:
    """Rows 1, x_{t−1}, … x_{t−order}, and the x_t [N, 1] that belong to them."""
    windows = np.lib.stride_tricks.sliding_window_view(x, order + 1)
    return np.concatenate((np.ones((len(windows), 1)), windows[:, -2::-1] if order else windows[:, :0]), 1), windows[
        :, -1:
    ]


def forecast(past: Array, weights: Array, horizon: int) -> Array:
    """What a model forecasts behind each `past` [N, L], iterated: [N, horizon]; L is its order at least."""
    order = len(weights) - 1
    held = np.concatenate((past[:, past.shape[1] - order :], np.zeros((len(past), horizon))), 1)
    for h in range(horizon):
        held[:, order + h] = weights[0] + held[:, h : order + h] @ weights[:0:-1]
    return held[:, order:]
