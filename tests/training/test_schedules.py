"""Every schedule against its closed formula."""

from __future__ import annotations

import math
import random

import pytest

from recurra import registry
from recurra.errors import ConfigError
from recurra.training.schedules import (
    Constant,
    Exponential,
    InverseTime,
    Plateau,
    Staircase,
    WarmupCosine,
)

RANDOM = random.Random(0)
PLACES = [(RANDOM.uniform(0, 20), RANDOM.random()) for _ in range(60)] + [(0.0, 0.0), (9.0, 1.0)]


def test_constant_is_one() -> None:
    assert all(Constant().rate(epoch, progress, [1.0]) == 1.0 for epoch, progress in PLACES)


def test_staircase_falls_every_k_epochs() -> None:
    schedule = Staircase(factor=0.3, every=3)
    assert all(schedule.rate(e, p, []) == pytest.approx(0.3 ** (e // 3)) for e, p in PLACES)


def test_staircase_is_zarembas_small_model() -> None:
    schedule = Staircase(factor=0.5, after=4)
    # the rule of the published program: decay ** max(i + 1 - 4, 0) for epoch number i, counted from 0
    rates = [schedule.rate(i + fraction, 0.0, []) for i in range(13) for fraction in (0.0, 0.99)]
    assert rates == [0.5 ** max(i + 1 - 4, 0) for i in range(13) for _ in range(2)]


def test_staircase_flat_part_and_steps_can_differ() -> None:
    schedule = Staircase(factor=0.5, every=2, after=3)
    assert [schedule.rate(float(e), 0.0, []) for e in range(8)] == [1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.125]


def test_exponential() -> None:
    schedule = Exponential(factor=0.9, after=2.5)
    assert all(schedule.rate(e, p, []) == pytest.approx(0.9 ** max(0, e - 2.5)) for e, p in PLACES)


def test_inverse_time() -> None:
    schedule = InverseTime(decay=0.7)
    assert all(schedule.rate(e, p, []) == pytest.approx(1 / (1 + 0.7 * e)) for e, p in PLACES)


def test_plateau_falls_where_validation_did_not_improve() -> None:
    schedule = Plateau(factor=0.5)
    history = [3.0, 2.5, 2.6, 2.4, 2.4, 2.5]
    rates = [schedule.rate(0.0, 0.0, history[:n]) for n in range(len(history) + 1)]
    assert rates == [1, 1, 1, 0.5, 0.5, 0.25, 0.125]


def test_plateau_waits_and_has_a_floor() -> None:
    schedule = Plateau(factor=0.1, patience=1, improvement=0.1, floor=0.05)
    history = [3.0, 2.95, 2.95, 2.95, 2.95]
    rates = [schedule.rate(0.0, 0.0, history[:n]) for n in range(len(history) + 1)]
    assert rates == pytest.approx([1, 1, 1, 0.1, 0.1, 0.05])


def test_warmup_cosine() -> None:
    w, floor = 0.2, 0.05
    schedule = WarmupCosine(warmup=w, floor=floor)
    for epoch, p in PLACES:
        share = p / w if p < w else (1 + math.cos(math.pi * (p - w) / (1 - w))) / 2
        assert schedule.rate(epoch, p, []) == pytest.approx(floor + (1 - floor) * share)
    assert [schedule.rate(0.0, p, []) for p in (0.0, w, 1.0)] == pytest.approx([floor, 1.0, floor])


@pytest.mark.parametrize("warmup", [0.0, 1.0])
def test_warmup_cosine_at_its_ends(warmup: float) -> None:
    assert WarmupCosine(warmup=warmup, floor=0.0).rate(0.0, warmup, []) == 1.0


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "staircase", "factor": 1.5},
        {"kind": "staircase", "every": 0},
        {"kind": "staircase", "after": -1},
        {"kind": "exponential", "factor": -0.1},
        {"kind": "exponential", "after": -1.0},
        {"kind": "inverse-time", "decay": -1.0},
        {"kind": "plateau", "factor": 2.0},
        {"kind": "plateau", "patience": -1},
        {"kind": "plateau", "improvement": -0.1},
        {"kind": "plateau", "floor": 2.0},
        {"kind": "warmup-cosine", "warmup": 1.1},
        {"kind": "warmup-cosine", "floor": -0.1},
    ],
)
def test_values_out_of_range_are_refused(settings: dict[str, object]) -> None:
    key = list(settings)[1]
    with pytest.raises(ConfigError, match=rf"schedule {settings['kind']}: {key} = .* is out of range, expected"):
        registry.construct("schedule", settings)


@pytest.mark.parametrize("name", registry.names("schedule"))
def test_every_schedule_stays_between_0_and_1(name: str) -> None:
    schedule = registry.construct("schedule", {"kind": name})
    for epoch, progress in PLACES:
        assert 0.0 <= schedule.rate(epoch, progress, [2.0, 1.0, 1.5]) <= 1.0
