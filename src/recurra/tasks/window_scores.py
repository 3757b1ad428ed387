"""Sums of errors over batches of windows, and the scores they come to; in the units of the input's codec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from recurra.nn.frame import Window, last_step
from recurra.tasks.scores import Scores, Table

BANDS = 4
"""Parts of the horizon, at most, that errors are told for."""
NAIVE = "the last value again"


def errors(future: Tensor, said: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Sums of squared and of absolute errors of each that says something of the future [B, H, W], NaN where there is
    none: "NAME_squared", "NAME_absolute"."""
    there = ~future.isnan()
    found: dict[str, Tensor] = {}
    for name, values in said.items():
        error = (future - values).masked_fill(~there, 0)
        found |= {f"{name}_squared": error.square().sum(), f"{name}_absolute": error.abs().sum()}
    return found


def by_band(future: Tensor, said: Tensor) -> dict[str, Tensor]:
    """Sums of squared errors, and how many there are, by parts of the horizon."""
    found: dict[str, Tensor] = {}
    for begin, end in bands(future.shape[1]):
        error = (future - said)[:, begin - 1 : end]
        found |= {f"{begin}_squared": error.square().nansum(), f"{begin}_values": (~error.isnan()).sum()}
    return found


def by_range(future: Tensor, ranges: Mapping[int, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    """How many values lie in ranges, by their level, and the sum of their widths."""
    there = ~future.isnan()
    found: dict[str, Tensor] = {}
    for level, (low, high) in ranges.items():
        found[f"covered_{level}"] = ((future >= low) & (future <= high) & there).sum()
        found[f"width_{level}"] = (high - low).masked_fill(~there, 0).sum()
    return found


def repeating(window: Window, season: int | None) -> dict[str, Tensor]:
    """What repeating the last value says, and the last season, where all look back on as much."""
    past, H = window.past, window.future.shape[1]
    found = {"last": last_step(past, window.lengths).expand(-1, H, -1)}
    if season is not None and window.lengths is None and past.shape[1] >= season:
        again = -(-H // season)
        found["season"] = past[:, past.shape[1] - season :].repeat(1, again, 1)[:, :H]
    return found


def bands(horizon: int) -> list[tuple[int, int]]:
    """The parts of the horizon that errors are told for, the first and the last step of each, from 1."""
    size = -(-horizon // BANDS)
    return [(k + 1, min(k + size, horizon)) for k in range(0, horizon, size)]


def scores_of(horizon: int, targets: int, sums: Mapping[str, float]) -> Scores:
    """ "mse" and "mae", and a table of the first by parts of the horizon; of ranges "coverage_80", per cent, and
    "width_80", by their level."""
    found = _means("model", targets, sums)
    for name in sums:
        kind, _, level = name.partition("_")
        if kind in ("covered", "width") and level:
            key = f"coverage_{level}" if kind == "covered" else name
            found[key] = (100 if kind == "covered" else 1) * sums[name] / targets
    scores = Scores(found)
    rows: list[list[str | float]] = []
    for begin, end in bands(horizon):
        if values := sums.get(f"{begin}_values"):
            rows.append([f"{begin} to {end}" if end > begin else f"{begin}", sums[f"{begin}_squared"] / values])
    if rows:
        scores.tables["horizon"] = Table(columns=["steps ahead", "mse"], rows=rows)
    return scores


def rows_of(season: int | None, targets: int, sums: Mapping[str, float]) -> list[dict[str, Any]]:
    """What `repeating` comes to on the same windows."""
    named = {"last": NAIVE, "season": f"the value {season} steps before"}
    return [
        {"name": name, "size": 1, "unit": "value", "note": "", **_means(key, targets, sums)}
        for key, name in named.items()
        if f"{key}_squared" in sums
    ]


def _means(name: str, targets: int, sums: Mapping[str, float]) -> dict[str, float]:
    kinds = {"mse": "squared", "mae": "absolute"}
    return {key: sums[f"{name}_{kind}"] / targets for key, kind in kinds.items() if f"{name}_{kind}" in sums}
