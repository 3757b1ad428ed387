"""Scores of what was said from many places of series about the steps behind them, in the units of the file.

y are the true values, ŷ what was said, both [N, H, W]: of N windows H steps of W variables, NaN where there is none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
SURE = 1.645
"""Standard deviations that the autocorrelation at a season lies from 0 where there is one: 90 per cent sure."""


class Rolling:
    """Sums of one forecaster's errors, by which `metrics` are told at the end.

    "mae" = mean |y − ŷ|, "rmse" = √mean (y − ŷ)², "smape" = mean 200 |y − ŷ| / (|y| + |ŷ|), per cent, 0 where both are;
    "mase" and "rmsse": for every window and variable the mean |y − ŷ|, √mean (y − ŷ)², divided by that of repeating
    the season before, of all steps up to the window's beginning; then the mean of these, those left out whose divisor
    is 0. Of ranges: "coverage_80" is the per cent of values inside, "width_80" their mean width, "pinball" the mean
    over the ranges' ends and the median of (y − ŷ_q) (q − [y < ŷ_q]), and "crps" twice that: the continuous ranked
    probability score as those quantiles tell it.
    Source: Hyndman & Koehler 2006, Another look at measures of forecast accuracy; Makridakis et al. 2020, The M4
    Competition; Gneiting & Raftery 2007, Strictly proper scoring rules.
    """

    def __init__(self, horizon: int, levels: Sequence[int] = ()) -> None:
        self.levels = tuple(levels)
        self._sums = dict.fromkeys(
            ("values", "absolute", "squared", "smape", "mase", "rmsse", "scaled", "pinball"), 0.0
        )
        self._inside = dict.fromkeys(levels, 0.0)
        self._width = dict.fromkeys(levels, 0.0)
        self._ahead, self._there = np.zeros(horizon), np.zeros(horizon)

    def add(
        self,
        y: Numbers,
        said: Numbers,
        absolute: Numbers,
        squared: Numbers,
        ranges: Mapping[int, tuple[Numbers, Numbers]],
    ) -> None:
        """Count windows; `absolute` and `squared` [N, W] are the mean errors of repeating a season before them."""
        there = ~np.isnan(y)
        error = np.where(there, y - said, 0)
        size = np.abs(y) + np.abs(said)
        self._sums["values"] += there.sum()
        self._sums["absolute"] += np.abs(error).sum()
        self._sums["squared"] += np.square(error).sum()
        self._sums["smape"] += (200 * np.abs(error) / np.where(there & (size > 0), size, 1)).sum()
        counts = there.sum(1)  # [N, W]
        scaled = (counts > 0) & (absolute > 0) & (squared > 0)
        n, by, by_square = np.maximum(counts, 1), np.where(scaled, absolute, 1), np.where(scaled, squared, 1)
        self._sums["scaled"] += scaled.sum()
        self._sums["mase"] += np.where(scaled, np.abs(error).sum(1) / n / by, 0).sum()
        self._sums["rmsse"] += np.where(scaled, np.sqrt(np.square(error).sum(1) / n / by_square), 0).sum()
        self._ahead += np.where(scaled[:, None], np.abs(error) / by[:, None], 0).sum((0, 2))
        self._there += (there & scaled[:, None]).sum((0, 2))
        for level, (low, high) in ranges.items():
            self._inside[level] += (there & (low <= y) & (y <= high)).sum()
            self._width[level] += np.where(there, high - low, 0).sum()
        if ranges:
            ends = [
                ((100 + s * level) / 200, end)
                for level, pair in ranges.items()
                for s, end in zip((-1, 1), pair, strict=True)
            ]
            losses = [np.where(there, (y - end) * (q - (y < end)), 0).sum() for q, end in [*ends, (0.5, said)]]
            self._sums["pinball"] += sum(losses) / len(losses)

    def metrics(self) -> dict[str, float]:
        """What was counted, as the class says; empty where no value was known."""
        sums = self._sums
        n, scaled = sums["values"], sums["scaled"]
        if not n:
            return {}
        found = {
            "mae": sums["absolute"] / n,
            "rmse": math.sqrt(sums["squared"] / n),
            "smape": sums["smape"] / n,
            **({"mase": sums["mase"] / scaled, "rmsse": sums["rmsse"] / scaled} if scaled else {}),
        }
        for level in self.levels:
            found |= {f"coverage_{level}": 100 * self._inside[level] / n, f"width_{level}": self._width[level] / n}
        if self.levels:
            found |= {"pinball": sums["pinball"] / n, "crps": 2 * sums["pinball"] / n}
        return {name: float(value) for name, value in found.items()}

    def by_step(self) -> list[float | None]:
        """The mean |y − ŷ| of each step ahead, in units of repeating the season before; None where there is none."""
        return [float(s / n) if n else None for s, n in zip(self._ahead, self._there, strict=True)]


def levels_of(said: Mapping[str, Any]) -> list[int]:
    """The levels of the ranges among what is said, "low_80" and "high_80" by name, in their order."""
    return [int(name.removeprefix("low_")) for name in said if name.startswith("low_")]


def season_errors(x: Numbers, season: int) -> tuple[Numbers, Numbers]:
    """Of a series [T, W] before each step c = 0 … T the mean |x_t − x_{t−season}| and its square's, t < c: [T + 1, W]
    each; NaN where there is none."""
    change = np.full_like(x, np.nan)
    change[season:] = x[season:] - x[:-season] if season < len(x) else np.nan
    n = np.cumsum(~np.isnan(change), 0)
    sums = (np.nancumsum(each, 0) for each in (np.abs(change), np.square(change)))
    with np.errstate(invalid="ignore", divide="ignore"):
        absolute, squared = (np.concatenate((np.full_like(x[:1], np.nan), each / n)) for each in sums)
    return absolute, squared


def repeated(x: Numbers, horizon: int, season: int = 1) -> Numbers:
    """The last season of series again and again: [..., T, W] → [..., horizon, W]; the last value where they are
    shorter."""
    season = season if x.shape[-2] >= season else 1
    again: Numbers = x[..., x.shape[-2] - season + np.arange(horizon) % season, :]
    return again


def naive2(x: Numbers, horizon: int, season: int) -> Numbers:
    """The last value of a series [T] without its season, repeated, and its season put back: the competition's Naive 2.

    The season, by which values are multiplied, is that of the classical decomposition; there is none unless all values
    are above 0 and the autocorrelation at `season` says so with 90 per cent. Source: Makridakis et al. 2020, and
    its program.
    """
    if season < 2 or not _has_season(x, season):
        return np.repeat(x[-1:], horizon)
    weights = np.ones(season + 1 - season % 2)
    weights[[0, -1]] = 0.5 if season % 2 == 0 else 1
    half = len(weights) // 2
    trend = np.convolve(x, weights / season, "valid")
    ratio = np.full(len(x), np.nan)
    ratio[half : half + len(trend)] = x[half : half + len(trend)] / trend
    figure = np.array([np.nanmean(ratio[phase::season]) for phase in range(season)])
    figure /= figure.mean()
    phases = (len(x) + np.arange(horizon)) % season
    again: Numbers = x[-1] / figure[(len(x) - 1) % season] * figure[phases]
    return again


def _has_season(x: Numbers, season: int) -> bool:
    if len(x) < 3 * season or x.min() <= 0:
        return False
    centred = x - x.mean()
    if not (total := float(centred @ centred)):
        return False
    r = np.array([centred[lag:] @ centred[: len(x) - lag] for lag in range(1, season + 1)]) / total
    limit = SURE / math.sqrt(len(x)) * math.sqrt(1 + 2 * np.square(r[:-1]).sum())
    return bool(abs(r[-1]) > limit)
