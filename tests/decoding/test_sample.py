"""Sampling: the right distribution, the right cuts, the right order, and nobody else's random numbers."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch

from recurra.data.codecs.characters import Byte, Character
from recurra.data.codecs.word import Word
from recurra.decoding.sample import distribution, prompt_ids, sample
from recurra.errors import ConfigError, RecurraError

from .conftest import FINITE, NONE

P = np.array([0.07, 0.31, 0.02, 0.0, 0.23, 0.13, 0.24])
V = len(P)
with np.errstate(divide="ignore"):
    LOG_P = np.log(P)


def constant(state: Any, token: int) -> tuple[Any, Any]:
    return LOG_P, state


def successor(state: int, token: int) -> tuple[Any, int]:
    """Most likely next is token + state modulo V; the state counts the symbols read."""
    log_p = np.full(V, -3.0)
    log_p[(token + state) % V] = -0.1
    return log_p, state + 1


@pytest.mark.parametrize(("temperature", "top_k", "top_p"), [(1.0, None, None), (0.5, None, None), (2.0, 4, 0.9)])
def test_frequencies_are_those_of_the_distribution(temperature: float, top_k: int | None, top_p: float | None) -> None:
    n = 20000
    ids = sample(constant, None, [0], n, temperature=temperature, top_k=top_k, top_p=top_p, seed=3)
    p = distribution(LOG_P, temperature=temperature, top_k=top_k, top_p=top_p)
    counts = np.bincount(ids, minlength=V)
    assert not counts[p == 0].any()
    expected = n * p[p > 0]
    chi_square = ((counts[p > 0] - expected) ** 2 / expected).sum()
    assert chi_square < 22.5  # exceeded once in a thousand at 6 degrees of freedom


def test_temperature_is_a_power_of_the_probabilities() -> None:
    for temperature in (0.3, 1.0, 2.5):
        expected = P ** (1 / temperature)
        assert np.allclose(distribution(LOG_P, temperature=temperature), expected / expected.sum(), rtol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_top_k_is_the_likeliest_set_of_k(seed: int) -> None:
    p = np.random.default_rng(seed).dirichlet(np.ones(V))
    for k in range(1, V + 3):
        best = max(combinations(range(V), min(k, V)), key=lambda chosen: p[list(chosen)].sum())
        expected = np.where(np.isin(np.arange(V), best), p, 0)
        assert np.allclose(distribution(np.log(p), top_k=k), expected / expected.sum(), rtol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_top_p_is_the_smallest_set_that_holds_the_share(seed: int) -> None:
    p = np.random.default_rng(seed).dirichlet(np.ones(V))
    for share in (1e-9, 0.3, 0.5, 0.77, 0.9, 1 - 1e-9):
        sets = [c for size in range(1, V + 1) for c in combinations(range(V), size) if p[list(c)].sum() >= share]
        best = min(sets, key=lambda chosen: (len(chosen), -p[list(chosen)].sum()))
        expected = np.where(np.isin(np.arange(V), best), p, 0)
        assert np.allclose(distribution(np.log(p), top_p=share), expected / expected.sum(), rtol=1e-12)
    assert np.allclose(distribution(np.log(p), top_p=1.0), p, rtol=1e-12)


def test_top_p_counts_within_top_k() -> None:
    # of the three likeliest, 0.31 0.24 0.23, the first two hold 0.705 of the share; of all symbols only 0.55
    found = distribution(LOG_P, top_k=3, top_p=0.7)
    assert set(np.flatnonzero(found)) == {1, 6}
    assert np.allclose(found[[1, 6]], np.array([0.31, 0.24]) / 0.55)


@pytest.mark.parametrize("temperature", [5e-324, 1e-320, 1e-300, 1e300])
def test_every_temperature_gives_a_distribution(temperature: float) -> None:
    for log_p in (LOG_P, np.array([-np.inf, -1e-9, -745.0]), np.array([-3.0, -3.0])):
        p = distribution(log_p, temperature=temperature, top_p=0.5)
        assert np.isfinite(p).all() and p.sum() == pytest.approx(1)
        if temperature < 1:
            likeliest = np.flatnonzero(log_p == log_p.max())[:1]
            assert np.flatnonzero(p).tolist() == likeliest.tolist()


def test_the_smallest_share_keeps_one_symbol() -> None:
    for size in (3, 7, 49):
        assert np.flatnonzero(distribution(np.full(size, -np.log(size)), top_p=1e-17)).tolist() == [0]


def test_equals_are_cut_in_their_order() -> None:
    assert np.flatnonzero(distribution(np.zeros(V), top_k=3)).tolist() == [0, 1, 2]


def test_temperature_zero_takes_the_likeliest_and_the_first_of_equals() -> None:
    assert sample(constant, None, [0], 4, temperature=0, top_k=5, top_p=0.5).tolist() == [1] * 4
    assert sample(lambda s, t: (np.array([-2.0, -1, -1]), s), None, [0], 2, temperature=0).tolist() == [1, 1]


def test_prompt_is_read_first_and_every_symbol_drawn_is_read_in_turn() -> None:
    seen = []

    def step(state: int, token: int) -> tuple[Any, int]:
        seen.append((state, token))
        return successor(state, token)

    drawn = sample(step, 1, np.array([2, 5, 3]), 4, temperature=0)
    assert drawn.dtype == np.int64
    assert drawn.tolist() == [6, 3, 1, 0]
    assert seen == [(1, 2), (2, 5), (3, 3), (4, 6), (5, 3), (6, 1)]


def test_nothing_to_draw() -> None:
    assert sample(constant, None, [1], 0).shape == (0,)


def test_a_seed_decides_the_symbols_and_no_other_generator_is_touched() -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = sample(constant, None, [0], 50, seed=7)
    torch.manual_seed(99)
    torch.set_rng_state(before[0])
    assert np.array_equal(first, sample(constant, None, [0], 50, seed=7))
    assert not np.array_equal(first, sample(constant, None, [0], 50, seed=8))
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("dtype", [None, torch.float64, torch.float32])
def test_arrays_and_tensors_give_the_same(batched: bool, dtype: torch.dtype | None) -> None:
    log_p: Any = LOG_P if dtype is None else torch.tensor(LOG_P, dtype=dtype, requires_grad=True)
    if batched:
        log_p = log_p[None]
    found = sample(lambda s, t: (log_p, s), None, [0], 40, top_k=5, seed=1)
    assert np.array_equal(found, sample(constant, None, [0], 40, top_k=5, seed=1))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": -0.5}, r"temperature = -0.5, expected 0 \(always the most likely symbol\) or more"),
        ({"temperature": float("nan")}, r"temperature = nan, expected"),
        ({"temperature": float("inf")}, r"temperature = inf, expected"),
        ({"top_k": 0}, r"top_k = 0, expected 1 or more symbols to choose from"),
        ({"top_p": 0.0}, r"top_p = 0.0, expected a share above 0 and up to 1"),
        ({"top_p": 1.01}, r"top_p = 1.01, expected a share"),
        ({"length": -1}, r"length = -1, expected 0 or more symbols to draw"),
        ({"seed": -1}, r"seed = -1, expected a whole number from 0 to 2⁶³ − 2\."),
        ({"seed": 10**400}, r"seed = 1000.*, expected a whole number from 0"),
        ({"seed": 1.5}, r"seed = 1\.5, expected a whole number"),
        ({"prompt": []}, r"the prompt has no symbol, expected one or more. `prompt_ids` gives one"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        sample(constant, None, **{"prompt": [0], "length": 1, **settings})


@pytest.mark.parametrize("log_p", [np.full(V, np.nan), np.full(V, -np.inf), np.array([0.0, np.inf])])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_broken_distribution_is_refused(log_p: Any, temperature: float) -> None:
    def step(state: int, token: int) -> tuple[Any, int]:
        return (LOG_P if state < 2 else log_p), state + 1

    with pytest.raises(RecurraError, match=f"after 2 symbols drawn {NONE if log_p.max() == -np.inf else FINITE}"):
        sample(step, 0, [0], 5, temperature=temperature)


def test_a_batch_of_distributions_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"log-probabilities of shape \[2, 7\], expected \[V\] or \[1, V\]"):
        sample(lambda s, t: (np.stack([LOG_P] * 2), s), None, [0], 1)


def test_without_a_prompt_a_line_begins() -> None:
    lines = Character().fit(["ab\nba\n"])
    assert prompt_ids(lines, "ba").tolist() == lines.encode("ba").tolist()
    assert prompt_ids(lines, "").tolist() == lines.encode("\n").tolist()
    assert lines.decode(prompt_ids(Character().fit(["ba"]), "")) != "\ufffd"
    assert Character().fit(["ba"]).decode(prompt_ids(Character().fit(["ba"]), "")) == "a"
    assert prompt_ids(Byte(), "").tolist() == [10]
    words = Word().fit(["the cat\nthe dog\n"])
    assert words.decode(prompt_ids(words, " ")) == "\n"
    assert prompt_ids(words, "the cat").tolist() == words.encode("the cat").tolist()
