"""Word vectors from text files, as GloVe and word2vec write them."""

from __future__ import annotations

import gzip
import re
import zlib
from array import array
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recurra.data.files import GZIP, check_file, most_unpacked, shortened, too_much
from recurra.data.sets import find_vectors, vector_names
from recurra.errors import DataError, did_you_mean

_THOUSANDS = re.compile(r"\d{1,3}(?: \d{3})+ ")

if TYPE_CHECKING:
    from numpy.typing import NDArray


def vectors_path(name: str | Path) -> Path:
    """The file meant by the name of a set of word vectors, or by its own path. Raises `DataError` for neither."""
    if str(name) in vector_names():
        return find_vectors(str(name))
    path = Path(name)
    if not path.exists() and path.suffix not in (".txt", ".vec", ".gz") and len(path.parts) == 1:
        raise DataError(
            f"vocabulary.vectors = {str(name)!r} is neither a file nor a set of word vectors"
            f"{did_you_mean(str(name), vector_names())} Known: {', '.join(vector_names())}."
        )
    return path


LONGEST_LINE = 1 << 20
"""Bytes of a line: a word and its vector."""


def read_vectors(path: str | Path, encoding: str = "utf-8") -> tuple[list[str], NDArray[np.float32]]:
    """The words and their vectors [N, D], in the order of the file; plain or in gzip.

    A line is a word and D numbers, parted by single spaces. What stands before the last D numbers is the word, with
    its spaces if it has any, as in `10 000`. A first line of two whole numbers, as word2vec writes it, says N and D;
    some programs leave a word of their own out of that N, so one more is taken, too.

    Raises `DataError` with path and line for another D, for what is no finite number, and for a file cut off.
    """
    path = Path(path)
    words: list[str] = []
    numbers = array("f")
    lines: list[int] = []
    size, said = 0, None
    rows = _lines(path, encoding)
    head = list(islice(rows, 100))
    for number, line in chain(head, rows):
        parts = line.split(" ")
        if number == 1 and len(parts) == 2 and all(part.isdecimal() and len(part) < 19 for part in parts):
            said, size = int(parts[0]), int(parts[1])
            continue
        if not size:  # as the first line says whose word is not 10 000
            size = len(next((each for _, each in head if not _THOUSANDS.match(each)), line).split(" ")) - 1
        word = " ".join(parts[:-size])
        several = len(parts) > size + 1 and _is_number(parts[1]) and not _THOUSANDS.fullmatch(f"{word} ")
        if len(parts) <= size or several or not size:
            raise DataError(
                f"{path}:{number}: {len(parts) - 1} numbers after the word, expected {size or '1 or more'}. "
                "Is the line cut off, or the file no text file of word vectors?"
                + (f" If {shortened(word)} is a word, leave its line out." if several else "")
            )
        try:
            numbers.extend(map(float, parts[-size:]))
        except ValueError as error:
            raise DataError(
                f"{path}:{number}: {error}, expected {size} numbers after the word {shortened(parts[0])}."
            ) from error
        words.append(word)
        lines.append(number)
    if not words:
        raise DataError(f"{path}: no word vectors, expected lines of a word and its numbers. Name another file.")
    if said is not None and not 0 <= len(words) - said <= 1:
        raise DataError(
            f"{path}: {len(words):,} words, expected {said:,} as its first line says. Copy or download it again; if it "
            f"is whole, its first line should be {len(words)} {size}."
        )
    vectors = np.frombuffer(numbers, np.float32).reshape(len(words), size).copy()
    wrong = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(wrong):
        k = int(wrong[0])
        raise DataError(
            f"{path}:{lines[k]}: the vector of {shortened(words[k])} is not finite in float32. Leave the word out of "
            "the file."
        )
    return words, vectors


def _lines(path: Path, encoding: str) -> Iterator[tuple[int, str]]:
    """Number and text of the lines that are not blank. Only \\n ends a line: other line ends occur inside words."""
    check_file(path)
    number = 0
    try:
        with path.open("rb") as probe:
            packed = probe.read(len(GZIP)) == GZIP
        with gzip.open(path) if packed else path.open("rb") as file:
            size = path.stat().st_size
            most = left = most_unpacked(size, held=False) if packed else size
            for number, raw in enumerate(iter(lambda: file.readline(LONGEST_LINE + 1), b""), start=1):
                left -= len(raw)
                if len(raw) > LONGEST_LINE:
                    raise DataError(f"{path}:{number}: a line of more than {LONGEST_LINE:,} bytes, expected a vector.")
                if packed and left < 0:
                    raise too_much(str(path), size, most)
                line = raw.decode(encoding).removeprefix("\ufeff" if number == 1 else "").rstrip(" \r\n")
                if line:
                    yield number, line
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}:{number}: byte 0x{error.object[error.start]:02x} is not valid {encoding}. Write the file anew "
            f"in {encoding}."
        ) from error
    except (EOFError, zlib.error, OSError) as error:
        raise DataError(
            f"{path}: not a sound file after line {number:,} ({error}). Copy or download it again."
        ) from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
