"""Linear models of a system: by its past outputs and inputs (ARX), or by its inputs alone (FIR)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from recurra.baselines.least_squares import Array, by_aic
from recurra.baselines.row import Row, check_fields
from recurra.errors import ConfigError, DataError
from recurra.registry import part
from recurra.types import Example

BOUND = 10.0
"""Spreads of the training outputs that what is fed back stays within, so that no simulation runs away."""


@part("baseline", "arx")
class Arx:
    """y_t = c + Σ_{i=1…n} a_i y_{t−i} + Σ_{j=0…n} b_j u_{t−j}, by least squares; n from 1 to `max_order` by Akaike's
    criterion.

    It is simulated: from the `initial` outputs that are known on, it reads its own. Before the first step all is at the
    mean of the training data. Raises ConfigError for an order below 1, and `rows` DataError where all training series
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
    """y_t = c + Σ_{j=0…n} b_j u_{t−j}, by least squares; n from 1 to `max_order` by Akaike's criterion.

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
    most = min(most, (max(len(u) for u, _ in learned) - 1) // 4)
    if most < 1:
        raise DataError(
            f"all training series are too short for the baseline {part!r}, expected 8 steps of one. Use longer."
        )
    (u, y), *_ = learned
    D, W = u.shape[1], y.shape[1]
    counts = [1 + D + order * (D + fed * W) for order in range(1, most + 1)]
    count, weights = by_aic((design(u, y, most, fed) for u, y in learned if len(u) > most), counts)
    order = counts.index(count) + 1
    predictions = [
        {"outputs": codecs["target"].decode(simulated(u, y, weights, order, initial, fed))} for u, y in asked
    ]
    note = f"order {order} by AIC"
    if fed:
        unit = codecs["target"].decode(np.ones((1, W))) - codecs["target"].decode(np.zeros((1, W)))
        errors = [(Y - X[:, :count] @ weights) * unit for X, Y in (design(u, y, order, fed) for u, y in asked)]
        one = math.sqrt(np.square(np.concatenate(errors)).mean())
        note += f"; one step ahead, by true outputs, RMSE {one:.4g}"
    return Row(name, weights.size, "weights", predictions, note=note)


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
    """The outputs [T, W] of a model that reads its own behind the first `initial`, zeros before the first step."""
    before = np.zeros((order, y.shape[1]))
    u = np.concatenate((np.zeros((order, u.shape[1])), u))
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
