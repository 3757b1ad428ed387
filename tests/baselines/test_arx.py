"""Linear models of a system, against NumPy's least squares and loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recurra.baselines.arx import Arx, Fir
from recurra.data.codecs.numbers import Scaled
from recurra.errors import ConfigError, DataError


def system(steps: int, seed: int, noise: float = 0.01) -> dict[str, Any]:
    """Two inputs, two outputs, both of second order."""
    draw = np.random.default_rng(seed)
    u, y = draw.normal(size=(steps, 2)) + 1, np.zeros((steps, 2))
    for t in range(2, steps):
        y[t, 0] = 0.9 * y[t - 1, 0] - 0.3 * y[t - 2, 1] + 0.5 * u[t, 0] - 0.2 * u[t - 1, 1] + 2
        y[t, 1] = 0.5 * y[t - 1, 1] + 0.7 * u[t - 2, 1]
        y[t] += noise * draw.normal(size=2)
    return {"inputs": u, "outputs": y, "names": ["a", "b"]}


@pytest.fixture(scope="module")
def sides() -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, Any]]:
    train, test = [system(150, 0), system(120, 1), system(2, 2)], [system(70, 3)]
    codecs = {
        "input": Scaled().fit([each["inputs"] for each in train]),
        "target": Scaled().fit([each["outputs"] for each in train]),
    }
    return train, test, codecs


def encoded(example: dict[str, Any], codecs: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    return codecs["input"].encode(example["inputs"]).astype(float), codecs["target"].encode(example["outputs"]).astype(
        float
    )


@pytest.mark.parametrize("fed", [True, False])
def test_order_weights_and_simulation(sides: Any, fed: bool) -> None:
    train, test, codecs = sides
    most, initial = 4, 5 if fed else 0
    (row,) = (Arx(most, initial) if fed else Fir(most)).rows(train, test, codecs)

    def lags(u: np.ndarray, y: np.ndarray, t: int, order: int) -> np.ndarray:
        first = y[0] if initial else np.zeros(2)
        past: list[np.ndarray] = []
        for k in range(1, order + 1):
            past += [y[t - k] if t >= k else first] if fed else []
            past += [u[max(0, t - k)]]
        return np.concatenate([[1.0], u[t], *past])

    def fitted(pieces: list[tuple[np.ndarray, np.ndarray]], order: int) -> np.ndarray:
        X = np.array([lags(u, y, t, order) for u, y in pieces for t in range(order, len(u))])
        Y = np.concatenate([y[order:] for _, y in pieces])
        return np.linalg.lstsq(X, Y, rcond=None)[0]

    def said(u: np.ndarray, y: np.ndarray, order: int, weights: np.ndarray) -> np.ndarray:
        own, found = y.copy(), []
        for t in range(len(u)):
            found.append(lags(u, own, t, order) @ weights)
            if t >= initial:
                own[t] = found[-1]
        return np.array(found)

    pieces = [encoded(each, codecs) for each in train]
    begun, errors = [(u[: len(u) * 4 // 5], y[: len(y) * 4 // 5]) for u, y in pieces], []
    for order in range(1, most + 1):
        weights = fitted(begun, order)
        whole = [np.square(said(u, y, order, weights) - y)[len(u) * 4 // 5 :].sum() for u, y in pieces]
        errors.append(sum(whole))
    order = 1 + int(np.argmin(errors))
    weights = fitted(pieces, order)
    assert row.note.startswith(f"order {order} by its simulation") and row.size == weights.size
    u, y = encoded(test[0], codecs)
    expected = codecs["target"].decode(said(u, y, order, weights))
    assert np.allclose(row.predictions[0]["outputs"], expected, atol=1e-8)
    if fed:
        errors = [
            codecs["target"].decode(lags(u, y, t, order)[None] @ weights)[0] - test[0]["outputs"][t]
            for t in range(order, 70)
        ]
        assert row.note.endswith(f"RMSE {np.sqrt(np.square(errors).mean()):.4g}")
        assert np.abs(row.predictions[0]["outputs"][5:] - test[0]["outputs"][5:]).mean() < 0.05


def test_an_unstable_model_is_held(sides: Any) -> None:
    codecs = {"input": Scaled().fit([np.ones((9, 1)) * [[1.0]] + np.arange(9)[:, None]]), "target": sides[2]["target"]}
    growing = {"inputs": np.ones((40, 1)), "outputs": 1.2 ** np.arange(40)[:, None] * [[1.0, -1.0]]}
    codecs["target"] = Scaled().fit([growing["outputs"][:5]])
    test = {"inputs": np.ones((400, 1)), "outputs": np.ones((400, 2))}
    (row,) = Arx(2, 2).rows([growing], [test], codecs)
    assert np.isfinite(row.predictions[0]["outputs"]).all()


def test_what_is_refused(sides: Any) -> None:
    train, test, codecs = sides
    with pytest.raises(ConfigError, match=r"baseline\.max_order = 0"):
        Arx(max_order=0)
    with pytest.raises(ConfigError, match=r"baseline\.max_order = 0"):
        Fir(max_order=0)
    with pytest.raises(DataError, match="all training series are too short for the baseline 'arx'"):
        list(Arx().rows(train[2:], test, codecs))
    with pytest.raises(DataError, match="expected 'outputs'"):
        list(Fir().rows(train, [{"inputs": np.ones((9, 2))}], codecs))
