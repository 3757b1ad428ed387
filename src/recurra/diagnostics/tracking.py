"""Units that keep track of something in a text: those whose state goes up and down with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.diagnostics.gates import Gates
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


def correlation(values: NDArray[Any], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson's r of each column of values [T, H] with wanted [T]; 0 for a column that never changes."""
    values = values.astype(np.float64)
    values = values - values.mean(0)
    wanted = wanted - wanted.mean()
    scale = np.sqrt((values**2).sum(0) * (wanted**2).sum())
    return np.where(scale > 0, (values * wanted[:, None]).sum(0) / np.where(scale > 0, scale, 1.0), 0.0)
