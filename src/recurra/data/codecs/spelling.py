"""How words are spelled: the characters of each token."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from recurra.data.codecs.characters import Character
from recurra.errors import DataError
from recurra.registry import part

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

LONGEST_WORD = 64
"""Characters of a word's spelling, its begin and its end: a web address would make all words of its batch as long."""
KEPT = 1 << 17
"""Words whose spelling is kept for the next time."""


@part("codec", "spelling")
class Spelling:
    """Tokens as they are written, object [T], which a batch gets as the characters of its distinct words.

    Characters seen fewer than `min_count` times are unknown, number 0, which also pads.
    """

    forms: ClassVar[tuple[str, ...]] = ("tokens",)
    dtype: ClassVar[type[np.generic]] = np.object_
    shape: ClassVar[tuple[int | None, ...]] = (None,)
    padding: ClassVar[float] = 0
    axes: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "spellings": ("words", "characters"),
        "spelling_lengths": ("words",),
        "spelling": ("batch", "time"),
    }
    unknown: int = 0

    def __init__(self, min_count: int = 1) -> None:
        self._characters = Character(min_count)
        self._spelled: dict[str, NDArray[np.int64]] = {}

    def __len__(self) -> int:
        return len(self._characters)

    @property
    def size(self) -> int:
        return len(self)

    @property
    def symbols(self) -> list[str]:
        return self._characters.symbols

    def fit(self, values: Iterable[Sequence[str]]) -> Self:
        """Take the characters. Raises `DataError` for fewer than two."""
        return self.learn(self.count(values))

    def count(self, values: Iterable[Sequence[str]]) -> Counter[str]:
        """How often each character is."""
        return self._characters.count("".join(tokens) for tokens in values)

    def learn(self, counts: Counter[str]) -> Self:
        """Take the characters of counts."""
        found = {*counts}
        if len(found) < 2:
            raise DataError(
                f"the training examples are written with {f'one character, {min(found)!r}' if found else 'none'}: no "
                "spelling to learn from. Is the right column read? If so: --set embedder.spelling=none"
            )
        self._characters.learn(counts)
        self._spelled.clear()
        return self

    def encode(self, value: Sequence[str]) -> NDArray[np.object_]:
        array = np.empty(len(value), np.object_)
        array[:] = value
        return array

    def decode(self, array: ArrayLike) -> list[str]:
        tokens: list[str] = np.asarray(array, np.object_).tolist()
        return tokens

    def pieces(self, ids: ArrayLike) -> list[str]:
        """The characters of numbers."""
        return self._characters.pieces(ids)

    def spell(self, word: str) -> NDArray[np.int64]:
        """The numbers [C] of a word's characters, C ≥ 1; of a long word, of its first and its last."""
        spelled = self._spelled.get(word)
        if spelled is None:
            if len(self._spelled) >= KEPT:
                self._spelled.clear()
            short = word if len(word) <= LONGEST_WORD else word[: LONGEST_WORD // 2] + word[-LONGEST_WORD // 2 :]
            spelled = self._spelled[word] = self._characters.encode(short or "\ufffd")
        return spelled

    def batched(self, arrays: Sequence[NDArray[Any]], steps: int) -> dict[str, NDArray[Any]]:
        """The fields "spellings" int64 [U, C], the distinct words of the batch, padded with 0, "spelling_lengths"
        int64 [U], and "spelling" int64 [B, T], the row that each word is spelled in, padded with 0."""
        rows: dict[str, int] = {}
        places = np.zeros((steps, len(arrays)), np.int64)
        for b, words in enumerate(arrays):
            places[: len(words), b] = [rows.setdefault(word, len(rows)) for word in words]
        spellings = [self.spell(word) for word in rows] or [np.zeros(1, np.int64)]  # a batch without words
        lengths = np.array([len(spelling) for spelling in spellings])
        C = int(lengths.max())
        padded = np.zeros((len(spellings), C), np.int64)
        padded[np.arange(C) < lengths[:, None]] = np.concatenate(spellings)
        return {"spellings": padded, "spelling_lengths": lengths, "spelling": places.T}

    def random(self, generator: np.random.Generator, steps: int) -> NDArray[np.object_]:
        letters = np.array(self.symbols[1:])
        return self.encode(["".join(generator.choice(letters, generator.integers(1, 9))) for _ in range(steps)])

    def record(self) -> dict[str, Any]:
        return {**self._characters.record(), "kind": "spelling"}

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {}

    def restore(self, record: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        self._characters.restore(record, arrays)
        self._spelled.clear()
        return self
