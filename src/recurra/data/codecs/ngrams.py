"""How often each word, and each run of neighbouring words, stands in a text: not where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from recurra.data.codecs.contract import checked_ids
from recurra.errors import CheckpointError, ConfigError, DataError
from recurra.registry import part

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@part("codec", "ngrams")
class Ngrams:
    """The distinct n-grams of a text's tokens, int64 [K, 2]: the number of each, ascending, and how often it is there.

    Known are the n-grams of 1 to `order` tokens that stand in `min_texts` training texts at least: of these the
    `max_size` that stand in most texts, the most frequent first. Others are left out. Number `size` pads.
    """

    forms: ClassVar[tuple[str, ...]] = ("tokens",)
    dtype: ClassVar[type[np.generic]] = np.int64
    shape: ClassVar[tuple[int | None, ...]] = (None, 2)
    padding: ClassVar[float] = 0
    axes: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "ngrams": ("batch", "distinct"),
        "ngram_counts": ("batch", "distinct"),
    }
    comes_back: ClassVar[bool] = False

    def __init__(self, order: int = 2, min_texts: int = 2, max_size: int = 500_000) -> None:
        for name, value in (("order", order), ("min_texts", min_texts), ("max_size", max_size)):
            if value < 1:
                raise ConfigError(f"ngrams.{name} = {value}, expected 1 or more.")
        self.order, self.min_texts, self.max_size = order, min_texts, max_size
        self.take([])

    @property
    def size(self) -> int:
        return len(self.known)

    def fit(self, values: Iterable[Sequence[str]]) -> Self:
        """Take the n-grams of tokens. Raises `DataError` where none is in enough texts."""
        texts: Counter[str] = Counter()
        N = 0
        for tokens in values:
            N += 1
            texts.update(set(self._found(tokens)))
        kept = sorted((each for each, n in texts.items() if n >= self.min_texts), key=lambda one: (-texts[one], one))
        if not kept:
            raise DataError(
                f"no word stands in {self.min_texts} of the {N:,} training texts: there are no n-grams to learn from. "
                "Are the texts read as they should be? If so, leave the n-grams away."
            )
        return self.take(kept[: self.max_size])

    def take(self, known: Sequence[str]) -> Self:
        """These n-grams, tokens parted by a space. Raises `CheckpointError` where they are not distinct."""
        numbers = {each: number for number, each in enumerate(known)}
        if len(numbers) != len(known):
            raise CheckpointError("what a model knows of n-grams is a list of distinct ones.")
        self.known, self._numbers = list(known), numbers
        return self

    def encode(self, value: Sequence[str]) -> NDArray[np.int64]:
        found = self._found(value)
        numbers = np.fromiter(map(self._numbers.get, found, repeat(-1)), np.int64, len(found))
        return np.stack(np.unique(numbers[numbers >= 0], return_counts=True), 1)

    def decode(self, array: ArrayLike) -> list[str]:
        """The n-grams, each as often as it stood there. Raises `DataError` for a number that is none's."""
        array = np.asarray(array)
        numbers = checked_ids(array[:, 0], self.size)
        return [self.known[number] for number in np.repeat(numbers, array[:, 1]).tolist()]

    def batched(self, arrays: Sequence[NDArray[Any]], steps: int) -> dict[str, NDArray[Any]]:
        """The fields "ngrams" int64 [B, K], padded with `size`, and "ngram_counts" int64 [B, K], padded with 1."""
        K = max(1, *map(len, arrays))
        found = np.empty((2, len(arrays), K), np.int64)
        found[0], found[1] = self.size, 1
        for b, array in enumerate(arrays):
            found[:, b, : len(array)] = array.T
        return {"ngrams": found[0], "ngram_counts": found[1]}

    def random(self, generator: np.random.Generator, steps: int) -> NDArray[np.int64]:
        numbers = generator.permutation(self.size)[: 2 * steps]
        return np.stack((np.sort(numbers), generator.integers(1, 4, len(numbers))), 1)

    def record(self) -> dict[str, Any]:
        settings = {"order": self.order, "min_texts": self.min_texts, "max_size": self.max_size}
        return {"kind": "ngrams", "settings": settings, "ngrams": self.known}

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {}

    def restore(self, record: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        if "ngrams" not in record:
            raise CheckpointError("a vocabulary of n-grams holds none. Copy the run again or train anew.")
        return self.take(record["ngrams"])

    def _found(self, tokens: Sequence[str]) -> list[str]:
        """The n-grams of tokens."""
        found = list(tokens)
        for n in range(2, self.order + 1):
            found += map(" ".join, zip(*(tokens[k:] for k in range(n)), strict=False))
        return found
