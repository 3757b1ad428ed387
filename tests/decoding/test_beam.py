"""Beam search: the best of all sequences where it is wide enough, and a plain beam's where it is not."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from recurra.decoding.beam import beam
from recurra.decoding.greedy import greedy
from recurra.decoding.hypothesis import Hypothesis
from recurra.errors import ConfigError, RecurraError

from .conftest import FINITE, NONE, Table, Translator, everything

PENALTIES = [0.0, 0.6, 1.0, 3.0]


def penalty(n: int, alpha: float) -> float:
    return ((5 + n) / 6) ** alpha


def unscored(h: Hypothesis) -> tuple[tuple[int, ...], float, bool]:
    return h.tokens, h.log_p, h.ended


def plain(
    model: Table,
    b: int,
    end: int,
    longest: int,
    size: int,
    alpha: float,
    no_repeat: int = 0,
    after: list[tuple[list[float], float]] | None = None,
) -> list[Hypothesis]:
    """One source, one hypothesis after the other, to the very end: nothing stops early.

    `after` gets, for every step, the scores of what has ended and the log p of the likeliest that lives."""
    live: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    ended, cut = [], []
    for read in range(longest + 1):
        longer, parents = [], set()
        for column, (tokens, log_p) in enumerate(live):
            follows = model.after(b, tokens).copy()
            for v in range(model.V):
                new = (*tokens, v)
                grams = [new[i : i + no_repeat] for i in range(len(new) - no_repeat + 1)]
                if no_repeat and v != end and grams and grams[-1] in grams[:-1]:
                    follows[v] = -np.inf
            if follows.max() == -np.inf:
                cut.append(Hypothesis(tokens, log_p, log_p / penalty(read, alpha), False))
                parents.add(column)
            longer += [(-(log_p + follows[v]), column, v) for v in range(model.V) if follows[v] > -np.inf]
        following = []
        for negative, column, v in sorted(longer)[: size - len(ended)]:
            if v == end:
                parents.add(column)
                ended.append(Hypothesis(live[column][0], -negative, -negative / penalty(read + 1, alpha), True))
            else:
                following.append(((*live[column][0], v), -negative))
        if read == longest:
            left = [one for column, one in enumerate(live) if column not in parents]
            cut += [Hypothesis(tokens, log_p, log_p / penalty(read, alpha), False) for tokens, log_p in left]
        live = following
        if after is not None:
            after.append(([h.score for h in ended], max((log_p for _, log_p in live), default=-np.inf)))
    return sorted(ended, key=lambda one: -one.score) + sorted(cut, key=lambda one: -one.score)


@pytest.mark.parametrize("alpha", PENALTIES)
@pytest.mark.parametrize(("V", "longest", "seed"), [(3, 4, 0), (4, 3, 1), (3, 5, 2), (5, 2, 3)])
def test_a_wide_beam_finds_the_best_of_all_sequences(alpha: float, V: int, longest: int, seed: int) -> None:
    model, B, end = Table(seed, V), 5, seed % V
    size = V ** (longest + 1)
    found = beam(model.step, *model.start(B), end=end, longest=longest, size=size, length_penalty=alpha, n_best=7)
    for b in range(B):
        each = everything(model, b, end, longest)
        each.sort(key=lambda one: -one.log_p / penalty(len(one.tokens) + 1, alpha))
        assert [h.tokens for h in found[b]] == [one.tokens for one in each[:7]]
        assert all(h.ended for h in found[b])
        assert np.allclose([h.log_p for h in found[b]], [one.log_p for one in each[:7]], rtol=1e-13)
        scores = [one.log_p / penalty(len(one.tokens) + 1, alpha) for one in each[:7]]
        assert np.allclose([h.score for h in found[b]], scores, rtol=1e-13)


@pytest.mark.parametrize("alpha", PENALTIES)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 12])
@pytest.mark.parametrize("grid", [0.0, 0.5])
def test_a_narrow_beam_is_a_plain_one_that_never_stops_early(alpha: float, size: int, grid: float) -> None:
    for seed, V, no_repeat in [(0, 4, 0), (1, 7, 0), (2, 5, 1), (3, 4, 2), (4, 3, 3)]:
        model, B, end = Table(seed, V, grid=grid), 9, V - 1
        longest = torch.tensor([1, 9, 3, 6, 2, 6, 8, 4, 5])
        for n_best in sorted({1, 2, size} - {2 if size == 1 else 0}):
            found = beam(
                model.step,
                *model.start(B),
                end=end,
                longest=longest,
                size=size,
                length_penalty=alpha,
                n_best=n_best,
                no_repeat=no_repeat,
            )
            for b in range(B):
                expected = plain(model, b, end, int(longest[b]), size, alpha, no_repeat)
                assert [unscored(h) for h in found[b]] == [unscored(h) for h in expected[:n_best]]
                scores = [h.score for h in expected[:n_best]]
                assert np.allclose([h.score for h in found[b]], scores, rtol=1e-14)


@pytest.mark.parametrize("alpha", PENALTIES)
def test_a_beam_of_one_is_greedy(alpha: float) -> None:
    for seed, grid in [(5, 0.0), (6, 0.5)]:
        model = Table(seed, 6, sharpness=1.0, grid=grid)
        longest = torch.arange(1, 41)
        found = beam(model.step, *model.start(40), end=2, longest=longest, size=1, length_penalty=alpha)
        expected = greedy(model.step, *model.start(40), end=2, longest=longest)
        assert [unscored(h) for (h,) in found] == [unscored(h) for h in expected]
        assert {h.ended for h in expected} == {True, False}


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("size", [1, 4])
def test_a_batch_is_its_sources_one_by_one(cell: str, size: int) -> None:
    torch.manual_seed(size)
    model, B, V = Translator(cell, 9), 6, 9
    memory, begin = torch.randn(4, B, 5).double() * 2, torch.full((B,), V - 1)
    longest = torch.tensor([7, 3, 12, 1, 9, 12])

    def search(rows: slice, n_best: int = size) -> list[list[Hypothesis]]:
        state = model.start(memory[:, rows])
        return beam(
            model.step, state, begin[rows], end=V - 1, longest=longest[rows], size=size, n_best=n_best, no_repeat=3
        )

    together = search(slice(None))
    for b in range(B):
        (alone,) = search(slice(b, b + 1))
        assert [h.tokens for h in alone] == [h.tokens for h in together[b]]
        assert np.allclose([h.score for h in alone], [h.score for h in together[b]], rtol=1e-12)
    assert [h[0].tokens for h in search(slice(None), 1)] == [h[0].tokens for h in together]


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_model_s_own_scores_of_what_was_found(cell: str) -> None:
    torch.manual_seed(1)
    model, B, V = Translator(cell, 4), 9, 4
    memory, begin = torch.randn(4, B, 5).double() * 2, torch.full((B,), V - 1)
    found = beam(model.step, model.start(memory), begin, end=V - 1, longest=8, size=6, n_best=6)
    assert len({len(h.tokens) for each in found for h in each}) > 3
    for b, each in enumerate(found):
        for h in each:
            state, total = model.start(memory[:, b : b + 1]), 0.0
            symbols = (V - 1, *h.tokens) + ((V - 1,) if h.ended else ())
            for token, following in pairwise(symbols):
                log_p, state = model.step(state, torch.tensor([token]))
                total += log_p[0, following].item()
            assert np.isclose(h.log_p, total, rtol=1e-12)
            assert np.isclose(h.score, total / penalty(len(symbols) - 1, 0.6), rtol=1e-12)


def test_shared_memory_and_plain_memory_give_the_same() -> None:
    found = []
    for shared in (True, False):
        torch.manual_seed(2)
        model = Translator("gru", 9, shared)
        memory, begin = torch.randn(4, 8, 5).double() * 2, torch.zeros(8, dtype=torch.int64)
        longest = torch.arange(2, 10)
        found.append(beam(model.step, model.start(memory), begin, end=8, longest=longest, size=4, n_best=4))
    assert found[0] == found[1]


def test_finished_sources_leave_the_batch_and_the_search_stops_with_the_last() -> None:
    model = Table(8, 5, sharpness=3.0)
    beam(model.step, *model.start(30), end=4, longest=200, size=3, length_penalty=0.0)
    assert model.rows[0] == 30  # what begins alike is read once
    assert 60 < max(model.rows) <= 90
    assert model.rows[1:] == sorted(model.rows[1:], reverse=True)
    assert len(model.rows) < 50


def test_without_a_penalty_the_search_stops_once_nothing_living_is_likelier() -> None:
    # the end mark, 0, has probability 0.6 at once: every longer sequence has at most 0.3
    log_p = torch.tensor([0.6, 0.3, 0.1]).double().log()
    reads = []

    def step(state: Any, token: Tensor) -> tuple[Tensor, Any]:
        reads.append(len(token))
        return log_p.expand(len(token), 3), state

    found = beam(step, None, torch.tensor([1, 1]), end=0, longest=50, size=3, length_penalty=0.0)
    assert [h.tokens for (h,) in found] == [(), ()]
    assert reads == [2]
    # with one, 51 symbols of probability 0.3 ** 50 · 0.6 might still score more than they do
    reads.clear()
    beam(step, None, torch.tensor([1, 1]), end=0, longest=50, size=3, length_penalty=1.0)
    assert len(reads) > 1


@pytest.mark.parametrize("alpha", PENALTIES)
@pytest.mark.parametrize("n_best", [1, 2, 4])
def test_stops_as_soon_as_nothing_living_can_come_among_the_best(alpha: float, n_best: int) -> None:
    longest = 30
    for seed in range(20):
        model, after = Table(seed, 5), []
        beam(model.step, *model.start(1), end=4, longest=longest, size=4, length_penalty=alpha, n_best=n_best)
        plain(model, 0, 4, longest, 4, alpha, after=after)
        could_stop = [
            len(scores) >= n_best and living / penalty(longest + 1, alpha) <= sorted(scores)[-n_best]
            for scores, living in after
        ]
        assert len(model.rows) == (*could_stop[:-1], True).index(True) + 1


def test_what_is_cut_is_counted_apart_and_comes_last() -> None:
    log_p = torch.tensor([1e-9, 0.9, 0.1 - 1e-9]).double().log()

    def step(state: Any, token: Tensor) -> tuple[Tensor, Any]:
        return log_p.expand(len(token), 3), state

    ((only,),) = beam(step, None, torch.tensor([1]), end=0, longest=2, size=2, length_penalty=0.0)
    assert (only.tokens, only.ended) == ((1, 1), False)
    assert np.isclose(only.log_p, 2 * np.log(0.9))
    (found,) = beam(step, None, torch.tensor([1]), end=0, longest=2, size=30, length_penalty=0.0, n_best=30)
    assert [h.tokens for h in found] == [(), (1,), (1, 1), (2,), (1, 2), (2, 1), (2, 2)]
    assert all(h.ended for h in found)


def test_of_equals_the_lower_symbol_comes_first() -> None:
    even = torch.full((6,), 1 / 6).double().log()

    def step(state: Any, token: Tensor) -> tuple[Tensor, Any]:
        return even.expand(len(token), 6), state

    (found,) = beam(step, None, torch.tensor([5]), end=5, longest=1, size=4, length_penalty=0.0, n_best=4)
    assert [(h.tokens, h.ended) for h in found] == [((0,), False), ((1,), False), ((2,), False), ((3,), False)]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_no_sequence_of_n_symbols_comes_twice(n: int) -> None:
    model = Table(9, 4, sharpness=0.5)
    found = beam(model.step, *model.start(12), end=3, longest=15, size=4, n_best=4, no_repeat=n, length_penalty=3.0)
    repeats = beam(model.step, *model.start(12), end=3, longest=15, size=4, n_best=4, length_penalty=3.0)

    def twice(tokens: tuple[int, ...]) -> bool:
        grams = [tokens[i : i + n] for i in range(len(tokens) - n + 1)]
        return len(grams) > len(set(grams))

    assert not any(twice(h.tokens) for each in found for h in each)
    assert any(twice(h.tokens) for each in repeats for h in each)


def test_what_no_symbol_may_follow_is_cut_where_it_stands() -> None:
    log_p = torch.tensor([-torch.inf, np.log(0.75), np.log(0.25)]).double()  # never an end

    def step(state: Any, token: Tensor) -> tuple[Tensor, Any]:
        return log_p.expand(len(token), 3), state

    (found,) = beam(step, None, torch.tensor([1]), end=0, longest=9, size=4, n_best=4, no_repeat=1)
    assert [(h.tokens, h.ended) for h in found] == [((1, 2), False), ((2, 1), False)]


def test_nothing_to_search() -> None:
    model = Table(0, 3)
    assert beam(model.step, *model.start(0), end=2, longest=3) == []
    assert not model.rows


def test_gradients_are_not_kept() -> None:
    weights = torch.randn(5, requires_grad=True)
    seen = []

    def step(state: Any, token: Tensor) -> tuple[Tensor, Any]:
        seen.append(torch.is_grad_enabled())
        return weights.log_softmax(-1).expand(len(token), 5), state

    beam(step, None, torch.tensor([0]), end=4, longest=3)
    greedy(step, None, torch.tensor([0]), end=4, longest=3)
    assert not any(seen)
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 0}, r"size = 0, expected a beam of 1 or more hypotheses\."),
        ({"length_penalty": -0.1}, r"length_penalty = -0.1, expected 0 \(none\) to 10\."),
        ({"length_penalty": float("nan")}, r"length_penalty = nan, expected 0"),
        ({"length_penalty": 10.5}, r"length_penalty = 10.5, expected 0 \(none\) to 10\."),
        ({"n_best": 6}, r"n_best = 6, expected 1 to 5 hypotheses: as many as the beam holds\."),
        ({"n_best": 0}, r"n_best = 0, expected 1 to 5 hypotheses"),
        ({"no_repeat": -1}, r"no_repeat = -1, expected 0 \(no rule\) or a length of 1 or more symbols\."),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    model = Table(0, 4)
    with pytest.raises(ConfigError, match=message):
        beam(model.step, *model.start(2), **{"end": 3, "longest": 4, **settings})
    assert not model.rows


@pytest.mark.parametrize("no_repeat", [0, 1])
@pytest.mark.parametrize("broken", [torch.nan, -torch.inf, torch.inf, "one nan"])
def test_a_broken_distribution_is_refused(broken: Any, no_repeat: int) -> None:
    good = torch.tensor([0.1, 0.5, 0.4]).log()
    bad = torch.tensor([0.0, torch.nan, -1.0]) if broken == "one nan" else torch.full((3,), broken)

    def step(state: Any, token: Tensor) -> tuple[Tensor, Any]:
        log_p = (good if state[0, 0] < 1 else bad).repeat(len(token), 1)
        log_p[: len(token) // 2] = good
        return log_p, state + 1

    with pytest.raises(RecurraError, match=f"after 1 symbols {NONE if broken == -torch.inf else FINITE}"):
        beam(step, torch.zeros(2, 1), torch.tensor([0, 0]), end=0, longest=5, size=2, no_repeat=no_repeat)


def test_scores_that_are_no_log_probabilities_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"gave a log-probability of 2.5, expected 0 or less. Is a log_softmax miss"):
        beam(lambda s, t: (torch.tensor([[1.0, 2.5]]), s), None, torch.tensor([0]), end=0, longest=5)


def test_rounding_above_zero_is_zero() -> None:
    log_p = torch.tensor([[1e-6, -14.0]])
    for found in (
        beam(lambda s, t: (log_p, s), None, torch.tensor([0]), end=1, longest=5, size=1)[0][0],
        greedy(lambda s, t: (log_p, s), None, torch.tensor([0]), end=1, longest=5)[0],
    ):
        assert (found.tokens, found.log_p) == ((0,) * 5, 0.0)
