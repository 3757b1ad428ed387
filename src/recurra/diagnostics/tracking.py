"""Units that keep track of something in a text: those whose state goes up and down with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.diagnostics.gates import Gates, Series
from recurra.diagnostics.plain import plain
from recurra.diagnostics.properties import PROPERTIES
from recurra.errors import DataError, UnknownName


@dataclass(frozen=True, eq=False)
class Tracker:
    """One unit and how its state goes with a property."""

    layer: int
    direction: str
    state: str
    unit: int
    """From 0."""
    r: float
    """Pearson's correlation over the steps of the text, −1 to 1."""
    values: NDArray[np.float32]
    """[T]: the unit's state after each token."""

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        found: dict[str, Any] = plain(self)
        return found


def units_that_track(
    seen: Gates, wanted: str | Sequence[float] | NDArray[Any], *, count: int = 5, state: str | None = None
) -> tuple[Tracker, ...]:
    """The units whose states correlate most with a property of the text, by |r|, at most `count`.

    `wanted`: "quotes", "line" or "nesting" (see `recurra.diagnostics.properties`), or a number for each token. `state`:
    h, c, … alone; None: all. With hundreds of units and a short text some correlate by chance: a text the model has not
    seen says whether they do again.
    Raises `UnknownName` for another property, `DataError` for one that is the same at every token.
    """
    named = isinstance(wanted, str)
    if isinstance(wanted, str):
        if wanted not in PROPERTIES:
            raise UnknownName("property", wanted, PROPERTIES)
        values = PROPERTIES[wanted](seen.tokens)
    else:
        values = np.asarray(wanted, np.float64)
    if values.shape != (len(seen.tokens),):
        raise DataError(f"a property of {values.shape} numbers, expected one for each of {len(seen.tokens)} tokens.")
    if not len(values) or np.ptp(values) == 0:
        what = f"the property {wanted!r}" if named else "the property"
        raise DataError(f"{what} is the same at every token of the text, so no unit can follow it. Give another text.")
    found = []
    for one in seen.states:
        if state is None or one.name == state:
            r = correlation(one.values, values)
            found += [(abs(float(r[unit])), one, unit, float(r[unit])) for unit in np.argsort(-np.abs(r))[:count]]
    found.sort(key=lambda each: -each[0])
    return tuple(
        Tracker(one.layer, one.direction, one.name, int(unit), r, one.values[:, unit])
        for _, one, unit, r in found[:count]
    )


LEVEL = 0.01
"""How likely it is at most that one unit or more is shown by chance, over all units and properties."""
NEAR = 20
"""Shifts by less than a twentieth of the text are no chance: a property is like itself a few steps on."""
BLOCK = 256
"""Units whose correlations at all shifts are held at a time."""


@dataclass(frozen=True, eq=False)
class Tested:
    """What units have to do with a property, against chance.

    Chance is the property shifted against the text, round its end, by every number of steps but small ones: both keep
    what they are like from step to step, and lose what they have to do with each other. At each shift the largest |r|
    of all units is taken, so that many units are no better than one; the level is divided by the number of properties
    (Bonferroni).
    """

    symbols: int
    """Of the text that was read for it."""
    units: int
    """How many there are, each state counted."""
    threshold: float
    """The |r| that the best unit of a shifted property reaches with the probability of the level."""
    beyond: int
    """How many units correlate more."""
    trackers: tuple[Tracker, ...]
    """The best of those, each with its r over that text and its values there."""

    def as_json(self) -> dict[str, Any]:
        """The numbers, and of each unit which it is and its r."""
        found = {name: plain(getattr(self, name)) for name in ("symbols", "units", "threshold", "beyond")}
        names = ("layer", "direction", "state", "unit", "r")
        return found | {"trackers": [{name: getattr(one, name) for name in names} for one in self.trackers]}


def beyond_chance(
    states: Sequence[Series], wanted: NDArray[np.float64], *, properties: int = 1, count: int = 5
) -> Tested:
    """The units whose correlation with a property [T] is beyond chance, at most `count`: see `Tested`. `properties`:
    how many are tried.

    Raises `DataError` for a property that is the same everywhere, and for a text too short for the level.
    """
    T = len(wanted)
    if not T or np.ptp(wanted) == 0:
        raise DataError("the property is the same at every symbol, so no unit can follow it. Give another text.")
    near, level = max(1, T // NEAR), LEVEL / properties
    shifts = np.arange(near, T - near + 1)
    if (len(shifts) + 1) * level < 1:
        raise DataError(
            f"{T} symbols have {len(shifts)} shifts, too few for a level of {level:.2g}. Give a longer text."
        )
    turned = np.conj(np.fft.rfft((wanted - wanted.mean()) / (wanted.std() * T)))
    found: list[tuple[float, Series, int]] = []
    highest = np.zeros(T)
    for one in states:
        found += [(float(r), one, unit) for unit, r in enumerate(correlation(one.values, wanted))]
        for begin in range(0, one.values.shape[1], BLOCK):
            values = one.values[:, begin : begin + BLOCK].astype(np.float64)
            values -= values.mean(0)
            spread = values.std(0)
            values /= np.where(spread > 0, spread, 1.0)
            r = np.fft.irfft(np.fft.rfft(values, axis=0) * turned[:, None], n=T, axis=0)  # [T, ·], by shift
            highest = np.maximum(highest, np.abs(r).max(1))
    ranked = np.sort(highest[shifts])[::-1]
    threshold = float(ranked[int(level * (len(shifts) + 1)) - 1])
    beyond = sorted((each for each in found if abs(each[0]) > threshold), key=lambda each: -abs(each[0]))
    best = tuple(
        Tracker(one.layer, one.direction, one.name, unit, r, one.values[:, unit]) for r, one, unit in beyond[:count]
    )
    return Tested(T, len(found), threshold, len(beyond), best)


def correlation(values: NDArray[Any], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson's r of each column of values [T, H] with wanted [T]; 0 for a column that never changes."""
    values = values.astype(np.float64)
    values = values - values.mean(0)
    wanted = wanted - wanted.mean()
    scale = np.sqrt((values**2).sum(0) * (wanted**2).sum())
    return np.where(scale > 0, (values * wanted[:, None]).sum(0) / np.where(scale > 0, scale, 1.0), 0.0)
