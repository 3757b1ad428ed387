"""The plain transducers against counting by hand, and the table against IBM model 1 written out."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pytest

from recurra import registry
from recurra.baselines import translate
from recurra.baselines.translate import Copy, Frequent, Table, WordTable
from recurra.errors import ConfigError, DataError


def example(source: str, *targets: str) -> dict[str, Any]:
    return {"source": source, "target": targets[0]} if len(targets) == 1 else {"source": source, "targets": targets}


def said(row: Any) -> list[str]:
    return [prediction["target"] for prediction in row.predictions]


HOUSES = [
    example("the house", "das Haus"),
    example("the book", "das Buch"),
    example("a book", "ein Buch"),
    example("a house", "ein Haus"),
]


def test_copying() -> None:
    (row,) = registry.construct("baseline", {"kind": "copy"}).rows(HOUSES, [{"source": "a b"}, {"source": ""}])
    assert said(row) == ["a b", ""] and (row.name, row.size) == ("the source itself", 0)


def test_the_most_frequent_answer() -> None:
    train = [example("x", "no"), example("y", "yes", "no"), example("z", "yes"), example("w", "maybe")]
    (row,) = registry.construct("baseline", {"kind": "frequent"}).rows(train, [{"source": "a"}, {"source": "b"}])
    assert said(row) == ["no", "no"]  # as often as "yes"
    assert (row.size, row.unit, row.note) == (3, "answers", "2 of 5: no")


def test_a_table_of_words() -> None:
    test = [{"source": "a house, the book."}, {"source": "A unicorn"}, {"source": ""}]
    (row,) = registry.construct("baseline", {"kind": "word-table"}).rows(HOUSES, test)
    # marks and "unicorn" were never seen, "A" was in lower case
    assert said(row) == ["ein Haus, das Buch.", "ein unicorn", ""]
    assert (row.name, row.size, row.unit, row.note) == ("word-for-word table", 4, "words", "IBM model 1, 10 steps")


def test_letters_to_phonemes() -> None:
    train = [example("ab", "A B"), example("ba", "B A", "B AA"), example("b", "B"), example("a", "A")]
    (row,) = WordTable(source="characters", target="space").rows(train, [{"source": "abb"}])
    assert said(row) == ["A B B"]


def test_chinese_characters_stand_side_by_side() -> None:
    train = [example("I drink", "我喝"), example("I eat", "我吃"), example("you eat", "你吃")]
    for target in ("words", "characters"):
        (row,) = WordTable(target=target).rows(train, [{"source": "you drink"}])
        assert said(row) == ["你喝"]


def random_pairs(seed: int, n: int) -> list[tuple[list[str], list[str]]]:
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(n):
        source = [f"s{k}" for k in rng.integers(8, size=rng.integers(1, 6))]
        target = [f"t{(int(s[1:]) * 3 + rng.integers(2)) % 9}" for s in source if rng.random() < 0.8]
        pairs.append((source, target or ["t0"]))
    return pairs


def ibm_model_1(pairs: list[tuple[list[str], list[str]]], steps: int) -> dict[tuple[str, str], float]:
    """p(t | s) with dictionaries, None for the word that stands in every source."""
    p: dict[Any, float] = defaultdict(lambda: 1.0)
    for _ in range(steps):
        counts: dict[Any, float] = defaultdict(float)
        totals: dict[Any, float] = defaultdict(float)
        for source, target in pairs:
            for t in target:
                chances = [(s, p[s, t]) for s in [None, *source]]
                whole = sum(chance for _, chance in chances)
                for s, chance in chances:
                    counts[s, t] += chance / whole
                    totals[s] += chance / whole
        p = defaultdict(float, {(s, t): n / totals[s] for (s, t), n in counts.items()})
    return p


@pytest.mark.parametrize("steps", [1, 4, 10])
def test_the_table_is_ibm_model_1(steps: int) -> None:
    pairs = random_pairs(steps, 200)
    p = ibm_model_1(pairs, steps)
    table = Table(steps).fit(pairs)
    assert set(table.best) == {s for source, _ in pairs for s in source} and table.learnt == 200
    for s, t in table.best.items():
        assert p[s, t] == pytest.approx(max(chance for (other, _), chance in p.items() if other == s), rel=1e-9)


def test_a_table_of_too_many_links_learns_from_the_first_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = random_pairs(5, 50)
    monkeypatch.setattr(translate, "LINKS", sum((len(s) + 1) * len(t) for s, t in pairs[:30]))
    table = Table().fit(pairs)
    assert table.learnt == 30 and table.best == Table().fit(pairs[:30]).best
    train = [example(" ".join(s), " ".join(t)) for s, t in pairs]
    (row,) = WordTable(source="space", target="space").rows(train, [{"source": "s1"}])
    assert row.note == "IBM model 1, 10 steps, learnt from 30 of 50 pairs"
    monkeypatch.setattr(translate, "LINKS", 1)
    assert Table().fit(pairs).learnt == 1  # one at least


def test_pairs_with_an_empty_side_are_left_out() -> None:
    train = [*HOUSES, example("", "nichts"), example("nothing", "")]
    (row,) = WordTable().rows(train, [{"source": "nothing"}])
    assert said(row) == ["nothing"] and row.size == 4


@pytest.mark.parametrize("baseline", [Copy(), Frequent(), WordTable()])
def test_what_cannot_be_learnt_from(baseline: Any) -> None:
    name = {"Copy": "copy", "Frequent": "frequent", "WordTable": "word-table"}[type(baseline).__name__]
    with pytest.raises(DataError, match=rf"{name}: no training examples, expected at least 1"):
        list(baseline.rows([], [{"source": "a"}]))
    with pytest.raises(DataError, match=r"f:3: the baseline .* expected 'target' or 'targets', .* has source, place"):
        list(baseline.rows([{"source": "a", "place": "f:3"}], []))
    if name == "frequent":  # which asks nothing of what the targets are of
        (row,) = baseline.rows([{"target": "a"}], [{}])
        assert said(row) == ["a"]
        return
    with pytest.raises(DataError, match=rf"training example 1: the baseline '{name}' expected 'source', .* has target"):
        list(baseline.rows([{"target": "a"}], []))
    with pytest.raises(DataError, match=r"test example 2: the baseline .* expected 'source', the example has nothing"):
        list(baseline.rows(HOUSES, [{"source": "a"}, {}]))


def test_impossible_tables() -> None:
    with pytest.raises(DataError, match=r"word-table: no training pair has a word on both sides"):
        list(WordTable().rows([example("", "a"), example("a", "")], []))
    with pytest.raises(ConfigError, match=r"baseline.steps = 0, expected 1 or more. 10 is the default"):
        WordTable(steps=0)
    with pytest.raises(ConfigError, match=r"baseline.source = 'word': did you mean 'words'"):
        registry.construct("baseline", {"kind": "word-table", "source": "word"})
