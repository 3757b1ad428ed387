"""Generated sequences: what they hold, that a seed repeats them, and what chance is worth."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from recurra.errors import ConfigError
from recurra.lab.problems import PROBLEMS, adding, chance, copying


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("lag", [2, 3, 10, 51])
def test_adding_marks_one_number_in_each_half(lag: int) -> None:
    x, target = adding(lag, 40, seeded(0))
    assert x.shape == (lag, 40, 2) and target.shape == (40,)
    numbers, marks = x.unbind(2)
    assert set(marks.unique().tolist()) <= {0.0, 1.0}
    assert (marks[: lag // 2].sum(0) == 1).all() and (marks[lag // 2 :].sum(0) == 1).all()
    assert torch.allclose((numbers * marks).sum(0), target)
    assert numbers.min() >= 0 and numbers.max() < 1


def test_adding_without_memory_costs_a_sixth() -> None:
    _, target = adding(20, 50_000, seeded(1))
    assert ((target - 1) ** 2).mean().item() == pytest.approx(1 / 6, abs=0.003)
    assert PROBLEMS["adding"](20).baseline == pytest.approx(0.1667, abs=1e-4)


@pytest.mark.parametrize("lag", [1, 2, 50])
def test_copying_asks_for_what_stood_first(lag: int) -> None:
    read, told = copying(lag, 30, seeded(2))
    assert read.shape == told.shape == (lag + 20, 30)
    assert (told[:-10] == 8).all() and torch.equal(told[-10:], read[:10])
    assert (read[lag + 9] == 9).all() and (read == 9).sum() == 30
    assert (read[10 : lag + 9] == 8).all() and (read[lag + 10 :] == 8).all()
    assert read[:10].unique().tolist() == list(range(8))
    read, told = copying(lag, 3, seeded(2), symbols=4, copied=2)
    assert read.shape == (lag + 4, 3) and read[:2].max() < 4 and (read[lag + 1] == 5).all()


def test_chance_is_the_loss_of_who_knows_when_but_not_what() -> None:
    _, told = copying(30, 200, seeded(3))
    p = torch.zeros(50, 200, 9)
    p[:40, :, 8] = 1.0
    p[40:, :, :8] = 1 / 8
    loss = F.nll_loss(p.clamp_min(1e-30).log().flatten(0, 1), told.flatten()).item()
    assert loss == pytest.approx(chance(30), rel=1e-5)
    assert chance(30) == pytest.approx(10 * math.log(8) / 50)
    assert PROBLEMS["copy"](30).baseline == chance(30)


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_seed_repeats_and_another_does_not(name: str) -> None:
    problem = PROBLEMS[name](12)
    x, target = problem.draw(4, seeded(5))
    again, other = problem.draw(4, seeded(5)), problem.draw(4, seeded(6))
    assert torch.equal(x, again[0]) and torch.equal(target, again[1]) and not torch.equal(x, other[0])
    assert x.shape[2] == problem.inputs
    answers = torch.zeros(len(x), 4, problem.outputs)
    assert math.isfinite(float(problem.loss(answers, target)))


def test_lags_too_short_are_refused() -> None:
    with pytest.raises(ConfigError, match="over 1 steps, expected 2 or more"):
        adding(1, 1, seeded(0))
    with pytest.raises(ConfigError, match="over 0 steps, expected 1 or more"):
        copying(0, 1, seeded(0))
