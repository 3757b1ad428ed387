"""Text ⇄ symbol numbers, by character, byte or word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self

import numpy as np

from recurra.data.join import join_words
from recurra.data.words import SPLITTER, split_words, with_zeros
from recurra.errors import CheckpointError, ConfigError, DataError
from recurra.registry import part

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

UNKNOWN_CHARACTER = "\ufffd"
UNKNOWN_WORD = "<unk>"


class Saved(Protocol):
    """Symbols by number, for text or for anything else: `symbols[i]` is the name of symbol i."""

    symbols: list[str]

    def __len__(self) -> int: ...

    def restore(self, symbols: Sequence[str]) -> Self:
        """Take the symbols of an earlier fit. Raises `CheckpointError` where they cannot be from one."""

    def to_json(self) -> dict[str, Any]:
        """Kind, settings and symbols; `vocabulary_file.from_json` reads it."""


class Vocabulary(Saved, Protocol):
    """What the vocabulary of one long text does. The symbol `unknown` stands for whatever has no symbol."""

    @property
    def unknown(self) -> int | None:
        """The number of the unknown symbol; None where nothing can be unknown."""

    def fit(self, texts: Iterable[str]) -> Self:
        """Take the symbols from texts. Raises `DataError` where fewer than two would ever be seen."""

    def encode(self, text: str) -> NDArray[np.int64]:
        """The numbers [N] of a text's symbols."""

    def decode(self, ids: ArrayLike) -> str:
        """The text of symbol numbers. Raises `DataError` for a number that is no symbol."""

    def unknown_share(self, ids: ArrayLike) -> float:
        """Share of unknown symbols, 0 to 1."""


@part("vocabulary", "character")
class Character:
    """Unicode characters, in their code order. Number 0 is U+FFFD, the unknown symbol.

    Characters seen fewer than `min_count` times in `fit` are unknown. Before `fit` every character is.
    """

    unknown: int = 0

    def __init__(self, min_count: int = 1) -> None:
        _check_min_count(min_count)
        self.min_count = min_count
        self.restore([UNKNOWN_CHARACTER])

    def __len__(self) -> int:
        return len(self.symbols)

    def fit(self, texts: Iterable[str]) -> Self:
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(text)
        kept = [c for c, n in counts.items() if n >= self.min_count and c != UNKNOWN_CHARACTER]
        _check_distinct("character", list(counts), len(kept) + (len(kept) < len(counts)))
        return self.restore([UNKNOWN_CHARACTER, *sorted(kept)])

    def restore(self, symbols: Sequence[str]) -> Self:
        single = all(len(symbol) == 1 for symbol in symbols)
        if list(symbols[:1]) != [UNKNOWN_CHARACTER] or not single or len(set(symbols)) != len(symbols):
            raise CheckpointError("a character vocabulary is U+FFFD and then distinct single characters.")
        self.symbols = list(symbols)
        self._codes = _code_points("".join(symbols))
        self._numbers = np.zeros(int(self._codes.max()) + 2, np.int64)  # by code point; the last for all beyond
        self._numbers[self._codes] = np.arange(len(symbols))
        return self

    def encode(self, text: str) -> NDArray[np.int64]:
        return self._numbers[np.minimum(_code_points(text), len(self._numbers) - 1)]

    def decode(self, ids: ArrayLike) -> str:
        return self._codes[checked_ids(ids, len(self))].tobytes().decode("utf-32-le", errors="surrogatepass")

    def unknown_share(self, ids: ArrayLike) -> float:
        return _share(ids, self.unknown)

    def to_json(self) -> dict[str, Any]:
        return {"kind": "character", "settings": {"min_count": self.min_count}, "symbols": self.symbols}


@part("vocabulary", "byte")
class Byte:
    """The 256 bytes of a text in UTF-8. Nothing is unknown; bytes that are no UTF-8 decode to U+FFFD."""

    unknown: int | None = None

    def __init__(self) -> None:
        self.symbols = [f"<0x{byte:02X}>" for byte in range(256)]

    def __len__(self) -> int:
        return 256

    def fit(self, texts: Iterable[str]) -> Self:
        seen: set[int] = set()
        for text in texts:
            seen.update(text.encode("utf-8", errors="surrogatepass"))
        _check_distinct("byte", [self.symbols[byte] for byte in seen], len(seen))
        return self

    def restore(self, symbols: Sequence[str]) -> Self:
        if list(symbols) != self.symbols:
            raise CheckpointError("a byte vocabulary holds the 256 symbols <0x00> to <0xFF> in this order.")
        return self

    def encode(self, text: str) -> NDArray[np.int64]:
        return np.frombuffer(text.encode("utf-8", errors="surrogatepass"), np.uint8).astype(np.int64)

    def decode(self, ids: ArrayLike) -> str:
        return checked_ids(ids, 256).astype(np.uint8).tobytes().decode("utf-8", errors="replace")

    def unknown_share(self, ids: ArrayLike) -> float:
        return 0.0

    def to_json(self) -> dict[str, Any]:
        return {"kind": "byte", "settings": {}, "symbols": self.symbols}


