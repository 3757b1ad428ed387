"""The n-gram model that fills blanks: from the left as any, and from both sides by all n-grams that hold the blank."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from recurra.baselines.row import Row, check_fields
from recurra.decoding.ngram import Floats, Ids, Table, check, follow, level_of
from recurra.errors import DataError
from recurra.progress import steps
from recurra.registry import part
from recurra.types import Example

Some = tuple[Ids, Ids]
"""Symbols that may stand in a blank, and the place in its table of the n-gram that each makes with its neighbours."""

FEW = 5
"""Of the likeliest: how often a symbol is among them is counted, too."""


@part("baseline", "blank-ngrams")
class BlankNgrams:
    """Kneser–Ney n-grams of sentences, of which the left side, or both sides, of a blank are known.

    With w in the blank, l₁ l₂ … to the left of it and r₁ r₂ … to the right, the nearest first, and order n,

        left only:   p(w | l)
        both sides:  p(w | l, r) ∝ p(w | l_{n−1} … l₁) · Π_{j=1}^{n−1} p(r_j | … l₁ w r₁ … r_{j−1}),

    every p that of an interpolated `NgramModel` of order n; the second is what the model says of w given
    all the rest of the sentence, exact, over the whole vocabulary. A mark before each sentence and behind it is a
    symbol of the n-grams, never an answer. n-grams do not go from one sentence to the next; those that begin with the
    mark count as often as they occur at all orders, since nothing stands before them.

    Raises ConfigError for an order below 1 or unknown discounts; `rows` DataError for no symbol to learn from, and for
    an example without tokens.
    Sources: those of `NgramModel`.
    """

    of_tokens: ClassVar[bool] = True

    def __init__(self, order: int = 5, discounts: Literal["one", "three"] = "three") -> None:
        check(order, discounts)
        self.order = order
        self.discounts: Literal["one", "three"] = discounts

    def rows(self, train: Sequence[Example], test: Sequence[Example], codecs: Mapping[str, Any]) -> Iterator[Row]:
        """Fit on the "tokens" of sentences and guess every one of others: its log-probability, and, as `sums`, how
        often it is the likeliest ("top1"), and how often among the first few ("top5")."""
        for name, side in (("training", train), ("test", test)):
            check_fields("blank-ngrams", name, side, "tokens")
        vocabulary = codecs["input"]
        learnt, asked = ([vocabulary.encode(e["tokens"]) for e in side] for side in (train, test))
        return self._rows(learnt, asked, len(vocabulary))

    def _rows(self, train: Sequence[Ids], test: Sequence[Ids], vocabulary_size: int) -> Iterator[Row]:
        model = self.fit(train, vocabulary_size)
        guesses: dict[str, list[Any]] = {"left only": [], "both sides": []}
        for sentence in steps(test, "filling by n-grams", "sentences"):
            found = [
                tuple(_guess(p, symbol) for p in pair)
                for pair, symbol in zip(model.fill(sentence), sentence, strict=True)
            ]
            for k, each in enumerate(guesses.values()):
                each += [pair[k] for pair in found]
        for name, pairs in guesses.items():
            ranks, log_p = np.array(pairs, np.float64).reshape(-1, 2).T
            sums = {"nats": -float(log_p.sum()), **{f"top{k}": float((ranks < k).sum()) for k in (1, FEW)}}
            yield Row(f"Kneser–Ney, order {self.order}, {name}", model.size, "n-grams", log_p=log_p, sums=sums)

    def fit(self, sentences: Sequence[Ids], vocabulary_size: int) -> SentenceNgrams:
        """Count the n-grams of sentences."""
        return SentenceNgrams(sentences, vocabulary_size, self.order, self.discounts)


class SentenceNgrams:
    """Interpolated Kneser–Ney n-grams that begin and end with a sentence; see `BlankNgrams`."""

    def __init__(self, sentences: Sequence[Ids], vocabulary_size: int, order: int, discounts: str = "three") -> None:
        self.order, self.mark = order, vocabulary_size
        kept = [np.asarray(sentence, np.int64) for sentence in sentences if len(sentence)]
        if not kept:
            raise DataError("blank-ngrams: no symbol in the training sentences, expected at least 1.")
        self.tables = _count(self._marked(kept), self.mark, order)
        self.levels = [level_of(table, discounts) for table in self.tables]
        self._starts = [
            np.searchsorted(level.keys, np.arange(len(level.weight) + 1) * level.V) for level in self.levels
        ]
        seconds = self.tables[1].keys % (self.mark + 1) if order > 1 else np.zeros(0, np.int64)
        self._by_second = np.argsort(seconds, kind="stable")
        self._ends = np.searchsorted(seconds[self._by_second], np.arange(self.mark + 2))

    @property
    def size(self) -> int:
        """Number of distinct n-grams of all orders."""
        return sum(len(table.keys) for table in self.tables)

    def fill(self, sentence: Ids) -> Iterator[tuple[Floats, Floats]]:
        """Probabilities of all symbols at each place of a sentence, from the left and from both sides, [V] each."""
        text = self._marked([np.asarray(sentence, np.int64)])
        places = [(context, gram) for _, context, gram in follow(text, self.levels, self.mark + 1)]
        single = [np.full(len(text), 1 / (self.mark + 1))]
        for level, (context, gram) in zip(self.levels, places, strict=True):
            single.append(level.mix(single[-1], context[:-1], gram))  # p_n of each symbol itself
        for t in range(1, len(text) - 1):
            contexts = [int(context[t]) for context, _ in places]
            p = self._left(contexts)
            right = self._right(text[t + 1 : t + self.order], contexts, [of[t + 1 : t + self.order] for of in single])
            left, both = p[:-1], (p * right)[:-1]
            yield left / left.sum(), both / both.sum()

    def _marked(self, sentences: Sequence[Ids]) -> Ids:
        """Sentences as one text with a mark before each, and behind the last."""
        pieces = [piece for sentence in sentences for piece in ([self.mark], sentence)]
        return np.concatenate([*pieces, [self.mark]]).astype(np.int64)

    def _left(self, contexts: Sequence[int]) -> Floats:
        """p(w | l) of all symbols; `contexts`: the places of (), (l₁), (l₂ l₁) …, −1 for those never seen."""
        p = np.full(self.mark + 1, 1 / (self.mark + 1))
        for a, (level, context) in enumerate(zip(self.levels, contexts, strict=True)):
            if context >= 0:
                symbols, places = self._begun(a, context)
                p *= level.weight[context]
                p[symbols] += level.share[places]
        return p

    def _right(self, right: Ids, contexts: Sequence[int], single: Sequence[Floats]) -> Floats:
        """Π_j p(r_j | … l₁ w r₁ … r_{j−1}) for all w. `single[n]`: p_n of each r by n − 1 symbols before it."""
        product = np.ones(self.mark + 1)
        chains: list[Some] = [self._begun(a, contexts[a]) for a in range(self.order - 1)]
        for j, symbol in enumerate(right.tolist(), 1):
            p = np.full(self.mark + 1, single[j][j - 1])
            for a in range(self.order - j):  # the n-gram of a symbols to the left, w, r₁ … r_j; n = a + 1 + j
                level, (symbols, places) = self.levels[a + j], chains[a]
                p[symbols] *= level.weight[places]
                chains[a] = self._extended(a, j, chains[a], symbol)
                symbols, places = chains[a]
                p[symbols] += level.share[places]
            product *= p
        return product

    def _begun(self, a: int, context: int) -> Some:
        """All w seen behind a symbols to the left of it."""
        level = self.levels[a]
        if context < 0:
            return _NONE
        first, last = self._starts[a][context : context + 2].tolist()
        return level.keys[first:last] - context * level.V, np.arange(first, last)

    def _extended(self, a: int, j: int, chain: Some, symbol: int) -> Some:
        """Of those w, the ones that were seen with one symbol more behind them."""
        symbols, places = chain
        level = self.levels[a + j]
        if (a, j) == (0, 1):  # of all w there are those that have stood before the symbol: no need to ask each
            first, last = self._ends[symbol : symbol + 2].tolist()
            found = self._by_second[first:last]
            return self.levels[0].keys[level.keys[found] // level.V], found
        wanted = places * level.V + symbol
        found = np.searchsorted(level.keys, wanted)
        seen = found < len(level.keys)
        seen[seen] = level.keys[found[seen]] == wanted[seen]
        return symbols[seen], found[seen]


_NONE: Some = (np.zeros(0, np.int64), np.zeros(0, np.int64))


def _count(text: Ids, mark: int, order: int) -> list[Table]:
    """Counts for each order: the highest's of occurrences, of lower ones how many symbols stand before an n-gram."""
    V, occurrences, counted = mark + 1, list[Table](), list[Table]()
    ending = np.zeros(len(text), np.int64)  # the (n−1)-gram that ends before each place
    inside = np.ones(len(text), bool)  # whether the n-gram that ends there is of one sentence
    last = ending
    for n in steps(range(1, order + 1), "counting n-grams", "orders"):
        ends = np.flatnonzero(inside)
        keys, grams, counts = np.unique(ending[ends] * V + text[ends], return_inverse=True, return_counts=True)
        if n > 1:
            shorter = occurrences[-1]
            suffix = np.empty(len(keys), np.int64)  # [G] each n-gram without its first symbol
            suffix[grams] = last[ends]
            before = np.bincount(suffix, minlength=len(shorter.keys))
            if n > 2:
                marked = np.zeros(len(shorter.keys), bool)
                marked[last[_begin_with(mark, text, last, n - 1)]] = True
                before[marked] = shorter.counts[marked]
            counted.append(Table(shorter.keys, before, shorter.contexts, V))
        occurrences.append(Table(keys, counts, len(occurrences[-1].keys) if occurrences else 1, V))
        last = np.full(len(text), -1)
        last[ends] = grams
        ending = np.concatenate(([-1], last[:-1]))
        inside = (ending >= 0) & ((n == 1) | (np.concatenate(([mark], text[:-1])) != mark))
    return [*counted, occurrences[-1]]


def _begin_with(mark: int, text: Ids, grams: Ids, n: int) -> NDArray[np.int64]:
    """Where n-grams end that begin with the mark."""
    ends = np.flatnonzero(grams >= 0)
    return ends[text[ends - n + 1] == mark]


def _guess(p: Floats, symbol: int) -> tuple[int, float]:
    """How many symbols go before one, of equally likely ones those with a lower number; and its log-probability."""
    of_symbol = p[symbol]
    before = np.count_nonzero(p > of_symbol) + np.count_nonzero(p[:symbol] == of_symbol)
    return int(before), float(np.log(of_symbol))
