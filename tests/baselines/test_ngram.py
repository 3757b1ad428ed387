"""The rows of the Kneser–Ney baseline against models fitted one by one, and its published figure on Penn Treebank."""

from __future__ import annotations

import gzip
import math
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recurra import registry
from recurra.baselines.ngram import KneserNey
from recurra.baselines.row import Row
from recurra.decoding.ngram import NgramModel
from recurra.errors import ConfigError, DataError


class Numbers:
    """A vocabulary of V symbols whose texts are their numbers already."""

    def __init__(self, V: int) -> None:
        self.V = V

    def __len__(self) -> int:
        return self.V

    def encode(self, value: Any) -> np.ndarray:
        return np.array(value, np.int64)


def rows(train: Any, test: Any, V: int, **settings: Any) -> list[Row]:
    return list(KneserNey(**settings).rows([{"text": train}], [{"text": test}], {"input": Numbers(V)}))


@pytest.mark.parametrize("kind", ["one", "three"])
def test_rows_equal_models_fitted_one_by_one(kind):
    rng = np.random.default_rng(6)
    V = 15
    train, test = rng.zipf(1.6, 1500) % V, rng.zipf(1.6, 300) % V
    found = rows(train, test, V, order=5, discounts=kind)
    assert [row.facts["order"] for row in found] == [2, 3, 4, 5]
    for row in found:
        model = NgramModel(row.facts["order"], kind).fit(train, V)
        assert (row.name, row.unit) == (f"kneser-ney, order {model.order}", "n-grams")
        assert row.size == sum(model.size.values())
        assert np.array_equal(row.log_p, model.log_probabilities(test))
    assert all(a.size < b.size for a, b in pairwise(found))
    (row,) = rows(train, test, V, order=1, discounts=kind)
    assert row.facts["order"] == 1


def test_targets_are_one_stream_with_a_mark_around_each():
    train, test = [{"target": [0, 1, 1]}, {"targets": [[1, 0], [2]]}], [{"target": [1, 1]}, {"target": [2]}]
    *_, row = KneserNey(order=3).rows(train, test, {"target": Numbers(3)})
    model = NgramModel(order=3).fit([3, 0, 1, 1, 3, 1, 0, 3], 4)
    assert np.array_equal(row.log_p, model.log_probabilities([3, 1, 1, 3, 2, 3]))


def test_found_by_name():
    model = registry.construct("baseline", {"kind": "kneser-ney", "order": 3, "discounts": "one"})
    assert (model.order, model.discounts) == (3, "one")
    with pytest.raises(ConfigError, match=r"baseline\.discounts = 'two'"):
        registry.construct("baseline", {"kind": "kneser-ney", "discounts": "two"})


def test_wrong_settings():
    with pytest.raises(ConfigError, match="order = 0: an n-gram model needs order 1 or higher"):
        KneserNey(0)
    with pytest.raises(ConfigError, match="discounts = 'two'"):
        KneserNey(2, "two")


def test_wrong_texts():
    with pytest.raises(DataError, match="test text: 1 symbol, expected 2 or more"):
        rows([0, 1], [0], 2)
    with pytest.raises(DataError, match="training text: no symbols, expected at least 1"):
        rows([], [0, 1], 2)
    with pytest.raises(DataError, match="test example 1: the baseline 'kneser-ney' expected 'text', the example has t"):
        KneserNey().rows([{"text": [0]}], [{"target": [0]}], {"input": Numbers(2)})


def words(path: Path) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [word for line in file for word in (*line.split(), "<eos>")]


def test_penn_treebank():
    """Order 5 on the words of Penn Treebank; 141.2 is published (Mikolov & Zweig 2012, table 2, KN5)."""
    folder = Path(os.environ.get("RECURRA_DATA", "")) / "ptb"
    if "RECURRA_DATA" not in os.environ or not folder.is_dir():
        pytest.skip("RECURRA_DATA names no folder with ptb/ in it")
    train, test = words(folder / "ptb.train.txt.gz"), words(folder / "ptb.test.txt.gz")
    ids = {word: i for i, word in enumerate(sorted(set(train)))}
    assert (len(train), len(test), len(ids)) == (929_589, 82_430, 10_000)
    points = rows([ids[w] for w in train], [ids[w] for w in test], len(ids), order=5)
    assert all(a.size < b.size for a, b in pairwise(points))
    assert math.exp(-points[-1].log_p.mean()) <= 150
