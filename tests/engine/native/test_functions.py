"""The functions of cells on vectors, beside float64, over all of float32."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from recurra.engine.native import build

TEXT = """
#include "vec.h"
extern "C" __attribute__((visibility("default"))) void apply(long which, const float *x, float *y, long n) {
    for (long k = 0; k + W <= n; k += W) {
        const V v = load(x + k);
        store(y + k, which == 0 ? exp(v) : which == 1 ? sigmoid(v) : tanh(v));
    }
}
"""
EXACT = {"exp": np.exp, "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "tanh": np.tanh}
SMALLEST = float(np.finfo(np.float32).tiny)


@pytest.fixture(params=["avx512", "avx2", "portable"])
def apply(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    if missing := set(build.INSTRUCTIONS[request.param][1]) - build.processor():
        pytest.skip(f"this processor lacks {', '.join(sorted(missing))}")
    monkeypatch.setattr(build, "instructions", lambda: request.param)
    function = build.library("functions", TEXT, "float").apply
    function.argtypes = [ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_long]

    def apply(name: str, x: np.ndarray) -> np.ndarray:
        padded = np.pad(x.astype(np.float32), (0, -len(x) % 16))
        y = np.empty_like(padded)
        function(list(EXACT).index(name), padded.ctypes.data, y.ctypes.data, len(padded))
        return y[: len(x)]

    return apply


@pytest.mark.parametrize(("name", "most"), [("exp", 1.1), ("sigmoid", 2.6), ("tanh", 1.5)])
def test_last_places(apply, name: str, most: float) -> None:
    """Numbers of every size, and many where a function bends."""
    x = np.arange(0, 1 << 32, 2503, dtype=np.uint32).view(np.float32)
    x = np.concatenate((x[np.isfinite(x)], np.random.default_rng(0).normal(0, 4, 200_000).astype(np.float32)))
    x = x[np.abs(x) < 88.7] if name == "exp" else x
    with np.errstate(over="ignore"):
        exact = EXACT[name](x.astype(np.float64))
    error = np.abs(apply(name, x) - exact)
    normal = np.abs(exact) > 1.1 * SMALLEST
    places = error[normal] / np.spacing(np.abs(exact[normal]).astype(np.float32))
    assert places.max() <= most, x[normal][places.argmax()]
    assert (error[~normal] <= 1.2 * SMALLEST).all()


def test_ends(apply) -> None:
    ends = np.array([-np.inf, -1e30, -200, -0.0, 0.0, 200, 1e30, np.inf, np.nan], np.float32)
    expected = {
        "exp": [0, 0, 0, 1, 1, np.inf, np.inf, np.inf, np.nan],
        "sigmoid": [0, 0, 0, 0.5, 0.5, 1, 1, 1, np.nan],
        "tanh": [-1, -1, -1, -0.0, 0.0, 1, 1, 1, np.nan],
    }
    for name, values in expected.items():
        found = apply(name, ends)
        np.testing.assert_array_equal(found, np.array(values, np.float32), err_msg=name)
        assert (np.signbit(found) == np.signbit(np.array(values, np.float32)))[:-1].all(), name
