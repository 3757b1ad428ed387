"""The n-gram language model every generating model is printed beside, and its growth with the order n."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from recurra.baselines.row import Row, check_fields
from recurra.data.codecs.contract import line_end_of
from recurra.decoding.arrays import Ids
from recurra.decoding.ngram import Table, check, checked_symbols, follow, level_of, occurrences
from recurra.errors import DataError
from recurra.progress import steps
from recurra.registry import part
from recurra.types import Example

LOWEST_ORDER = 2
"""Of the rows, if the model's own is not lower still."""


@part("baseline", "kneser-ney")
class KneserNey:
    """The interpolated Kneser–Ney model of every order from 2, a row each; see `recurra.decoding.ngram.NgramModel`.

    A "text" is one stream with those behind it; of examples with a "target" (or "targets", the first of which counts)
    a mark stands before the first and ends each.

    Raises ConfigError for an order below 1 or an unknown kind of discounts; `rows` DataError for no training text, for
    a test text of one symbol, and for examples without text and target.
    """

    def __init__(self, order: int = 5, discounts: Literal["one", "three"] = "three") -> None:
        check(order, discounts)
        self.order = order
        self.discounts: Literal["one", "three"] = discounts

    def rows(self, train: Sequence[Example], test: Sequence[Example], codecs: Mapping[str, Any]) -> Iterator[Row]:
        """Count `train` and predict every symbol of `test` but the first, by the model of each order.

        What each row says is what fitting the orders one by one would. The training text is counted once and lower
        orders are shared, so that all cost little more than the highest alone.
        """
        field = "text" if any("text" in example for example in train) else "target"
        for name, side in (("training", train), ("test", test)):
            check_fields("kneser-ney", name, side, *([field] if field == "text" else [field, "targets"]))
        (learnt, V), (asked, _) = (_stream(side, field, codecs) for side in (train, test))
        end = line_end_of(codecs["input"]) if field == "text" else None
        sums = {} if end is None else {"lines": float((asked[1:] == end).sum())}
        return self._rows(checked_symbols(learnt, V, "training text"), checked_symbols(asked, V, "test text"), V, sums)

    def _rows(self, train: Ids, test: Ids, V: int, sums: Mapping[str, float]) -> Iterator[Row]:
        if len(test) < 2:
            raise DataError(
                "test text: 1 symbol, expected 2 or more, for the first is context only. Name a longer text."
            )
        continuations: list[Table] = []
        ngrams = 0
        p = np.full(len(test) - 1, 1.0 / V)
        lower: tuple[Ids, Ids] | None = None
        counting = enumerate(follow(test, occurrences(train, V, self.order, continuations), V), 1)
        for n, (table, context, gram) in steps(counting, "counting n-grams", "orders", self.order):
            if lower is not None:
                p = level_of(continuations[-1], self.discounts).mix(p, *lower)
            lower = context[1:-1], gram[1:]
            ngrams += len(table.keys)
            if n >= min(self.order, LOWEST_ORDER):
                log_p = np.log(level_of(table, self.discounts).mix(p, *lower))
                yield Row(f"kneser-ney, order {n}", ngrams, "n-grams", log_p=log_p, sums=sums, facts={"order": n})


def _stream(examples: Sequence[Example], field: str, codecs: Mapping[str, Any]) -> tuple[Ids, int]:
    """All symbols of examples, one behind the other, and how many there are to choose from."""
    if field == "text":
        return np.concatenate([np.zeros(0, np.int64), *(codecs["input"].encode(e["text"]) for e in examples)]), len(
            codecs["input"]
        )
    mark = len(codecs["target"])
    found = [[mark]]
    for example in examples:
        target = example["target"] if "target" in example else example["targets"][0]
        found += [codecs["target"].encode(target), [mark]]
    return np.concatenate(found), mark + 1