@part("vocabulary", "word")
class Word:
    """The words of a text, the most frequent first; each `\\n` is the symbol `end_of_line`.

    `split`: "space" as spaces, tabs and line ends part them; "words" at marks too, as the vocabulary of tokens does
    (see `split_words`). `lower` and `digits` (every digit a 0) change what a word is looked up by, and what is decoded.
    A last line without `\\n` gets no `end_of_line`, so that a prompt can be continued. Words seen fewer than
    `min_count` times in `fit`, or beyond `max_size` symbols, become `<unk>`, which may also be in the text already.
    Before `fit` every word is unknown. Decoding joins the words of a line with single spaces, those of the split
    "words" as they are usually written.
    """

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
        _check_min_count(min_count)
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
        self.restore([UNKNOWN_WORD, end_of_line])

    @property
    def unknown(self) -> int:
        return self._numbers[UNKNOWN_WORD]

    def __len__(self) -> int:
        return len(self.symbols)

    def fit(self, texts: Iterable[str]) -> Self:
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(self._words(text))
        always = {UNKNOWN_WORD: counts[UNKNOWN_WORD], self.end_of_line: counts[self.end_of_line]}
        words = sorted((w for w in counts if w not in always), key=lambda w: (-counts[w], w))
        room = len(words) if self.max_size is None else self.max_size - len(always)
        kept = {w: counts[w] for w in words[:room] if counts[w] >= self.min_count}
        always[UNKNOWN_WORD] += sum(counts[w] for w in words[len(kept) :])
        seen = {w: n for w, n in (kept | always).items() if n}
        _check_distinct("word", list(counts), len(seen))
        return self.restore(sorted(kept | always, key=lambda w: (-seen.get(w, 0), w)))

    def restore(self, symbols: Sequence[str]) -> Self:
        numbers = {word: i for i, word in enumerate(symbols)}
        if len(numbers) != len(symbols) or not {UNKNOWN_WORD, self.end_of_line} <= numbers.keys():
            raise CheckpointError(
                f"a word vocabulary is a list of distinct words with {UNKNOWN_WORD} and {self.end_of_line} among them."
            )
        self.symbols = list(symbols)
        self._numbers = numbers
        return self

    def encode(self, text: str) -> NDArray[np.int64]:
        words = self._words(text)
        return np.fromiter(map(self._numbers.get, words, repeat(self.unknown)), np.int64, len(words))

    def decode(self, ids: ArrayLike) -> str:
        symbols = [self.symbols[i] for i in checked_ids(ids, len(self)).tolist()]
        words = ["\n" if symbol == self.end_of_line else symbol for symbol in symbols]
        joined = join_words(words) if self.split == "words" else " ".join(words)
        return joined.replace(" \n", "\n").replace("\n ", "\n")

    def unknown_share(self, ids: ArrayLike) -> float:
        return _share(ids, self.unknown)

    def to_json(self) -> dict[str, Any]:
        settings = {
            "min_count": self.min_count,
            "max_size": self.max_size,
            "lower": self.lower,
            "end_of_line": self.end_of_line,
            "split": self.split,
            "digits": self.digits,
        }
        return {"kind": "word", "settings": settings, "splitter": self.splitter, "symbols": self.symbols}

    def _words(self, text: str) -> list[str]:
        text = text.lower() if self.lower else text
        if self.split == "space" and not self.digits:
            marked = text.replace("\n", f" {self.end_of_line} ")
            return split_words(marked, "space", self.splitter)
        words: list[str] = []
        for number, line in enumerate(text.split("\n")):
            words += [self.end_of_line] if number else []
            found = split_words(line, self.split, self.splitter)
            words += map(with_zeros, found) if self.digits else found
        return words


def _code_points(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", errors="surrogatepass"), "<u4")


def checked_ids(ids: ArrayLike, size: int) -> NDArray[np.int64]:
    """Symbol numbers as an array [N]. Raises `DataError` for one that is not in a vocabulary of this size."""
    try:
        ids = np.asarray(ids, np.int64).reshape(-1)
    except OverflowError:  # beyond 64 bits
        ids = np.asarray(ids, object).reshape(-1)
    if len(ids) and not 0 <= ids.min() <= ids.max() < size:
        wrong = ids[(ids < 0) | (ids >= size)][0]
        raise DataError(f"symbol number {wrong} is outside the vocabulary (0 to {size - 1}). Is it another run's?")
    return ids


def _share(ids: ArrayLike, unknown: int) -> float:
    ids = np.asarray(ids)
    return float((ids == unknown).mean()) if ids.size else 0.0


def _check_min_count(min_count: int) -> None:
    if min_count < 1:
        raise ConfigError(f"vocabulary.min_count = {min_count}, expected 1 or more.")


def _check_distinct(kind: str, found: list[str], left: int) -> None:
    """Refuse a text of one symbol: `found` are its distinct symbols, `left` counts those once rare ones are unknown."""
    if left >= 2:
        return
    if len(found) < 2:
        seen = f"is one {kind} over and over, {found[0]!r}" if found else f"has no {kind}"
        raise DataError(f"the text {seen}: nothing to predict. Use a text of two {kind}s or more.")
    raise DataError(
        f"the text has {len(found)} distinct {kind}s, all of them unknown: nothing to predict. "
        "Lower vocabulary.min_count or use a longer text."
    )
