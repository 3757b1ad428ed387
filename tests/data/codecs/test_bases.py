"""Bases: every letter of IUPAC as a mixture, the other strand, and what is refused."""

from __future__ import annotations

import re

import numpy as np
import pytest

from recurra.data.codecs.bases import Bases
from recurra.errors import CheckpointError, DataError

STANDS_FOR = {
    "A": "A",
    "C": "C",
    "G": "G",
    "T": "T",
    "R": "AG",
    "Y": "TC",
    "S": "GC",
    "W": "AT",
    "K": "GT",
    "M": "AC",
    "B": "CGT",
    "D": "AGT",
    "H": "ACT",
    "V": "ACG",
    "N": "ACGT",
}
BOUND = {
    "A": "T",
    "C": "G",
    "G": "C",
    "T": "A",
    "R": "Y",
    "Y": "R",
    "S": "S",
    "W": "W",
    "K": "M",
    "M": "K",
    "B": "V",
    "V": "B",
    "D": "H",
    "H": "D",
    "N": "N",
}
"""Written down from the tables of IUPAC, not computed."""


def test_uncertain_bases_are_mixtures() -> None:
    codec = Bases()
    assert set(codec.symbols) == set(STANDS_FOR)
    for letter, bases in STANDS_FOR.items():
        (number,) = codec.encode(letter)
        shares = dict(zip("ACGT", codec.mixtures.shares[number], strict=True))
        assert shares == {base: (1 / len(bases) if base in bases else 0) for base in "ACGT"}
        assert codec.symbols[codec.mixtures.partners[number]] == BOUND[letter]


def test_the_other_strand_is_read_from_its_own_begin() -> None:
    codec = Bases()
    assert codec.reverse_complement("GATTN") == "NAATC"
    assert codec.reverse_complement([*"acgu"]) == "ACGT"
    drawn = codec.decode(np.random.default_rng(0).integers(0, 15, 200))
    assert codec.reverse_complement(drawn) != drawn
    assert codec.reverse_complement(codec.reverse_complement(drawn)) == drawn
    assert codec.reverse_complement("") == ""


def test_lower_case_rna_and_white_space() -> None:
    codec = Bases()
    assert codec.decode(codec.encode(" acgu\n NnRy\t")) == "ACGTNNRY"
    assert codec.tokens("ac u") == ["A", "C", "T"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ACXG", "'X' at base 3 of 4 is no base, expected A, C, G, T or U, or of the uncertain ones R, Y, S, W, K, M"),
        ("AC-G", "'-' at base 3 of 4 is no base"),
        ("é", "'É' at base 1 of 1 is no base"),
    ],
)
def test_other_letters_are_refused_with_their_place(text: str, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        Bases().encode(text)


def test_another_record_is_refused() -> None:
    with pytest.raises(CheckpointError, match="bases are the symbols A C G T R"):
        Bases().restore({"kind": "bases", "settings": {}, "symbols": [*"ACGT"]}, {})
