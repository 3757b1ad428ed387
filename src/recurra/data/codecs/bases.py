"""Sequences of DNA ⇄ the numbers of their bases, the uncertain ones among them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from recurra.data.codecs.contract import checked_ids
from recurra.errors import CheckpointError, DataError, WrongSymbol
from recurra.registry import part
from recurra.types import Mixtures

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

CODES = {
    "A": "A",
    "C": "C",
    "G": "G",
    "T": "T",
    "R": "AG",
    "Y": "CT",
    "S": "CG",
    "W": "AT",
    "K": "GT",
    "M": "AC",
    "B": "CGT",
    "D": "AGT",
    "H": "ACT",
    "V": "ACG",
    "N": "ACGT",
}
"""Each letter and the bases that it may stand for."""
BASES = "ACGT"
PAIRED = str.maketrans(BASES, BASES[::-1])
"""What binds to what: A to T, C to G."""

Text = str | Sequence[str]
"""A sequence, or its letters."""


def _paired(letter: str) -> str:
    """The letter of what binds to all that a letter may stand for."""
    bound = {*CODES[letter].translate(PAIRED)}
    return next(other for other, bases in CODES.items() if {*bases} == bound)


MIXTURES = Mixtures(
    tuple(tuple((base in bases) / len(bases) for base in BASES) for bases in CODES.values()),
    tuple([*CODES].index(_paired(letter)) for letter in CODES),
)


@part("codec", "bases")
class Bases:
    """Bases and uncertain bases, numbers 0 to 14: A C G T, then R Y S W K M B D H V N.

    Lower case is read as upper, U as T, white space is left out. `mixtures` says what the letters stand for: each of
    an uncertain base's with equal shares. Numbers rather than shares are encoded, so that a sequence stays a text that
    can be typed, streamed to a file and cut, and an embedder looks the shares up: that is exact, as there are only 15.

    `encode` raises `WrongSymbol`, a `DataError`, for any other letter, with its place; a gap (-) is one.
    Source: Cornish-Bowden 1985, Nomenclature for incompletely specified bases in nucleic acid sequences (IUPAC).
    """

    forms: ClassVar[tuple[str, ...]] = ("text", "tokens")
    dtype: ClassVar[type[np.generic]] = np.int64
    shape: ClassVar[tuple[int | None, ...]] = (None,)
    padding: ClassVar[float] = 0
    unknown: ClassVar[int | None] = None
    unit: ClassVar[str] = "base"
    mixtures: ClassVar[Mixtures] = MIXTURES
    sample: ClassVar[Mapping[str, Sequence[Any]]] = {
        "text": ("ACGTTGCA", "NNRY", "GATTACA"),
        "tokens": ([*"ACGT"], [*"NRW"], []),
    }
    """Values for `recurra.testing`."""

    def __init__(self) -> None:
        self.symbols = [*CODES]
        self._numbers = {letter: number for number, letter in enumerate(self.symbols)}
        self._numbers["U"] = self._numbers["T"]

    def __len__(self) -> int:
        return len(self.symbols)

    @property
    def size(self) -> int:
        return len(self)

    def tokens(self, value: Text) -> list[str]:
        """The letters of a sequence in upper case, T for U."""
        letters = "".join("".join(value).split()).upper().replace("U", "T")
        return [*letters]

    def fit(self, values: Iterable[Text]) -> Self:
        """Nothing is learned. Raises `DataError` where there is no base at all."""
        if not any(self.tokens(value) for value in values):
            raise DataError("the training sequences hold no base. Is the right column read?")
        return self

    def encode(self, value: Text) -> NDArray[np.int64]:
        letters = self.tokens(value)
        for place, letter in enumerate(letters, 1):
            if letter not in self._numbers:
                raise WrongSymbol(
                    f"{letter!r} at base {place:,} of {len(letters):,} is no base, expected A, C, G, T or U, or of the "
                    "uncertain ones R, Y, S, W, K, M, B, D, H, V or N. Is this a sequence of DNA or RNA, without gaps?",
                    place - 1,
                )
        return np.fromiter((self._numbers[letter] for letter in letters), np.int64, len(letters))

    def decode(self, array: ArrayLike) -> str:
        return "".join(self.pieces(array))

    def pieces(self, ids: ArrayLike) -> list[str]:
        """The letters of numbers. Raises `DataError` for a number that is no letter's."""
        return [self.symbols[number] for number in checked_ids(ids, len(self)).tolist()]

    def reverse_complement(self, value: Text) -> str:
        """The sequence of the other strand, which is read from its own begin: GATTN → NAATC."""
        partners = np.array(self.mixtures.partners, np.int64)
        return self.decode(partners[self.encode(value)[::-1]])

    def record(self) -> dict[str, Any]:
        return {"kind": "bases", "settings": {}, "symbols": self.symbols}

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {}

    def restore(self, record: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        if list(record.get("symbols", ())) != self.symbols:
            raise CheckpointError(f"bases are the symbols {' '.join(self.symbols)} in this order.")
        return self
