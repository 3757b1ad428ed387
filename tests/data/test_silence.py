"""Where a recording is loud."""

from __future__ import annotations

import numpy as np
import pytest

from recurra.data.silence import loud

WINDOW, HOP = 200, 80


def by_hand(x: np.ndarray, decibels: float) -> slice:
    begins = [*range(0, len(x) - WINDOW, HOP), len(x) - WINDOW]
    power = [float(np.sum(x[begin : begin + WINDOW].astype(np.float64) ** 2)) for begin in begins]
    heard = [begin for begin, p in zip(begins, power, strict=True) if 10 * np.log10(max(power) / p) <= decibels]
    return slice(heard[0], heard[-1] + WINDOW)


@pytest.mark.parametrize("decibels", [10.0, 35.0, 80.0])
@pytest.mark.parametrize("count", [201, 1_000, 4_321])
def test_by_hand(count: int, decibels: float) -> None:
    draw = np.random.default_rng(count)
    x = (draw.normal(size=count) * 10 ** draw.uniform(-4, 0, count).round()).astype(np.float32)
    x[: count // 3] *= 0.001
    assert loud(x, WINDOW, HOP, decibels) == by_hand(x, decibels)


def test_how_loud_it_is_recorded_does_not_matter() -> None:
    x = np.concatenate([np.zeros(900), np.random.default_rng(0).normal(size=500), np.zeros(700)]).astype(np.float32)
    found = loud(x, WINDOW, HOP, 30)
    assert found == loud(x / 64, WINDOW, HOP, 30)
    assert 900 - WINDOW < found.start <= 900 and 1_400 <= found.stop < 1_400 + WINDOW


def test_silence_and_what_is_shorter_than_a_frame_stay_whole() -> None:
    assert loud(np.zeros(1_000, np.float32), WINDOW, HOP, 30) == slice(0, 1_000)
    assert loud(np.ones(200, np.float32), WINDOW, HOP, 30) == slice(0, 200)
    assert loud(np.zeros(0, np.float32), WINDOW, HOP, 30) == slice(0, 0)
