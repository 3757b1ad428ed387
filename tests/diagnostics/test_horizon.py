"""What curves of gradient norms are said to mean, on curves whose answer is known; numbers as JSON."""

from __future__ import annotations

import math

import numpy as np
import pytest

from recurra.diagnostics import horizon
from recurra.diagnostics.plain import plain


def powers(factor: float, lags: int = 80) -> np.ndarray:
    return 3.0 * factor ** np.arange(lags)


def test_slope_and_horizon_of_powers() -> None:
    assert horizon.slope(powers(0.9)) == pytest.approx(math.log(0.9), abs=1e-12)
    assert horizon.horizon(powers(0.5)) == 7  # 0.5⁷ < 1 % < 0.5⁶
    assert horizon.horizon(powers(0.99)) is None
    assert horizon.horizon(np.array([1.0, 0.001, 0.5, 0.001, 0.001])) == 3  # it came back once
    assert math.isnan(horizon.slope(np.array([1.0, 0.0])))


def test_a_curve_that_begins_late() -> None:
    """At lag 0 nothing arrives where a blank is guessed from its neighbours."""
    curve = np.concatenate(([0.0], powers(0.5)))
    assert horizon.begin(curve) == 1
    assert horizon.horizon(curve) == 8
    assert horizon.verdict(curve) == "vanishes"


@pytest.mark.parametrize(
    ("factor", "word", "says"),
    [
        (0.9, "vanishes", "1 % of an error is left 44 steps back"),
        (0.999, "holds", "still reaches what happened 79 steps before"),
        (1.1, "explodes", "grows by 10% with every step back"),
        (1.025, "too short", "grows by 2% with every step back, over 79 steps. Give a longer text."),
        (0.96, "too short", "falls by 4% a step back, and the text ends after 79 steps"),
        (1.015, "holds", "nothing to mend"),
    ],
)
def test_verdicts(factor: float, word: str, says: str) -> None:
    curve = powers(factor)
    assert horizon.verdict(curve) == word
    for gated in (True, False):
        assert says in horizon.advice(word, curve, True, not gated)


def test_a_fast_fall_with_a_long_tail_vanishes_and_a_slow_fall_holds() -> None:
    tailed, slow = np.maximum(powers(0.8, lags=300), 1e-3), powers(0.985, lags=400)
    assert horizon.slope(tailed) > -horizon.STEADY and horizon.horizon(tailed) == 21
    assert horizon.verdict(tailed) == "vanishes"
    assert horizon.verdict(slow) == "holds"
    assert "left 305 steps back, and it falls slowly" in horizon.advice("holds", slow, True, False)


def test_short_curves_say_that_they_are_short() -> None:
    for factor, says in ((1.3, "grows by 30%"), (0.5, "1 % is left 7 steps back")):
        curve = powers(factor, lags=5)
        assert horizon.verdict(curve) == "too short" and says in horizon.advice("too short", curve, True, False)
    almost = powers(0.35, lags=5)  # 1.5 % is left at its end
    assert "text ends after 4 steps" in horizon.advice("too short", almost, True, False)
    assert "1 % is left 5 steps back" in horizon.advice("too short", almost, True, False)
    level = powers(1.01, lags=5)
    assert horizon.verdict(level) == "holds"
    assert "A longer text" in horizon.advice("holds", level, True, False)
    assert "nothing to mend" not in horizon.advice("holds", level, True, False)


def test_what_is_advised_depends_on_the_layer() -> None:
    curve = powers(0.5)
    assert "core.cell = lstm" in horizon.advice("vanishes", curve, recurrent=True, plain=True)
    for in_pieces in (False, True):
        said = horizon.advice("vanishes", curve, recurrent=True, plain=False, in_pieces=in_pieces)
        assert ("batching.steps" in said) == in_pieces
    assert "wider span" in horizon.advice("vanishes", curve, recurrent=False, plain=False)
    assert "pooling or attention" in horizon.advice("direct", curve, recurrent=True, plain=False)
    assert "No gradient arrives" in horizon.advice("never arrives", np.zeros(3), recurrent=True, plain=False)


def test_what_is_no_matter_of_time() -> None:
    assert horizon.verdict(powers(1.1), recurrent=False) == "holds"
    assert horizon.verdict(powers(0.5), direct=True) == "direct"
    assert horizon.verdict(np.zeros(4)) == "never arrives"


def test_geometric_mean_passes_over_zeros() -> None:
    found = horizon.geometric_mean(np.array([[1.0, 4.0, 0.0], [9.0, 0.0, 0.0]]))
    assert found == pytest.approx([3.0, 4.0, 0.0])


def test_plain_numbers() -> None:
    values = np.array([1.23456789, -9.87654321e-30, 0.0, np.nan, np.inf, 5e-310, 1e300])
    assert plain(values) == [1.23457, -9.87654e-30, 0.0, None, None, 5e-310, pytest.approx(1e300)]
    assert plain(np.array([1 + 2j])) == [[1.0, 2.0]]
    assert plain({"a": (np.int64(3), np.float32(0.5), math.nan)}) == {"a": [3, 0.5, None]}
    assert plain(np.array([True, False])) == [True, False]
