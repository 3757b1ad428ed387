"""Names of tags and labels ⇄ numbers: one a step, one a sequence, or any number of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from recurra.errors import CheckpointError, DataError
from recurra.registry import part
from recurra.types import IGNORED

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

NOUNS = {"tags": "tag", "label": "label", "label-set": "label"}
FORMS = {"tags": "tags", "label": "label", "label-set": "labels"}


@part("codec", "tags")
def tags() -> Labels:
    """A name a step, int64 [T]."""
    return Labels("tags")


@part("codec", "label")
def label() -> Labels:
    """A name a sequence, int64 []."""
    return Labels("label")


@part("codec", "label-set")
def label_set() -> Labels:
    """Any number of names a sequence, float32 [L] of 0 and 1."""
    return Labels("label-set")


class Labels:
    """The names that were seen in training, the most frequent first; −100 for one that was not, in a set nothing."""

    unknown: int = IGNORED

    def __init__(self, kind: str = "tags") -> None:
        self.kind = kind
        self.forms = (FORMS[kind],)
        self.take([])

    def __len__(self) -> int:
        return len(self.symbols)

    @property
    def dtype(self) -> type[np.generic]:
        return np.float32 if self.kind == "label-set" else np.int64

    @property
    def shape(self) -> tuple[int | None, ...]:
        return {"tags": (None,), "label": (), "label-set": (len(self),)}[self.kind]

    @property
    def padding(self) -> float:
        return IGNORED

    @property
    def size(self) -> int:
        return len(self)

    def fit(self, values: Iterable[Any]) -> Self:
        """Take the names. Raises `DataError` where there is none, and for a single one where one must be chosen."""
        return self.learn(self.count(values))

    def count(self, values: Iterable[Any]) -> Counter[str]:
        """How often each name is."""
        counts: Counter[str] = Counter()
        for value in values:
            counts.update([value] if self.kind == "label" else value)
        return counts

    def learn(self, counts: Counter[str]) -> Self:
        """Take the names of counts."""
        if not counts:
            raise DataError("the training examples hold no label. Are they labelled, and is the right field read?")
        if len(counts) < 2 and self.kind != "label-set":
            raise DataError(
                f"every {NOUNS[self.kind]} of the training examples is {next(iter(counts))!r}: nothing to learn. "
                "Expected two or more; is the right column read?"
            )
        return self.take(sorted(counts, key=lambda name: (-counts[name], name)))

    def take(self, symbols: Sequence[str]) -> Self:
        """These names. Raises `CheckpointError` where they are not distinct."""
        numbers = {name: i for i, name in enumerate(symbols)}
        if len(numbers) != len(symbols):
            raise CheckpointError("a vocabulary of labels is a list of distinct names.")
        self.symbols = list(symbols)
        self._numbers = numbers
        return self

    def encode(self, value: Any) -> NDArray[Any]:
        """Of tags [T], of a label [], of a set of labels [L]."""
        if self.kind == "label":
            return np.array(self._numbers.get(value, IGNORED), np.int64)
        ids = np.fromiter(map(self._numbers.get, value, repeat(IGNORED)), np.int64, len(value))
        if self.kind == "tags":
            return ids
        there = np.zeros(len(self), np.float32)
        there[ids[ids >= 0]] = 1
        return there

    def decode(self, array: ArrayLike) -> Any:
        """A list of names, or one. Raises `DataError` for a number that is no label's."""
        array = np.asarray(array)
        if self.kind == "label-set":
            return [name for name, there in zip(self.symbols, array.tolist(), strict=True) if there > 0]
        names = self.pieces(array.reshape(-1))
        return names[0] if self.kind == "label" else names

    def pieces(self, ids: ArrayLike) -> list[str]:
        """The names of numbers. Raises as `decode`."""
        numbers = np.asarray(ids).reshape(-1).tolist()
        for i in numbers:
            if not 0 <= i < len(self.symbols):
                raise DataError(f"label number {i} is outside the {len(self.symbols)} labels. Is it another run's?")
        return [self.symbols[int(i)] for i in numbers]

    def record(self) -> dict[str, Any]:
        return {"kind": self.kind, "settings": {}, "symbols": self.symbols}

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {}

    def restore(self, record: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        return self.take(record["symbols"])
