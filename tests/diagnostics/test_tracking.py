"""Units against chance: what is planted is found, what wanders by itself is not."""

from __future__ import annotations

import numpy as np
import pytest

from recurra.diagnostics import beyond_chance
from recurra.diagnostics.gates import Series
from recurra.diagnostics.tracking import correlation
from recurra.errors import DataError


def wandering(seed: int, T: int, H: int) -> np.ndarray:
    """Units that change slowly, as those of a memory do: two of them correlate much more than white noise."""
    draws, out = np.random.default_rng(seed).normal(size=(T, H)), np.zeros((T, H))
    for t in range(1, T):
        out[t] = 0.95 * out[t - 1] + draws[t]
    return out.astype(np.float32)


def pieces(seed: int, T: int) -> np.ndarray:
    """A property that is on and off by turns, for 5 to 60 steps each."""
    lengths = np.random.default_rng(seed).integers(5, 60, size=T)
    return np.repeat(np.arange(T) % 2, lengths)[:T].astype(np.float64)


def test_a_planted_unit_is_found_and_no_other() -> None:
    T, H = 2000, 64
    wanted, values = pieces(1, T), wandering(2, T, H)
    values[:, 7] = -2 * wanted + 0.5 * np.random.default_rng(3).normal(size=T)
    found = beyond_chance([Series(1, "forwards", "h", values)], wanted, properties=3)
    assert found.beyond == 1 and (found.symbols, found.units) == (T, H)
    (unit,) = found.trackers
    assert unit.unit == 7 and unit.r == pytest.approx(np.corrcoef(values[:, 7], wanted)[0, 1])


def test_units_that_wander_by_themselves_are_within_chance() -> None:
    """Where |r| > 2.6/√T, the 1 % of independent draws, many would be named; one of forty texts may err."""
    T, H = 1500, 40
    found, naive = 0, 0
    for seed in range(40):
        values, wanted = wandering(100 + seed, T, H), pieces(500 + seed, T)
        found += beyond_chance([Series(1, "forwards", "h", values)], wanted).beyond > 0
        naive += bool((np.abs(correlation(values, wanted)) > 2.6 / np.sqrt(T)).any())
    assert naive == 40 and found <= 3


def test_the_threshold_is_that_of_every_shift_one_by_one() -> None:
    T = 400
    wanted = pieces(4, T)
    states = [Series(1, "forwards", "h", wandering(5, T, 6)), Series(2, "forwards", "h", wandering(6, T, 3))]
    shifts = range(T // 20, T - T // 20 + 1)
    highest = sorted(
        (max(np.abs(correlation(one.values, np.roll(wanted, s))).max() for one in states) for s in shifts), reverse=True
    )
    found = beyond_chance(states, wanted)
    assert found.threshold == pytest.approx(highest[int(0.01 * (len(shifts) + 1)) - 1], rel=1e-9)


def test_a_unit_that_never_changes_follows_nothing() -> None:
    found = beyond_chance([Series(1, "forwards", "h", np.ones((400, 2), np.float32))], pieces(7, 400))
    assert found.beyond == 0


def test_what_cannot_be_tested_is_said() -> None:
    still = Series(1, "forwards", "h", np.ones((50, 2), np.float32))
    with pytest.raises(DataError, match="the same at every symbol"):
        beyond_chance([still], np.ones(50))
    with pytest.raises(DataError, match="50 symbols have 47 shifts, too few for a level"):
        beyond_chance([still], pieces(8, 50))
