"""n-grams that fill blanks: against sums over plain counts, place by place and symbol by symbol."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from recurra.baselines.blank_ngrams import BlankNgrams, SentenceNgrams
from recurra.decoding.ngram import level_of
from recurra.errors import ConfigError, DataError

V = 6
MARK = V


def sentences(count: int, seed: int) -> list[np.ndarray]:
    draw = np.random.default_rng(seed)
    return [draw.choice(V - 1, draw.integers(1, 8), p=(0.4, 0.3, 0.15, 0.1, 0.05)) for _ in range(count)]


class Numbers:
    """A vocabulary of V symbols whose tokens are their numbers already."""

    def __len__(self) -> int:
        return V

    def encode(self, tokens: np.ndarray) -> np.ndarray:
        return tokens


class Plain:
    """The same model by dictionaries: p_n(w | h) one at a time."""

    def __init__(self, train: list[np.ndarray], order: int) -> None:
        self.order = order
        marked = [(MARK, *map(int, sentence), MARK) for sentence in train]
        grams = [Counter[tuple[int, ...]]() for _ in range(order + 1)]
        for n in range(1, order + 1):
            for k, text in enumerate(marked):
                # a mark ends one sentence and begins the next, so all but the first are counted as ends
                begin = 1 if n == 1 and k else 0
                grams[n].update(text[i : i + n] for i in range(begin, len(text) - n + 1))
        self.counts = []
        for n in range(1, order + 1):
            counted = grams[n]
            if n < order:
                counted = Counter(gram[1:] for gram in grams[n + 1])
                counted.update({g: c for g, c in grams[n].items() if n > 1 and g[0] == MARK})
            self.counts.append(counted)

    def p(self, symbol: int, history: tuple[int, ...], model: SentenceNgrams) -> float:
        p = 1 / (V + 1)
        for n, counts in enumerate(self.counts, 1):
            context = history[len(history) - n + 1 :] if n > 1 else ()
            if n - 1 > len(history):
                break
            total = sum(c for gram, c in counts.items() if gram[:-1] == context)
            if not total:
                continue
            D = discounts(model, n)
            gamma = sum(D[min(c, 3)] for gram, c in counts.items() if gram[:-1] == context) / total
            c = counts.get((*context, symbol), 0)
            p = (c - D[min(c, 3)]) / total + gamma * p
        return p


def discounts(model: SentenceNgrams, n: int) -> list[float]:
    """D(0) … D(3) of one order, read off a level: share = (c − D) / total."""
    table, level = model.tables[n - 1], level_of(model.tables[n - 1], "three")
    total = np.bincount(table.keys // table.V, table.counts, table.contexts)
    D = table.counts - level.share * total[table.keys // table.V]
    of_count = [D[np.minimum(table.counts, 3) == k] for k in (1, 2, 3)]
    return [0.0, *(float(found[0]) if len(found) else 0.0 for found in of_count)]


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_both_sides_are_the_models_share_of_whole_sentences(order: int) -> None:
    train = sentences(30, 0)
    model, plain = SentenceNgrams(train, V, order), Plain(train, order)
    for sentence in [*sentences(4, 1), np.array([V - 1]), np.array([V - 1, 0, V - 1])]:  # with a symbol never seen
        for t, (left, both) in enumerate(model.fill(sentence)):
            history = (MARK, *map(int, sentence[:t]))
            of_left = np.array([plain.p(w, history, model) for w in range(V)])
            assert left == pytest.approx(of_left / of_left.sum(), rel=1e-9)
            whole = np.ones(V)
            for w in range(V):
                text = (MARK, *map(int, sentence[:t]), w, *map(int, sentence[t + 1 :]), MARK)
                for i in range(1, len(text)):
                    whole[w] *= plain.p(text[i], text[max(0, i - order + 1) : i], model)
            assert both == pytest.approx(whole / whole.sum(), rel=1e-9)


def test_rows_rank_the_symbol_that_stands_there() -> None:
    train, test = sentences(30, 0), [*sentences(3, 1), np.zeros(0, np.int64)]
    learnt, asked = ([{"tokens": sentence} for sentence in side] for side in (train, test))
    left, both = BlankNgrams(order=3).rows(learnt, asked, {"input": Numbers()})
    assert (left.name, both.name) == ("Kneser–Ney, order 3, left only", "Kneser–Ney, order 3, both sides")
    model = BlankNgrams(order=3).fit(train, V)
    assert left.size == both.size == model.size and left.unit == "n-grams"
    for k, row in enumerate((left, both)):
        ranks, log_p = [], []
        for sentence in test:
            for symbol, p in zip(sentence, model.fill(sentence), strict=True):
                ranks.append(sorted(range(V), key=lambda w: (-p[k][w], w)).index(symbol))
                log_p.append(np.log(p[k][symbol]))
        assert row.log_p == pytest.approx(np.array(log_p))
        sums = {"nats": -sum(log_p), "top1": sum(r < 1 for r in ranks), "top5": sum(r < 5 for r in ranks)}
        assert row.sums == pytest.approx(sums) and 0 < sums["top1"] < len(ranks)


def test_a_mark_at_the_end_tells_what_comes_last() -> None:
    model = SentenceNgrams([np.array([0, 1, 2])] * 9 + [np.array([0, 2, 1])], 3, 2)
    *_, (_, last) = model.fill(np.array([0, 1, 1]))
    assert last.argmax() == 2


def test_wrong_settings_and_nothing_to_learn_from() -> None:
    with pytest.raises(ConfigError, match=r"order = 0: an n-gram model needs order 1 or higher"):
        BlankNgrams(order=0)
    with pytest.raises(ConfigError, match=r"discounts = 'tree'.*Expected 'one' or 'three'"):
        BlankNgrams(discounts="tree")  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"blank-ngrams: no symbol in the training sentences, expected at least 1"):
        BlankNgrams().fit([np.zeros(0, np.int64)], V)
    with pytest.raises(
        DataError, match=r"a.txt:3: the baseline 'blank-ngrams' expected 'tokens', the example has text"
    ):
        BlankNgrams().rows([{"text": "x", "place": "a.txt:3"}], [], {"input": Numbers()})
