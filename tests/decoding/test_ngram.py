"""Kneser–Ney against the same formulas on dictionaries."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from recurra.decoding.ngram import NgramModel
from recurra.errors import ConfigError, DataError


class Naive:
    """Interpolated Kneser–Ney on dictionaries of tuples, one n-gram after the other: the oracle."""

    def __init__(self, text: list[int], V: int, order: int, kind: str) -> None:
        self.V, self.order = V, order
        grams = {n: [tuple(text[i : i + n]) for i in range(len(text) - n + 1)] for n in range(1, order + 1)}
        self.counts = {order: Counter(grams[order])}
        for n in range(1, order):
            before = {(None, *grams[n][0]), *grams[n + 1]} if grams[n] else set()
            self.counts[n] = Counter(gram[1:] for gram in before)
        self.discounts = {n: self.discount(counts, kind) for n, counts in self.counts.items()}

    @staticmethod
    def discount(counts: Counter, kind: str) -> list[float]:
        n = Counter(counts.values())
        if kind == "one":
            if n[1] == 0:
                return [0, 0.5, 0.5, 0.5]
            return [0.0] + 3 * [n[1] / (n[1] + 2 * n[2])]
        if n[1] and n[2] and n[3]:
            Y = n[1] / (n[1] + 2 * n[2])
            D = [0.0] + [k - (k + 1) * Y * n[k + 1] / n[k] for k in (1, 2, 3)]
            if all(0 < D[k] <= k for k in (1, 2, 3)):
                return D
        return [0, 0.5, 1.0, 1.5]

    def p(self, word: int, history: tuple[int, ...], n: int | None = None) -> float:
        n = min(self.order, len(history) + 1) if n is None else n
        if n == 0:
            return 1 / self.V
        history = history[len(history) - n + 1 :]
        below = self.p(word, history[1:], n - 1)
        D = self.discounts[n]
        of_context = {gram: c for gram, c in self.counts[n].items() if gram[:-1] == history}
        total = sum(of_context.values())
        if total == 0:
            return below
        c = of_context.get((*history, word), 0)
        gamma = sum(D[min(c, 3)] for c in of_context.values()) / total
        return (c - D[min(c, 3)]) / total + gamma * below


def zipf(rng: np.random.Generator, V: int, T: int) -> np.ndarray:
    """Random text with common and rare symbols and some memory, so that all counts of counts occur."""
    p = 1 / np.arange(1, V + 1)
    drawn = rng.choice(V, size=T, p=p / p.sum())
    again = rng.random(T) < 0.4
    again[0] = False
    drawn[again] = (drawn[np.flatnonzero(again) - 1] * 3 + 1) % V
    return drawn


@pytest.mark.parametrize("kind", ["one", "three"])
@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_equals_dictionaries(order, kind):
    rng = np.random.default_rng(7)
    V = 12
    train, test = zipf(rng, V - 2, 1000), rng.integers(0, V, 80)  # two symbols are never seen in training
    model, naive = NgramModel(order, kind).fit(train, V), Naive(train.tolist(), V, order, kind)
    estimated = {n for n, D in naive.discounts.items() if D[1:] not in ([0.5, 1.0, 1.5], [0.5, 0.5, 0.5])}
    assert estimated == set(range(2, order + 1))  # counts of counts serve every order but the unigrams
    expected = [math.log(naive.p(test[t], tuple(test[:t].tolist()))) for t in range(1, len(test))]
    np.testing.assert_allclose(model.log_probabilities(test), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["one", "three"])
@pytest.mark.parametrize("text", [[2], [2, 2], [0, 1], [0, 1, 2], [1] * 30, [0, 1] * 20, [0, 0, 1, 1, 2, 2] * 3])
def test_short_and_repetitive_texts(text, kind):
    """Shorter than the order, one distinct symbol, no n-gram seen once: what the counts of counts cannot answer."""
    V = 4
    test = np.array([2, 0, 1, 0, 1, 2, 2, 3, 3, 1, 1, 1, 1, 1, 1])
    for order in (1, 2, 4, 6):
        model, naive = NgramModel(order, kind).fit(text, V), Naive(text, V, order, kind)
        expected = [math.log(naive.p(test[t], tuple(test[:t].tolist()))) for t in range(1, len(test))]
        np.testing.assert_allclose(model.log_probabilities(test), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["one", "three"])
@pytest.mark.parametrize("order", [1, 2, 4])
def test_steps_equal_the_whole(order, kind):
    rng = np.random.default_rng(order + 10)
    V = 9
    test = rng.integers(0, V, 120)
    model = NgramModel(order, kind).fit(zipf(rng, V - 1, 400), V)
    state, stepped = model.initial_state(), []
    for token, following in pairwise(test):
        log_p, state = model.step(state, token)
        assert log_p.shape == (V,)
        assert len(state) <= order - 1
        stepped.append(log_p[following])
    np.testing.assert_array_equal(stepped, model.log_probabilities(test))


@pytest.mark.parametrize("kind", ["one", "three"])
def test_distributions_sum_to_one(kind):
    rng = np.random.default_rng(3)
    V, order = 40, 4
    train = zipf(rng, V - 5, 2000)
    model = NgramModel(order, kind).fit(train, V)
    for history in (
        train[50:53],
        train[-3:],
        rng.integers(0, V, 3),
        [V - 1, V - 2, V - 3],
        [V - 1, train[0], train[1]],
    ):
        state = model.initial_state()
        for token in history:
            log_p, state = model.step(state, token)
            assert np.isfinite(log_p).all()
            assert abs(np.exp(log_p).sum() - 1) < 1e-14 * V


def test_one_symbol_is_certain():
    model = NgramModel(3).fit([0, 0, 0, 0], vocabulary_size=1)
    np.testing.assert_allclose(model.log_probabilities([0, 0, 0]), 0, atol=1e-15)


def test_a_text_of_one_symbol_has_nothing_to_score():
    assert NgramModel(2).fit([0, 1], 2).log_probabilities([1]).shape == (0,)


def test_step_leaves_the_given_state_alone():
    model = NgramModel(3).fit([0, 1, 2, 0, 1, 2, 0], 3)
    _, state = model.step(model.initial_state(), 0)
    first, _ = model.step(state, 1)
    model.step(state, 2)
    again, _ = model.step(state, 1)
    np.testing.assert_array_equal(first, again)


def test_size_counts_distinct_ngrams():
    text = zipf(np.random.default_rng(4), 20, 500)
    sizes = {n: len({tuple(text[i : i + n]) for i in range(len(text) - n + 1)}) for n in range(1, 6)}
    assert NgramModel(5).fit(text, 20).size == sizes


def test_wrong_settings():
    with pytest.raises(ConfigError, match="order = 0: an n-gram model needs order 1 or higher"):
        NgramModel(0)
    with pytest.raises(ConfigError, match="discounts = 'thre': did you mean 'three'"):
        NgramModel(2, "thre")


def test_wrong_texts():
    model = NgramModel(2)
    with pytest.raises(DataError, match="holds no counts yet: call fit"):
        model.log_probabilities([0, 1])
    with pytest.raises(DataError, match="training text: no symbols, expected at least 1"):
        model.fit([], 3)
    with pytest.raises(DataError, match=r"expected one row of integer symbol ids, came float64 of shape \(2,\)"):
        model.fit([0.0, 1.0], 3)
    with pytest.raises(DataError, match=r"came int64 of shape \(1, 2\)"):
        model.fit(np.zeros((1, 2), np.int64), 3)
    with pytest.raises(DataError, match="training text: id 3 at position 2 is outside the vocabulary's 0 … 2"):
        model.fit([0, 1, 3], 3)
    model.fit([0, 1, 2], 3)
    with pytest.raises(DataError, match="text to score: id -1 at position 1"):
        model.log_probabilities([0, -1])
    with pytest.raises(DataError, match="token: id 7"):
        model.step(model.initial_state(), 7)
