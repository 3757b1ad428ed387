"""Text ⇄ the numbers of its characters, or of its bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from recurra.data.codecs.contract import checked_ids
from recurra.data.codecs.folding import FOLDS, all_lower, folded, kept
from recurra.errors import CheckpointError, ConfigError, DataError
from recurra.registry import part

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

UNKNOWN_CHARACTER = "\ufffd"
MANY = 10_000
"""Characters of a text that are counted as numbers."""
BLOCK = 1 << 16
"""Characters that are counted or encoded at once: what a processor's cache holds."""


@part("codec", "character")
class Character:
    """Unicode characters, in their code order. Number 0 is U+FFFD, the unknown symbol.

    Characters seen fewer than `min_count` times in `fit` are unknown. Before `fit` every character is. Upper case is
    read as lower where the training text has none.
    """

    forms: ClassVar[tuple[str, ...]] = ("text",)
    dtype: ClassVar[type[np.generic]] = np.int64
    shape: ClassVar[tuple[int | None, ...]] = (None,)
    padding: ClassVar[float] = 0
    unknown: int = 0
    unit: ClassVar[str] = "character"

    def __init__(self, min_count: int = 1) -> None:
        check_min_count(min_count)
        self.min_count = min_count
        self.folds = False
        """Whether upper case is read as lower because the training text has none."""
        self.take([UNKNOWN_CHARACTER])

    def __len__(self) -> int:
        return len(self.symbols)

    @property
    def size(self) -> int:
        return len(self)

    def fit(self, values: Iterable[str]) -> Self:
        return self.learn(self.count(values))

    def count(self, values: Iterable[str]) -> Counter[str]:
        """How often each character is."""
        counts: Counter[str] = Counter()
        for text in values:
            if len(text) < MANY:
                counts.update(text)
                continue
            found = np.zeros(0, np.int64)
            for begin in range(0, len(text), BLOCK):
                some = np.bincount(_code_points(text[begin : begin + BLOCK]), minlength=len(found))
                some[: len(found)] += found
                found = some
            codes = np.flatnonzero(found)
            counts.update(dict(zip(map(chr, codes.tolist()), found[codes].tolist(), strict=True)))
        return counts

    def learn(self, counts: Counter[str]) -> Self:
        """Take the characters of counts."""
        self.folds = all_lower(counts)
        kept = [c for c, n in counts.items() if n >= self.min_count and c != UNKNOWN_CHARACTER]
        check_distinct("character", list(counts), len(kept) + (len(kept) < len(counts)))
        return self.take([UNKNOWN_CHARACTER, *sorted(kept)])

    def take(self, symbols: Sequence[str]) -> Self:
        """These symbols, in their order. Raises `CheckpointError` where they cannot be all."""
        single = all(len(symbol) == 1 for symbol in symbols)
        if list(symbols[:1]) != [UNKNOWN_CHARACTER] or not single or len(set(symbols)) != len(symbols):
            raise CheckpointError("a character vocabulary is U+FFFD and then distinct single characters.")
        self.symbols = list(symbols)
        self._codes = _code_points("".join(symbols))
        self._numbers = np.zeros(int(self._codes.max()) + 2, np.int64)  # by code point; the last for all beyond
        self._numbers[self._codes] = np.arange(len(symbols))
        return self

    def encode(self, value: str) -> NDArray[np.int64]:
        value = folded(value) if self.folds else value
        found = np.empty(len(value), np.int64)
        for begin in range(0, len(value), BLOCK):
            some = value[begin : begin + BLOCK]
            np.take(self._numbers, _code_points(some), out=found[begin : begin + len(some)], mode="clip")
        return found

    def written(self, value: str) -> list[str]:
        """The characters of a text."""
        return list(value)

    def decode(self, array: ArrayLike) -> str:
        return self._codes[checked_ids(array, len(self))].tobytes().decode("utf-32-le", errors="surrogatepass")

    def pieces(self, ids: ArrayLike) -> list[str]:
        """Each number by itself, as text."""
        return [self.decode([number]) for number in checked_ids(ids, len(self)).tolist()]

    def record(self) -> dict[str, Any]:
        settings = {"min_count": self.min_count}
        return {"kind": "character", "settings": settings, **kept(self.folds), "symbols": self.symbols}

    @property
    def notes(self) -> list[str]:
        """What there is to say of what was learned beside the symbols."""
        return [FOLDS] if self.folds else []

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {}

    def restore(self, record: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        self.folds = bool(record.get("folds"))
        return self.take(record["symbols"])


@part("codec", "byte")
class Byte:
    """The 256 bytes of a text in UTF-8. Nothing is unknown; bytes that are no UTF-8 decode to U+FFFD."""

    forms: ClassVar[tuple[str, ...]] = ("text",)
    dtype: ClassVar[type[np.generic]] = np.int64
    shape: ClassVar[tuple[int | None, ...]] = (None,)
    padding: ClassVar[float] = 0
    unknown: int | None = None
    unit: ClassVar[str] = "byte"

    def __init__(self) -> None:
        self.symbols = [f"<0x{byte:02X}>" for byte in range(256)]

    def __len__(self) -> int:
        return 256

    @property
    def size(self) -> int:
        return len(self)

    def fit(self, values: Iterable[str]) -> Self:
        seen: set[int] = set()
        for text in values:
            seen.update(text.encode("utf-8", errors="surrogatepass"))
        check_distinct("byte", [self.symbols[byte] for byte in seen], len(seen))
        return self

    def encode(self, value: str) -> NDArray[np.int64]:
        return np.frombuffer(value.encode("utf-8", errors="surrogatepass"), np.uint8).astype(np.int64)

    def decode(self, array: ArrayLike) -> str:
        return checked_ids(array, 256).astype(np.uint8).tobytes().decode("utf-8", errors="replace")

    def pieces(self, ids: ArrayLike) -> list[str]:
        """Each number by itself, as text."""
        return [self.decode([number]) for number in checked_ids(ids, len(self)).tolist()]

    def record(self) -> dict[str, Any]:
        return {"kind": "byte", "settings": {}, "symbols": self.symbols}

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {}

    def restore(self, record: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        if list(record["symbols"]) != self.symbols:
            raise CheckpointError("a byte vocabulary holds the 256 symbols <0x00> to <0xFF> in this order.")
        return self


def _code_points(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", errors="surrogatepass"), "<u4")


def check_min_count(min_count: int) -> None:
    if min_count < 1:
        raise ConfigError(f"vocabulary.min_count = {min_count}, expected 1 or more.")


def check_distinct(kind: str, found: list[str], left: int) -> None:
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
