"""The interpolated Kneser–Ney n-gram model: how likely a symbol is behind those before it, by counts alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from recurra.decoding.arrays import Floats, Ids
from recurra.errors import ConfigError, DataError, did_you_mean

State = tuple[int, ...]

FALLBACK = (0.5, 1.0, 1.5)
"""D(1), D(2), D(≥ 3) where the counts of counts give none: the middle of what each may be, 0 to k."""


class NgramModel:
    """Interpolated Kneser–Ney n-gram model over symbol ids.

    With h = w₁…w_{n−1} the last symbols, h′ = w₂…w_{n−1} and c(h·) = Σ_w c(hw),

        p_n(w | h) = (c(hw) − D(c(hw))) / c(h·) + γ(h) · p_{n−1}(w | h′),    γ(h) = Σ_w D(c(hw)) / c(h·),
        p_n(w | h) = p_{n−1}(w | h′)  where c(h·) = 0,    p_0(w) = 1 / V,

    so that every distribution sums to 1 and no symbol has probability 0. At the highest order c counts occurrences.
    Below it c(g) counts the distinct symbols met in front of g, the start of the text being one of them. Each order has
    its own discounts, from its number n_k of n-grams of count k; with Y = n₁ / (n₁ + 2 n₂) and D(0) = 0,

        "one":    D(c) = Y                                                                    (Kneser & Ney)
        "three":  D(1) = 1 − 2 Y n₂/n₁,   D(2) = 2 − 3 Y n₃/n₂,   D(c ≥ 3) = 3 − 4 Y n₄/n₃    (modified, Chen & Goodman)

    Where an n_k in a denominator is 0 or a D(k) lies outside (0, k], that order takes 0.5, 1 and 1.5, with "one" 0.5. A
    text is one continuous stream: no padding; at its beginning the contexts are shorter.

    Raises ConfigError for an order below 1 or an unknown kind of discounts.
    Sources: Kneser & Ney 1995, Improved backing-off for m-gram language modeling; Chen & Goodman 1998, An empirical
    study of smoothing techniques for language modeling, TR-10-98; the uniform p_0 under the unigrams as in KenLM.
    """

    def __init__(self, order: int = 5, discounts: Literal["one", "three"] = "three") -> None:
        check(order, discounts)
        self.order = order
        self.discounts: Literal["one", "three"] = discounts
        self.vocabulary_size = 0
        self._levels: list[Level] = []

    def fit(self, ids: ArrayLike, vocabulary_size: int) -> Self:
        """Count the n-grams of a text, ids [T] in 0 … vocabulary_size − 1.

        Raises DataError for a text that is empty, not one row of integers, or has an id outside the vocabulary.
        """
        text = checked_symbols(ids, vocabulary_size, "training text")
        continuations: list[Table] = []
        *_, highest = occurrences(text, vocabulary_size, self.order, continuations)
        self._levels = [level_of(table, self.discounts) for table in (*continuations, highest)]
        self.vocabulary_size = vocabulary_size
        return self

    @property
    def size(self) -> dict[int, int]:
        """Number of distinct n-grams the model holds, by order."""
        return {n: len(level.keys) for n, level in enumerate(self._fitted(), 1)}

    def log_probabilities(self, ids: ArrayLike) -> Floats:
        """Natural logarithm of p(ids[t] | ids[:t]) for t = 1 … T − 1. Shape: [T] → [T − 1].

        Raises DataError as `fit` does.
        """
        levels = self._fitted()
        text = checked_symbols(ids, self.vocabulary_size, "text to score")
        p = np.full(len(text) - 1, 1.0 / self.vocabulary_size)
        for level, context, gram in follow(text, levels, self.vocabulary_size):
            p = level.mix(p, context[1:-1], gram[1:])
        return np.log(p)

    def initial_state(self) -> State:
        """The state before any symbol."""
        return ()

    def step(self, state: State, token: Any) -> tuple[Floats, State]:
        """Read a symbol; give natural log-probabilities of the next [V], and the new state: the last order − 1 symbols.

        Raises DataError for a symbol outside the vocabulary.
        """
        levels, V = self._fitted(), self.vocabulary_size
        checked_symbols([int(token)], V, "token")
        history = (*state, int(token))
        history = history[max(0, len(history) - self.order + 1) :]
        p = np.full(V, 1.0 / V)
        for level, context, _ in follow(np.array(history, np.int64), levels, V):
            p = level.mix_all(p, int(context[-1]))
        return np.log(p), history

    def _fitted(self) -> list[Level]:
        if not self._levels:
            raise DataError("this n-gram model holds no counts yet: call fit(ids, vocabulary_size) on a training text.")
        return self._levels


@dataclass(frozen=True)
class Table:
    """Counts of the G distinct n-grams of one order. A context is an (n−1)-gram: its place in its own table."""

    keys: Ids  # [G] context · V + symbol, ascending
    counts: Ids  # [G]
    contexts: int  # number of (n−1)-grams
    V: int


@dataclass(frozen=True)
class Level:
    """One order of the interpolation, ready to look up."""

    keys: Ids  # [G]
    share: Floats  # [G] (c(hw) − D(c(hw))) / c(h·)
    weight: Floats  # [contexts] γ(h)
    V: int

    def mix(self, p: Floats, context: Ids, gram: Ids) -> Floats:
        """p_n of some symbols from their p_{n−1}, by places of context and n-gram (−1: never seen). Each [N]."""
        p = p.copy()
        known, seen = context >= 0, gram >= 0
        p[known] *= self.weight[context[known]]
        p[seen] += self.share[gram[seen]]
        return p

    def mix_all(self, p: Floats, context: int) -> Floats:
        """p_n of the whole vocabulary in one context, from p_{n−1} [V]."""
        if context < 0:
            return p
        first, last = np.searchsorted(self.keys, (context * self.V, (context + 1) * self.V))
        p = self.weight[context] * p
        p[self.keys[first:last] - context * self.V] += self.share[first:last]
        return p


def occurrences(text: Ids, V: int, order: int, continuations: list[Table]) -> Iterator[Table]:
    """How often the n-grams of each order occur, one after the other. As soon as those of the next are counted,
    `continuations` has a table more: how many symbols stand before those of the one before."""
    shorter: Table | None = None
    ending = np.zeros(len(text) + 1, np.int64)  # the (n−1)-gram ending at each position where one does
    for n in range(1, order + 1):
        keys, grams, counts = np.unique(ending[:-1] * V + text[n - 1 :], return_inverse=True, return_counts=True)
        if shorter is not None:
            suffix = np.empty(len(keys), np.int64)  # [G] each n-gram without its first symbol
            suffix[grams] = ending[1:]
            neighbours = np.bincount(suffix, minlength=len(shorter.keys))
            neighbours[ending[:1]] += 1  # the start of the text stands before its first (n−1)-gram
            continuations.append(Table(shorter.keys, neighbours, shorter.contexts, V))
        shorter = Table(keys, counts, 1 if shorter is None else len(shorter.keys), V)
        ending = grams
        yield shorter


def level_of(table: Table, discounts: str) -> Level:
    D = _discounts(table.counts, discounts)[np.minimum(table.counts, 3)]  # [G]
    context = table.keys // table.V
    total = np.bincount(context, table.counts, table.contexts)
    left = np.bincount(context, D, table.contexts)
    weight = np.divide(left, total, out=np.ones(table.contexts), where=total > 0)
    return Level(table.keys, (table.counts - D) / total[context], weight, table.V)


def _discounts(counts: Ids, kind: str) -> Floats:
    """D(0), D(1), D(2), D(≥ 3) of one order, shape [4]."""
    n = [float(np.count_nonzero(counts == k)) for k in range(5)]
    k = np.array([1.0, 2.0, 3.0])
    D = np.zeros(3)
    if kind == "one" and n[1]:
        D, k = np.full(3, n[1] / (n[1] + 2 * n[2])), np.ones(3)
    elif kind == "three" and n[1] and n[2] and n[3]:
        D = k - (k + 1) * n[1] / (n[1] + 2 * n[2]) * np.array([n[2] / n[1], n[3] / n[2], n[4] / n[3]])
    if not np.all((D > 0) & (k >= D)):
        D = np.full(3, FALLBACK[0]) if kind == "one" else np.array(FALLBACK)
    return np.array([0.0, *D])


_Keyed = TypeVar("_Keyed", Table, Level)


def follow(text: Ids, orders: Iterable[_Keyed], V: int) -> Iterator[tuple[_Keyed, Ids, Ids]]:
    """Each order n, with two sorts of places in the tables (−1: never seen): of the (n−1)-gram before every symbol and
    before the one to come [T + 1], and of the n-gram that ends with every symbol [T]."""
    context = np.zeros(len(text) + 1, np.int64)
    for order in orders:
        wanted = context[:-1] * V + text  # negative after an unseen context, so never found
        place = np.searchsorted(order.keys, wanted)
        found = place < len(order.keys)
        found[found] = order.keys[place[found]] == wanted[found]
        gram = np.where(found, place, -1)
        yield order, context, gram
        context = np.concatenate(([-1], gram))


def check(order: int, discounts: str) -> None:
    if order < 1:
        raise ConfigError(f"order = {order}: an n-gram model needs order 1 or higher; 5 is usual for words.")
    if discounts not in ("one", "three"):
        hint = did_you_mean(str(discounts), ("one", "three"))
        raise ConfigError(f"discounts = {discounts!r}{hint} Expected 'one' or 'three'.")


def checked_symbols(ids: ArrayLike, V: int, what: str) -> Ids:
    text = np.asarray(ids)
    if text.ndim != 1 or (len(text) and text.dtype.kind not in "iu"):
        raise DataError(
            f"{what}: expected one row of integer symbol ids, came {text.dtype} of shape {text.shape}. "
            "Encode the text with its vocabulary first."
        )
    if not len(text):
        raise DataError(f"{what}: no symbols, expected at least 1. Is the file empty?")
    outside = np.flatnonzero((text < 0) | (text >= V))
    if len(outside):
        raise DataError(
            f"{what}: id {text[outside[0]]} at position {outside[0]} is outside the vocabulary's 0 … {V - 1}. "
            "Was the text encoded with another vocabulary?"
        )
    return text.astype(np.int64)
