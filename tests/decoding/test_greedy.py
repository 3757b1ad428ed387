"""Greedy search, and what all searches refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from recurra.decoding.greedy import greedy
from recurra.errors import ConfigError, RecurraError

from .conftest import FINITE, NONE, Table, Translator


@pytest.mark.parametrize("grid", [0.0, 1.0])
def test_takes_the_likeliest_symbol_each_time(grid: float) -> None:
    model, end = Table(3, 5, sharpness=1.0, grid=grid), 4
    longest = torch.arange(1, 31)
    found = greedy(model.step, *model.start(30), end=end, longest=longest)
    assert {h.ended for h in found} == {True, False}
    for b, h in enumerate(found):
        tokens: tuple[int, ...] = ()
        total = 0.0
        while True:
            log_p = model.after(b, tokens)
            token = int(log_p.argmax())
            if token == end or len(tokens) == longest[b]:
                break
            tokens, total = (*tokens, token), total + log_p[token]
        assert (h.tokens, h.ended) == (tokens, token == end)
        assert h.log_p == (total + log_p[token] if h.ended else total)
        assert h.score == h.log_p


def test_the_end_mark_may_follow_the_last_symbol_allowed() -> None:
    def step(state: Tensor, token: Tensor) -> tuple[Tensor, Tensor]:
        log_p = torch.full((len(token), 3), -5.0)
        log_p[torch.arange(len(token)), torch.where(state[:, 0] == 3, 2, 1)] = -0.25
        return log_p, state + 1

    (found,) = greedy(step, torch.zeros(1, 1), torch.tensor([0]), end=2, longest=3)
    assert (found.tokens, found.log_p, found.ended) == ((1, 1, 1), -1.0, True)
    (found,) = greedy(step, torch.zeros(1, 1), torch.tensor([0]), end=2, longest=2)
    assert (found.tokens, found.log_p, found.ended) == ((1, 1), -0.5, False)


def test_finished_sources_leave_the_batch() -> None:
    model = Table(4, 5, sharpness=1.0)
    found = greedy(model.step, *model.start(20), end=0, longest=30)
    steps = [len(h.tokens) + 1 for h in found]
    assert model.rows == [sum(n > t for n in steps) for t in range(max(steps))]


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_batch_is_its_sources_one_by_one(cell: str) -> None:
    torch.manual_seed(0)
    model, B = Translator(cell, 9), 8
    memory, begin, longest = torch.randn(4, B, 5).double() * 2, torch.arange(B), torch.arange(2, 10)
    together = greedy(model.step, model.start(memory), begin, end=3, longest=longest)
    for b in range(B):
        rows = slice(b, b + 1)
        (alone,) = greedy(model.step, model.start(memory[:, rows]), begin[rows], end=3, longest=longest[rows])
        assert (alone.tokens, alone.ended) == (together[b].tokens, together[b].ended)
        assert np.isclose(alone.log_p, together[b].log_p, rtol=1e-12)


def test_nothing_to_search() -> None:
    model = Table(0, 3)
    assert greedy(model.step, *model.start(0), end=2, longest=torch.zeros(0, dtype=torch.int64)) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"longest": 0}, r"longest = 0, expected 1 or more symbols\."),
        ({"longest": torch.tensor([3, -2])}, r"longest = -2, expected 1 or more symbols\."),
        (
            {"longest": torch.tensor([3, 2, 1])},
            r"longest is int64 \[3\], expected whole numbers \[2\], one for each sou",
        ),
        (
            {"longest": 2.5},
            r"longest is float64 \[\], expected whole numbers \[2\], one for each source, or one number",
        ),
        (
            {"begin": torch.zeros(2, 1).long()},
            r"begin is torch.int64 \[2, 1\], expected int64 \[B\]: the symbol that ea",
        ),
        ({"begin": torch.zeros(2)}, r"begin is torch.float32 \[2\], expected int64 \[B\]"),
        (
            {"end": 4},
            r"end = 4, but step gives log-probabilities of 4 symbols, numbered from 0: expected a number belo",
        ),
        ({"end": -1}, r"end = -1, but step gives"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    model = Table(0, 4)
    state, begin = model.start(2)
    with pytest.raises(ConfigError, match=message):
        greedy(model.step, state, **{"begin": begin, "end": 3, "longest": 4, **settings})


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 1, 4)])
def test_scores_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=r"log-probabilities of shape \[.*4\], expected \[2, V\]\."):
        greedy(lambda s, t: (torch.zeros(shape), s), None, torch.tensor([0, 0]), end=3, longest=4)


@pytest.mark.parametrize("broken", [torch.nan, -torch.inf, torch.inf])
def test_a_broken_distribution_is_refused(broken: float) -> None:
    def step(state: Tensor, token: Tensor) -> tuple[Tensor, Tensor]:
        log_p = torch.tensor([0.1, 0.5, 0.4]).log().repeat(2, 1)
        log_p[1] = broken if state[0, 0] == 3 else log_p[1]
        return log_p, state + 1

    said = f"after 3 symbols {NONE if broken == -torch.inf else FINITE}"
    with pytest.raises(RecurraError, match=said):
        greedy(step, torch.zeros(2, 1), torch.tensor([0, 0]), end=0, longest=5)


def test_scores_that_are_no_log_probabilities_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"gave a log-probability of 2.5, expected 0 or less. Is a log_softmax miss"):
        greedy(lambda s, t: (torch.tensor([[1.0, 2.5]]), s), None, torch.tensor([0]), end=0, longest=5)
