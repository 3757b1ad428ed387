"""Files that are read piece by piece, each by itself: those larger than memory, and by several processes."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from recurra.data.files import GZIP, check_file, decoded, numbered
from recurra.errors import DataError
from recurra.types import Example

LONGEST = 1 << 28
"""Bytes of a line, 256 MiB: a piece ends with one."""
BLOCK = 1 << 20


@runtime_checkable
class ReadsPieces(Protocol):
    """A reader that can read a part of a file by itself: `read` gives what all pieces give, one after the other."""

    def pieces(self, path: Path, size: int) -> list[tuple[int, int]] | None:
        """The pieces of a file, of about so many bytes, in the reader's own numbers; None where it is read whole."""

    def read_piece(self, path: Path, begin: int, end: int) -> Iterator[Example]:
        """The examples of a piece; of a text it is a piece of that."""


def pieces_of(reader: object, path: Path, size: int) -> list[tuple[int, int]] | None:
    """The pieces of a file; None where the reader reads it whole."""
    return reader.pieces(path, size) if isinstance(reader, ReadsPieces) else None


def ends_lines(encoding: str) -> bool:
    """Whether a byte 10 is a line end in an encoding, and nothing else is one."""
    name = codecs.lookup(encoding).name
    return not name.startswith(("utf-16", "utf-32", "utf-7", "iso2022", "hz")) and "\n".encode(encoding) == b"\n"


def cut_at_lines(path: Path, size: int) -> list[tuple[int, int]] | None:
    """The pieces of a plain file, first byte and end, of about so many bytes, each ended by a line end but the last;
    None of one in gzip. Raises `DataError` for a line that is too long."""
    check_file(path)
    total, found = path.stat().st_size, list[tuple[int, int]]()
    with path.open("rb") as file:
        if file.read(2) == GZIP:
            return None
        begin = 0
        while begin < total:
            end = _line_end(file, begin + size, total, path)
            found.append((begin, end))
            begin = end
    return found or [(0, total)]


def text_of(path: Path, begin: int, end: int, encoding: str) -> str:
    """The text of the bytes from `begin` to before `end`. Raises as `recurra.data.files.read_text` does."""
    with path.open("rb") as file:
        file.seek(begin)
        return decoded(file.read(end - begin), named(path, begin), encoding)


def lines_of(path: Path, begin: int, end: int, encoding: str) -> Iterator[tuple[int, str]]:
    """The lines of these bytes, numbered from 1."""
    return numbered(text_of(path, begin, end, encoding))


def named(path: Path, begin: int) -> str:
    """What messages call the piece of a file that begins with a byte."""
    return f"{path}, from byte {begin:,}" if begin else str(path)


def _line_end(file: BinaryIO, at: int, total: int, path: Path) -> int:
    """Behind the first line end at a byte or later."""
    begin = at
    while at < total:
        file.seek(at)
        block = file.read(BLOCK)
        place = block.find(b"\n")
        if place >= 0:
            return at + place + 1
        at += len(block)
        if at - begin > LONGEST:
            raise DataError(
                f"{path}: no line end in {LONGEST:,} bytes from byte {begin:,} on. A corpus is read in pieces that end "
                "with a line: write the text in lines."
            )
    return total
