"""What is piped in: text as soon as it is there, and its lines, long ones in pieces."""

from __future__ import annotations

import codecs
import io
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from recurra.errors import DataError

CHUNK = 1 << 12
"""Bytes that are read at once at most; fewer where no more are there."""
PIECE = 1 << 12
"""Characters of a line that are waited for before a piece of it is passed on; shorter lines stay whole."""
_BETWEEN = re.compile(r".*[ \t\n\r\f\v](?=[^\s/>])", re.DOTALL)
"""Up to the last space, tab or line end with a word behind it; "<br />" is one, and so are words that a no-break space
joins."""


class Piece(NamedTuple):
    """A line, or some of it."""

    line: int
    """Its number, from 1."""
    text: str
    """Without the line end."""
    ended: bool
    """Whether the line end stands behind it."""
    last: bool
    """Whether nothing more of the line comes: its end, or that of the input."""


def arriving(encoding: str) -> Iterator[str]:
    """What is piped in, as soon as it is there. Raises `DataError` for bytes that are not of this encoding."""
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)(), translate=True)
    source: Any = sys.stdin.buffer
    line, begun = 1, False
    while True:
        chunk = source.read1(CHUNK)
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            raw = error.object
            good = raw[: error.start].decode(encoding)
            yield good
            raise DataError(
                f"what is piped in:{line + good.count(chr(10))}: byte 0x{raw[error.start]:02x} is not valid "
                f"{encoding}. Name its encoding: --set reader.encoding=latin-1 (or cp1252, gb18030, …)."
            ) from error
        text = text if begun else text.removeprefix("\ufeff")
        begun = begun or bool(text)
        line += text.count("\n")
        yield text
        if not chunk:
            return


def pieces(texts: Iterator[str], cut: Callable[[str], int] | None = None, least: int = PIECE) -> Iterator[Piece]:
    """The lines of texts that come one behind the other.

    `cut` says of a text how many of its characters can be passed on before the rest is there; None: none, so that lines
    come whole. Of a line something is passed on as soon as `least` characters of it wait.
    """
    number, held, size, begun = 1, list[str](), 0, False
    for text in texts:
        *ends, rest = text.split("\n")
        for end in ends:
            yield Piece(number, "".join([*held, end]), True, True)
            number, held, size, begun = number + 1, [], 0, False
        before = held[-1][-1:] if held else ""
        held.append(rest)
        size += len(rest)
        if cut is not None and size >= least and (found := cut(before + rest)):
            stays = (before + rest)[found:]
            whole = "".join(held)
            yield Piece(number, whole[: len(whole) - len(stays)], False, False)
            held, size, begun = [stays], len(stays), True
    if size or begun:
        yield Piece(number, "".join(held), False, True)


def between_words(text: str) -> int:
    """Up to where the words of a text are whole, whatever comes behind it: the last white space with a word behind."""
    found = _BETWEEN.match(text)
    return found.end() if found else 0
