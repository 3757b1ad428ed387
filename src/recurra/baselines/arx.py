"""Linear models of a system: by its past outputs and inputs (ARX), or by its inputs alone (FIR)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from recurra.baselines.least_squares import Array, solved, triangular
from recurra.baselines.row import Row, check_fields
from recurra.errors import ConfigError, DataError
from recurra.registry import part
from recurra.types import Example

KEPT = 0.8
"""The share of each training series that a model is fitted to while its order is sought."""
BOUND = 10.0
"""Spreads of the training outputs that what is fed back stays within, so that no simulation runs away."""


@part("baseline", "arx")
class Arx:
    """y_t = c + Σ_{i=1…n} a_i y_{t−i} + Σ_{j=0…n} b_j u_{t−j}, by least squares; n from 1 to `max_order`, the one that
    simulates the last fifth of the training series best, fitted to what is before it.

    It is simulated: from the `initial` outputs that are known on, it reads its own. Before the first step all is as
    there. Raises ConfigError for an order below 1, and `rows` DataError where all training series
    are too short for one.
    Source: Ljung 1999, System identification: theory for the user, section 4.2.
    """

    def __init__(self, max_order: int = 10, initial: int = 0) -> None:
        _check(max_order)
        self.max_order, self.initial = max_order, initial

    def rows(self, train: Sequence[Example], test: Sequence[Example], codecs: Mapping[str, Any]) -> Iterator[Row]:
        """Fit on `train` and simulate `test`; "outputs" of all of it."""
        yield _row("ARX, simulated", "arx", self.max_order, self.initial, train, test, codecs, fed=True)


@part("baseline", "fir")
class Fir:
    """y_t = c + Σ_{j=0…n} b_j u_{t−j}, by least squares; n from 1 to `max_order`, chosen as of "arx".

    What came out before plays no part: a finite impulse response. Raises as "arx" does.
    Source: Ljung 1999, System identification: theory for the user, section 4.2.
    """

    def __init__(self, max_order: int = 50) -> None:
        _check(max_order)
        self.max_order = max_order

    def rows(self, train: Sequence[Example], test: Sequence[Example], codecs: Mapping[str, Any]) -> Iterator[Row]:
        """Fit on `train` and answer for `test`; "outputs" of all of it."""
        yield _row("FIR", "fir", self.max_order, 0, train, test, codecs, fed=False)


def _check(max_order: int) -> None:
    if max_order < 1:
        raise ConfigError(f"baseline.max_order = {max_order}, expected 1 or more.")


def _row(
    name: str,
    part: str,
    most: int,
    initial: int,
    train: Sequence[Example],
    test: Sequence[Example],
    codecs: Mapping[str, Any],
    fed: bool,
) -> Row:
    for side, examples in (("training", train), ("test", test)):
        check_fields(part, side, examples, "inputs")
        check_fields(part, side, examples, "outputs")
    learned, asked = ([_encoded(each, codecs) for each in side] for side in (train, test))
    order = _order(learned, most, initial, fed, part)
    weights = _fitted(learned, order, fed)
    predictions = [
        {"outputs": codecs["target"].decode(simulated(u, y, weights, order, initial, fed))} for u, y in asked
    ]
    note = f"order {order} by its simulation of the last fifth of training"
    if fed:
        zeros = np.zeros((1, weights.shape[1]))
        unit = codecs["target"].decode(zeros + 1) - codecs["target"].decode(zeros)
        errors = [(Y - X @ weights) * unit for X, Y in (design(u, y, order, fed) for u, y in asked)]
        one = math.sqrt(np.square(np.concatenate(errors)).mean())
        note += f"; one step ahead, by true outputs, RMSE {one:.4g}"
    return Row(name, weights.size, "weights", predictions, note=note)


def _order(learned: Sequence[tuple[Array, Array]], most: int, initial: int, fed: bool, part: str) -> int:
    """The order whose simulation is nearest to the last fifth of the training series, fitted to what is before it.

    One step ahead a longer order is better nearly always, and where inputs are smooth its lags are all but alike: such
    a model explains them well, and runs away with others."""
    most = min(most, (max(int(KEPT * len(u)) for u, _ in learned) - 1) // 4)
    if most < 1:
        raise DataError(
            f"all training series are too short for the baseline {part!r}, expected 8 steps of one. Use longer ones."
        )
    begun = [(u[: int(KEPT * len(u))], y[: int(KEPT * len(u))]) for u, y in learned]
    errors = []
    for order in range(1, most + 1):
        weights = _fitted(begun, order, fed)
        said = (simulated(u, y, weights, order, initial, fed)[int(KEPT * len(u)) :] for u, y in learned)
        errors.append(
            sum(np.square(each - y[len(y) - len(each) :]).sum() for each, (_, y) in zip(said, learned, strict=True))
        )
    return 1 + int(np.argmin(errors))


def _fitted(learned: Sequence[tuple[Array, Array]], order: int, fed: bool) -> Array:
    R, Z, _, _ = triangular(design(u, y, order, fed) for u, y in learned if len(u) > order)
    return solved(R, Z, len(R))


def _encoded(example: Example, codecs: Mapping[str, Any]) -> tuple[Array, Array]:
    u, y = codecs["input"].encode(example["inputs"]), codecs["target"].encode(example["outputs"])
    return u.astype(np.float64), y.astype(np.float64)


def design(u: Array, y: Array, order: int, fed: bool) -> tuple[Array, Array]:
    """Rows 1, u_t, then for each lag (y_{t−i},) u_{t−i}; and the y_t that belong to them, from t = order on."""
    T = max(0, len(u) - order)
    columns = [np.ones((T, 1)), u[order : order + T]]
    for lag in range(1, order + 1):
        columns += [each[order - lag : order - lag + T] for each in ((y, u) if fed else (u,))]
    return np.concatenate(columns, 1), y[order : order + T]


def simulated(u: Array, y: Array, weights: Array, order: int, initial: int, fed: bool) -> Array:
    """The outputs [T, W] of a model that reads its own behind the first `initial`. Before the first step all is as
    there, or where no output is known there 0: large weights of lags that are all but alike make much of a jump."""
    before = np.repeat(y[:1] if initial else np.zeros((1, y.shape[1])), order, 0)
    u = np.concatenate((np.repeat(u[:1], order, 0), u))
    if not fed:
        found: Array = design(u, np.zeros((len(u), y.shape[1])), order, fed)[0] @ weights
        return found
    D, W = u.shape[1], y.shape[1]
    lags = weights[1 + D :].reshape(order, W + D, W)
    own = lags[::-1, :W].reshape(order * W, W)  # as the outputs lie, the oldest first
    others = np.concatenate((weights[: 1 + D], lags[:, W:].reshape(order * D, W)))
    driven = design(u, np.zeros((len(u), 0)), order, fed=False)[0] @ others
    held, said = np.concatenate((before, y)), np.empty_like(y)
    for t, drive in enumerate(driven):
        said[t] = drive + held[t : t + order].ravel() @ own
        if t >= initial:
            held[order + t] = np.clip(said[t], -BOUND, BOUND)
    return said
