"""Texts with blanks: where they are, and the tokens around them as a model knows them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from recurra.errors import DataError

BLANK = "___"
"""How a blank is shown; written it may be, too, by two underscores or more, or by full-width ones."""
_BLANK = re.compile(r"_{2,}|＿+")


@dataclass(frozen=True)
class Line:
    """The tokens of a text, `BLANK` where one is missing, and the places of those."""

    tokens: list[str]
    blanks: list[int]
    unknown: list[str]
    """Tokens that the model does not know."""


def count_blanks(given: str | Sequence[str]) -> int:
    """How many blanks a text has, or one that is in tokens already."""
    return len(_BLANK.findall(given)) if isinstance(given, str) else sum(map(bool, map(_BLANK.fullmatch, given)))


def read_line(given: str | Sequence[str], vocabulary: Any) -> Line:
    """The tokens of a text with blanks, or of one that is in tokens already.

    A token that is no symbol is looked up in lower case, too, and without the marks around it, as texts without
    punctuation and capitals were learnt from. Raises `DataError` for a text without a blank.
    """
    pieces = _BLANK.split(given) if isinstance(given, str) else _parted(given)
    if len(pieces) == 1:
        shown = given if isinstance(given, str) else " ".join(given)
        raise DataError(
            f"no blank in {shown[:60]!r}: write ___ where a word is missing, as in "
            '"i am going to ___ a new phone" or 我打算___一部新手机.'
        )
    tokens: list[str] = []
    blanks: list[int] = []
    unknown: list[str] = []
    for k, piece in enumerate(pieces):
        if k:
            blanks.append(len(tokens))
            tokens.append(BLANK)
        found = vocabulary.tokens(piece.strip()) if isinstance(piece, str) else piece
        known = [_known(token, vocabulary) for token in found]
        unknown += [token for token, as_known in zip(found, known, strict=True) if as_known is None]
        tokens += [token if as_known is None else as_known for token, as_known in zip(found, known, strict=True)]
    return Line(tokens, blanks, unknown)


def _parted(tokens: Sequence[str]) -> list[list[str]]:
    """Tokens parted at the blanks."""
    pieces: list[list[str]] = [[]]
    for token in tokens:
        if _BLANK.fullmatch(token):
            pieces.append([])
        else:
            pieces[-1].append(token)
    return pieces


def _known(token: str, vocabulary: Any) -> str | None:
    """A token as the vocabulary holds it; None where it does not."""
    bare = _bare(token)
    for written in dict.fromkeys((token, token.lower(), bare, bare.lower())):
        if written and int(vocabulary.encode([written])[0]) != vocabulary.unknown:
            return written
    return None


def _bare(token: str) -> str:
    """A token without the marks at its ends."""
    inner = [k for k, character in enumerate(token) if not unicodedata.category(character).startswith("P")]
    return token[inner[0] : inner[-1] + 1] if inner else ""
