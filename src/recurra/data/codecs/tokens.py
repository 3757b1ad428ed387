"""Tokens ⇄ numbers, for sequences that come one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from recurra.data.codecs.contract import checked_ids
from recurra.data.codecs.folding import FOLDS, all_lower, kept
from recurra.data.codecs.splitter import checked_marks, checked_splitter
from recurra.data.codecs.word import UNKNOWN_WORD
from recurra.data.join import join_words
from recurra.data.marks import joined_marks, marks_apart
from recurra.data.vectors import read_vectors, vectors_path
from recurra.data.words import SPLITTER, split_words, with_zeros
from recurra.errors import CheckpointError, ConfigError, DataError
from recurra.registry import part

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Text = str | Sequence[str]
"""A text, or its tokens."""
TEXTS = "\n\n"
"""What no token is."""


@part("codec", "tokens")
class Tokens:
    """The tokens of many sequences, the most frequent first. Number 0 is `<unk>`, the unknown token, and the padding.

    Examples that hold a text are split: "space" at spaces, tabs and line ends, "words" into words, numbers, marks and
    tags in <>, each Chinese character a word (see `split_words`), or into all their "characters". `lower` and `digits`
    (every digit a 0) change what a token is looked up by. Upper case is read as lower where the training text has none,
    and "space" parts marks from words, too, where training was given tokens in which they stand apart. Tokens seen
    fewer than `min_count` times in `fit`, or beyond `max_size` symbols, are unknown. Before `fit` all are.

    `vectors` names a set of word vectors or a file of them (see `read_vectors`). Its words become symbols after those
    of the training text, and a token that is no symbol is looked up in lower case before it is unknown.
    """

    forms: ClassVar[tuple[str, ...]] = ("text", "tokens")
    dtype: ClassVar[type[np.generic]] = np.int64
    shape: ClassVar[tuple[int | None, ...]] = (None,)
    padding: ClassVar[float] = 0
    unknown: int = 0

    def __init__(
        self,
        split: Literal["space", "words", "characters"] = "words",
        lower: bool = False,
        digits: bool = False,
        min_count: int = 1,
        max_size: int | None = None,
        vectors: str | None = None,
    ) -> None:
        if min_count < 1:
            raise ConfigError(f"vocabulary.min_count = {min_count}, expected 1 or more.")
        if max_size is not None and max_size < 2:
            raise ConfigError(f"vocabulary.max_size = {max_size}, expected 2 or more ({UNKNOWN_WORD}, a token).")
        self.split = split
        self.lower = lower
        self.digits = digits
        self.min_count = min_count
        self.max_size = max_size
        self.named_vectors = vectors
        self.vectors: NDArray[np.float32] | None = None
        """[V, D] after `fit` with vectors; a row of zeros where there is none."""
        self.coverage: tuple[float, float] | None = None
        """The shares, 0 to 1, of the training text's distinct tokens and of all its tokens that have a vector."""
        self.splitter = SPLITTER
        self.folds = False
        """Whether upper case is read as lower because the training text has none."""
        self.joined: dict[str, str] | None = None
        """Where marks stand apart from words in tokens that training was given: those that do not, see `joined_marks`;
        None: a text is parted at white space alone."""
        self.take([UNKNOWN_WORD])

    def __len__(self) -> int:
        return len(self.symbols)

    @property
    def size(self) -> int:
        return len(self)

    @property
    def unit(self) -> str:
        """What a symbol is called."""
        return "character" if self.split == "characters" else "token"

    def tokens(self, value: Text) -> list[str]:
        """The tokens of a text as they are written; those of a list as they are."""
        if not isinstance(value, str) or self.split == "characters":
            return list(value)
        words = split_words(value, self.split, self.splitter)
        if self.joined is None:
            return words
        return [token for word in words for token in marks_apart(word, self.joined, self._knows)]

    def _knows(self, token: str) -> bool:
        return bool(self.encode([token])[0])

    @property
    def notes(self) -> list[str]:
        """What there is to say of what was learned beside the symbols."""
        found = [FOLDS] if self.folds and not self.lower else []
        if self.joined is not None:
            found.append(
                "Marks stand apart from words in the training data, so a text that is asked is split so: "
                '"Yes," is two tokens.'
            )
        return found

    def fit(self, values: Iterable[Text]) -> Self:
        """Take the symbols from texts, split or not. Raises `DataError` where all would be unknown."""
        return self.learn(self.count(values))

    def count(self, values: Iterable[Text]) -> Counter[str]:
        """How often each token is, and under `TEXTS` how many values are texts that are not split."""
        tokens: Counter[str] = Counter()
        self.joined = None
        for value in values:
            tokens.update(self.tokens(value))
            if isinstance(value, str):
                tokens[TEXTS] += 1
        return tokens

    def learn(self, counts: Counter[str]) -> Self:
        """Take the tokens of counts."""
        self.joined = None
        given = not counts[TEXTS]
        return self._learn(Counter({token: count for token, count in counts.items() if token != TEXTS}), given)

    def _learn(self, tokens: Counter[str], given: bool) -> Self:
        """Take tokens, that were `given` so or found in texts."""
        self.folds = all_lower(tokens)
        counts: Counter[str] = Counter()
        for token, count in tokens.items():
            counts[self._keys([token])[0]] += count
        self.joined = joined_marks(counts) if self.split == "space" and given else None
        marked = counts.pop(UNKNOWN_WORD, 0)
        ordered = sorted(counts, key=lambda token: (-counts[token], token))
        room = len(ordered) if self.max_size is None else self.max_size - 1
        kept = [token for token in ordered[:room] if counts[token] >= self.min_count]
        if not counts:
            what = f"only {UNKNOWN_WORD}" if marked else "no token"
            raise DataError(f"the training examples hold {what}. Is the right field read as text?")
        if self.named_vectors is not None:
            return self._with_vectors(kept, counts)
        if not kept:
            raise DataError(
                f"all {len(counts):,} distinct tokens are unknown, seen fewer than {self.min_count} times. "
                "Lower vocabulary.min_count."
            )
        return self.take([UNKNOWN_WORD, *kept])

    def take(self, symbols: Sequence[str]) -> Self:
        """These symbols, in their order, without vectors. Raises `CheckpointError` where they cannot be all."""
        numbers = {token: i for i, token in enumerate(symbols)}
        if len(numbers) != len(symbols) or not symbols or symbols[0] != UNKNOWN_WORD:
            raise CheckpointError(f"a vocabulary of tokens is {UNKNOWN_WORD} and then distinct tokens.")
        self.symbols = list(symbols)
        self._numbers = numbers
        return self

    def extend(self, symbols: Iterable[str]) -> Self:
        """Know these symbols too, after those there are, without vectors."""
        return self.take(list(dict.fromkeys([*self.symbols, *symbols])))

    def encode(self, value: Text) -> NDArray[np.int64]:
        """The numbers [T] of a text, split or not; 0 for unknown tokens."""
        keys = self._keys(self.tokens(value))
        ids = np.fromiter(map(self._numbers.get, keys, repeat(0)), np.int64, len(keys))
        if self.named_vectors is not None:
            for place in np.flatnonzero(ids == 0).tolist():
                ids[place] = self._numbers.get(keys[place].lower(), 0)
        return ids

    def pieces(self, ids: ArrayLike) -> list[str]:
        """The tokens of numbers, `<unk>` for 0. Raises `DataError` for a number that is no symbol."""
        return [self.symbols[i] for i in checked_ids(ids, len(self)).tolist()]

    def decode(self, array: ArrayLike) -> str:
        """The tokens of numbers as one text: characters side by side, tokens of "space" parted by spaces, and of
        "words" marks as they are usually written. Raises as `pieces` does."""
        tokens = self.pieces(array)
        if self.split == "words":
            return join_words(tokens)
        return ("" if self.split == "characters" else " ").join(tokens)

    def record(self) -> dict[str, Any]:
        """Kind, settings, how texts are split, and symbols; without vectors."""
        settings = {
            "split": self.split,
            "lower": self.lower,
            "digits": self.digits,
            "min_count": self.min_count,
            "max_size": self.max_size,
            "vectors": self.named_vectors,
        }
        by = {} if self.split == "characters" else {"splitter": self.splitter}
        marks = {} if self.joined is None else {"marks": self.joined}
        return {"kind": "tokens", "settings": settings, **by, **kept(self.folds), **marks, "symbols": self.symbols}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Nothing: a model holds the vectors."""
        return {}

    def restore(self, record: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        self.splitter = checked_splitter(record)
        self.folds, self.joined = bool(record.get("folds")), checked_marks(record)
        return self.take(record["symbols"])

    def _keys(self, tokens: Sequence[str]) -> list[str]:
        """What tokens are looked up by."""
        keys = [token.lower() for token in tokens] if self.lower or self.folds else list(tokens)
        return [with_zeros(token) for token in keys] if self.digits else keys

    def _with_vectors(self, kept: Sequence[str], counts: Mapping[str, int]) -> Self:
        words, found = read_vectors(vectors_path(str(self.named_vectors)))
        rows: dict[str, int] = {}
        for k, key in enumerate(self._keys(words)):
            rows.setdefault(key, k)  # files put the more frequent word first
        rows.pop(UNKNOWN_WORD, None)
        self.take([UNKNOWN_WORD, *dict.fromkeys([*kept, *rows])])
        self.vectors = np.zeros((len(self), found.shape[1]), np.float32)
        for i, symbol in enumerate(self.symbols):
            row: int | None = rows.get(symbol, rows.get(symbol.lower()))
            if row is not None:
                self.vectors[i] = found[row]
        covered = [n for token, n in counts.items() if token in rows or token.lower() in rows]
        self.coverage = (len(covered) / len(counts), sum(covered) / sum(counts.values()))
        return self
