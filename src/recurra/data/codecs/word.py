"""Text ⇄ the numbers of its words, line by line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from recurra.data.codecs.characters import check_distinct, check_min_count
from recurra.data.codecs.contract import checked_ids
from recurra.data.codecs.folding import FOLDS, all_lower, kept
from recurra.data.codecs.splitter import checked_splitter
from recurra.data.join import join_words
from recurra.data.words import SPLITTER, split_words, with_zeros
from recurra.errors import CheckpointError, ConfigError
from recurra.registry import part

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

UNKNOWN_WORD = "<unk>"


@part("codec", "word")
class Word:
    """The words of a text, the most frequent first; each `\\n` is the symbol `end_of_line`.

    `split`: "space" as spaces, tabs and line ends part them; "words" at marks too, as the vocabulary of tokens does
    (see `split_words`). `lower` and `digits` (every digit a 0) change what a word is looked up by, and what is decoded.
    Upper case is read as lower where the training text has none.
    A last line without `\\n` gets no `end_of_line`, so that a prompt can be continued. Words seen fewer than
    `min_count` times in `fit`, or beyond `max_size` symbols, become `<unk>`, which may also be in the text already.
    Before `fit` every word is unknown. Decoding joins the words of a line with single spaces, those of the split
    "words" as they are usually written.
    """

    forms: ClassVar[tuple[str, ...]] = ("text",)
    dtype: ClassVar[type[np.generic]] = np.int64
    shape: ClassVar[tuple[int | None, ...]] = (None,)
    padding: ClassVar[float] = 0
    unit: ClassVar[str] = "word"
    by_frequency: ClassVar[bool] = True
    """Symbols are numbered by falling frequency; a vocabulary that does not say so is not taken for one."""

    def __init__(
        self,
        min_count: int = 1,
        max_size: int | None = None,
        lower: bool = False,
        end_of_line: str = "<eos>",
        split: Literal["space", "words"] = "space",
        digits: bool = False,
    ) -> None:
        check_min_count(min_count)
        if max_size is not None and max_size < 3:
            raise ConfigError(
                f"vocabulary.max_size = {max_size}, expected 3 or more ({UNKNOWN_WORD}, line end, a word)."
            )
        if end_of_line.split() != [end_of_line] or end_of_line == UNKNOWN_WORD:
            raise ConfigError(
                f"vocabulary.end_of_line = {end_of_line!r}, expected a word without white space, not {UNKNOWN_WORD}."
            )
        self.min_count = min_count
        self.max_size = max_size
        self.lower = lower
        self.end_of_line = end_of_line
        self.split = split
        self.digits = digits
        self.splitter = SPLITTER
        self.folds = False
        """Whether upper case is read as lower because the training text has none."""
        self.take([UNKNOWN_WORD, end_of_line])

    @property
    def unknown(self) -> int:
        return self._numbers[UNKNOWN_WORD]

    def __len__(self) -> int:
        return len(self.symbols)

    @property
    def size(self) -> int:
        return len(self)

    def fit(self, values: Iterable[str]) -> Self:
        return self.learn(self.count(values))

    def count(self, values: Iterable[str]) -> Counter[str]:
        """How often each word is, and a line end."""
        counts: Counter[str] = Counter()
        self.folds = False
        for text in values:
            counts.update(self._words(text))
        return counts

    def learn(self, counts: Counter[str]) -> Self:
        """Take the words of counts."""
        self.folds = not self.lower and all_lower(word for word in counts if word != self.end_of_line)
        always = {UNKNOWN_WORD: counts[UNKNOWN_WORD], self.end_of_line: counts[self.end_of_line]}
        words = sorted((w for w in counts if w not in always), key=lambda w: (-counts[w], w))
        room = len(words) if self.max_size is None else self.max_size - len(always)
        kept = {w: counts[w] for w in words[:room] if counts[w] >= self.min_count}
        always[UNKNOWN_WORD] += sum(counts[w] for w in words[len(kept) :])
        seen = {w: n for w, n in (kept | always).items() if n}
        check_distinct("word", list(counts), len(seen))
        return self.take(sorted(kept | always, key=lambda w: (-seen.get(w, 0), w)))

    def take(self, symbols: Sequence[str]) -> Self:
        """These symbols, in their order. Raises `CheckpointError` where they cannot be all."""
        numbers = {word: i for i, word in enumerate(symbols)}
        if len(numbers) != len(symbols) or not {UNKNOWN_WORD, self.end_of_line} <= numbers.keys():
            raise CheckpointError(
                f"a word vocabulary is a list of distinct words with {UNKNOWN_WORD} and {self.end_of_line} among them."
            )
        self.symbols = list(symbols)
        self._numbers = numbers
        return self

    def encode(self, value: str) -> NDArray[np.int64]:
        words = self._words(value)
        return np.fromiter(map(self._numbers.get, words, repeat(self.unknown)), np.int64, len(words))

    def written(self, value: str) -> list[str]:
        """The words of a text and its line ends, as they are looked up."""
        return self._words(value)

    def decode(self, array: ArrayLike) -> str:
        symbols = [self.symbols[i] for i in checked_ids(array, len(self)).tolist()]
        words = ["\n" if symbol == self.end_of_line else symbol for symbol in symbols]
        joined = join_words(words) if self.split == "words" else " ".join(words)
        return joined.replace(" \n", "\n").replace("\n ", "\n")

    def pieces(self, ids: ArrayLike) -> list[str]:
        """Each number by itself, as text."""
        return [self.decode([number]) for number in checked_ids(ids, len(self)).tolist()]

    def record(self) -> dict[str, Any]:
        settings = {
            "min_count": self.min_count,
            "max_size": self.max_size,
            "lower": self.lower,
            "end_of_line": self.end_of_line,
            "split": self.split,
            "digits": self.digits,
        }
        return {
            "kind": "word",
            "settings": settings,
            "splitter": self.splitter,
            **kept(self.folds),
            "symbols": self.symbols,
        }

    @property
    def notes(self) -> list[str]:
        """What there is to say of what was learned beside the symbols."""
        return [FOLDS] if self.folds else []

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {}

    def restore(self, record: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        self.splitter, self.folds = checked_splitter(record), bool(record.get("folds"))
        return self.take(record["symbols"])

    def _words(self, text: str) -> list[str]:
        text = text.lower() if self.lower or self.folds else text
        if self.split == "space" and not self.digits:
            marked = text.replace("\n", f" {self.end_of_line} ")
            return split_words(marked, "space", self.splitter)
        words: list[str] = []
        for number, line in enumerate(text.split("\n")):
            words += [self.end_of_line] if number else []
            found = split_words(line, self.split, self.splitter)
            words += map(with_zeros, found) if self.digits else found
        return words
