"""Drawing sequences that end by themselves."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from recurra.decoding.draw import draw
from recurra.decoding.greedy import greedy
from recurra.decoding.sample import distribution
from recurra.errors import ConfigError, RecurraError

from .conftest import FINITE, NONE, Table, everything

END = 2


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_sequences_come_as_often_as_they_are_likely(temperature: float) -> None:
    model, B = Table(1, 3), 6000
    state, begin = model.source(4)
    state = (state[0].expand(B, 1), None)
    found = draw(model.step, state, begin.expand(B), end=END, longest=20, temperature=temperature, seed=5)
    counts = Counter(h.tokens for h in found if h.ended)
    for log_p, tokens in everything(model, 4, END, 3):
        p = 1.0
        for t, token in enumerate((*tokens, END)):
            p *= distribution(model.after(4, tokens[:t]), temperature=temperature)[token]
        assert abs(counts[tokens] - B * p) < 4 * np.sqrt(B * p * (1 - p)) + 1
        for h in found:
            if h.tokens == tokens and h.ended:
                assert np.isclose(h.log_p, log_p, rtol=1e-12)  # the model's own, whatever the temperature


def test_a_source_has_random_numbers_of_its_own() -> None:
    model = Table(2, 6, sharpness=0.5)
    together = draw(model.step, *model.start(9), end=5, longest=12, seed=3)
    assert draw(model.step, *model.start(4), end=5, longest=12, seed=3) == together[:4]
    assert draw(model.step, *model.start(9), end=5, longest=12, seed=4) != together
    seeds = [11, 5, 11, 7, 8, 1, 2, 3, 4]
    together = draw(model.step, *model.start(9), end=5, longest=12, seed=seeds)
    for b in range(9):
        assert draw(model.step, *model.source(b), end=5, longest=12, seed=seeds[b : b + 1]) == [together[b]]


def test_no_other_generator_is_touched() -> None:
    model = Table(2, 6)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    draw(model.step, *model.start(3), end=5, longest=12)
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


def test_temperature_zero_and_the_likeliest_alone_are_greedy() -> None:
    model = Table(6, 5, sharpness=1.0)
    expected = greedy(model.step, *model.start(20), end=4, longest=9)
    assert draw(model.step, *model.start(20), end=4, longest=9, temperature=0) == expected
    assert draw(model.step, *model.start(20), end=4, longest=9, top_k=1) == expected
    assert draw(model.step, *model.start(20), end=4, longest=9, top_p=1e-9) == expected


def test_what_is_cut_off_is_never_drawn() -> None:
    model = Table(7, 8)
    for h in draw(model.step, *model.start(1), end=0, longest=30, top_k=3, seed=1):
        for t, token in enumerate(h.tokens):
            assert token in np.argsort(-model.after(0, h.tokens[:t]))[:3]


def test_the_longest_are_cut() -> None:
    model = Table(8, 40, sharpness=0.1)
    longest = torch.arange(1, 21)
    found = draw(model.step, *model.start(20), end=0, longest=longest)
    assert {h.ended for h in found} == {True, False}
    for h, most in zip(found, longest.tolist(), strict=True):
        assert len(h.tokens) == most or (h.ended and len(h.tokens) < most)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": -0.5}, r"temperature = -0.5, expected 0 \(always the most likely symbol\) or more\."),
        ({"temperature": float("inf")}, r"temperature = inf, expected"),
        ({"top_k": 0}, r"top_k = 0, expected 1 or more symbols to choose from"),
        ({"top_p": 1.5}, r"top_p = 1.5, expected a share above 0 and up to 1"),
        ({"seed": -1}, r"seed = -1, expected a whole number from 0 to 2⁶³ − 2\."),
        ({"seed": 2**64}, r"seed = 18446744073709551616, expected a whole number from 0 to 2⁶³ − 2\."),
        ({"seed": [1, -3]}, r"a seed of -3, expected whole numbers from 0\."),
        ({"seed": [1, 2, 3]}, r"3 seeds for 2 sources, expected one for each, or one number for all\."),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    model = Table(0, 4)
    with pytest.raises(ConfigError, match=message):
        draw(model.step, *model.start(2), **{"end": 3, "longest": 4, **settings})


@pytest.mark.parametrize("broken", [torch.nan, -torch.inf, torch.inf, "one nan"])
def test_a_broken_distribution_is_refused(broken: Any) -> None:
    bad = torch.tensor([0.0, torch.nan, -1.0]) if broken == "one nan" else torch.full((3,), broken)

    def step(state: Tensor, token: Tensor) -> tuple[Tensor, Tensor]:
        return (torch.tensor([-torch.inf, -0.5, -1.0]) if state[0, 0] < 2 else bad).repeat(2, 1), state + 1

    said = f"after 2 symbols {NONE if broken == -torch.inf else FINITE}"
    with pytest.raises(RecurraError, match=said):
        draw(step, torch.zeros(2, 1), torch.tensor([0, 0]), end=0, longest=5)
