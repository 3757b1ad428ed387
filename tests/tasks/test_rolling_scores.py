"""Errors of forecasts against their formulas, and the competition's Naive 2 against its published scores."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest

from recurra.data.readers.series_rows import SeriesRowsReader
from recurra.tasks.rolling_scores import Rolling, naive2, repeated, season_errors


def test_metrics_by_their_formulas() -> None:
    draw = np.random.default_rng(0)
    y, said = draw.normal(3, 2, (5, 4, 2)), draw.normal(3, 2, (5, 4, 2))
    y[1, 2, 0] = np.nan
    absolute, squared = draw.uniform(1, 2, (5, 2)), draw.uniform(1, 2, (5, 2))
    absolute[4, 1] = 0  # a constant series
    low, high = said - 1, said + 2
    rolling = Rolling(4, (80,))
    for rows in (slice(0, 2), slice(2, 5)):
        rolling.add(y[rows], said[rows], absolute[rows], squared[rows], {80: (low[rows], high[rows])})
    found, error = rolling.metrics(), y - said
    assert found["mae"] == pytest.approx(np.nanmean(np.abs(error)))
    assert found["rmse"] == pytest.approx(math.sqrt(np.nanmean(error**2)))
    assert found["smape"] == pytest.approx(np.nanmean(200 * np.abs(error) / (np.abs(y) + np.abs(said))))
    each = np.nanmean(np.abs(error), 1) / np.where(absolute > 0, absolute, np.nan)
    assert found["mase"] == pytest.approx(np.nanmean(each))
    root = np.sqrt(np.nanmean(error**2, 1)) / np.sqrt(squared)
    assert found["rmsse"] == pytest.approx(root[absolute > 0].mean())
    known = ~np.isnan(y)
    assert found["coverage_80"] == pytest.approx(100 * ((y >= low) & (y <= high))[known].mean())
    assert found["width_80"] == pytest.approx(3)
    losses = [
        np.maximum(q * (y - x), (q - 1) * (y - x))[known].mean() for q, x in ((0.1, low), (0.9, high), (0.5, said))
    ]
    assert found["pinball"] == pytest.approx(np.mean(losses)) and found["crps"] == pytest.approx(2 * np.mean(losses))
    scaled = np.abs(error) / np.where(absolute > 0, absolute, np.nan)[:, None]
    assert np.allclose(np.array(rolling.by_step(), float), np.nanmean(scaled, (0, 2)))
    assert Rolling(2).metrics() == {}


def test_what_repeating_a_season_errs_before_each_step() -> None:
    x = np.random.default_rng(1).normal(size=(9, 2))
    absolute, squared = season_errors(x, 3)
    assert absolute.shape == (10, 2) and np.isnan(absolute[:4]).all()
    for c in range(4, 10):
        change = x[3:c] - x[: c - 3]
        assert np.allclose(absolute[c], np.abs(change).mean(0)) and np.allclose(squared[c], (change**2).mean(0))
    assert np.isnan(season_errors(x, 20)[0]).all()


def test_repeated() -> None:
    x = np.arange(10.0).reshape(5, 2)
    assert repeated(x, 4, 3)[:, 0].tolist() == [4, 6, 8, 4] and repeated(x, 2)[:, 1].tolist() == [9, 9]
    assert repeated(x, 2, 7)[:, 0].tolist() == [8, 8]


def test_naive2_takes_a_season_out_and_puts_it_back() -> None:
    t = np.arange(60)
    season = np.array([0.5, 1.0, 2.0, 0.5])
    x = (10 + 0 * t) * season[t % 4]
    assert np.allclose(naive2(x, 6, 4), 10 * season[(60 + np.arange(6)) % 4])
    noise = np.random.default_rng(2).normal(10, 1, 60)
    assert naive2(noise, 3, 4).tolist() == [noise[-1]] * 3  # no season is sure
    assert naive2(x - 10, 2, 4).tolist() == [x[-1] - 10] * 2  # of values below 0
    assert naive2(np.full(60, 5.0), 2, 4).tolist() == [5, 5] and naive2(x[:9], 2, 4).tolist() == [x[8]] * 2


@pytest.mark.skipif("RECURRA_DATA" not in os.environ, reason="RECURRA_DATA is not set: no M4")
def test_the_published_scores_of_naive2_on_the_hourly_series_of_m4() -> None:
    folder = Path(os.environ["RECURRA_DATA"]) / "time-series" / "m4-hourly"
    train, test = (SeriesRowsReader().read(folder / f"Hourly-{part}.csv.gz") for part in ("train", "test"))
    rolling = Rolling(48)
    for one, other in zip(train, test, strict=True):
        x, y = one["series"], other["series"]
        absolute, squared = season_errors(x, 24)
        rolling.add(y[None], naive2(x[:, 0], 48, 24)[None, :, None], absolute[-1:], squared[-1:], {})
    found = rolling.metrics()
    assert (round(found["smape"], 3), round(found["mase"], 3)) == (18.383, 2.395)
