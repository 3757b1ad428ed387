"""How much of a text was copied: the longest run of characters that stands in a training text, too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]


def longest_copies(texts: Sequence[str], train: Sequence[str]) -> Ids:
    """Of each text the length of the longest run of its characters that stands within one training text. [N].

    Runs grow by one character at a time, all at once: of those of n characters go on only those that both sides have,
    each known by a number. After a few characters few are left, so that it takes little more than reading the texts.
    """
    found = np.zeros(len(texts), np.int64)
    letters, of = _letters(texts)
    other, parts = _letters(train)
    mine, theirs = np.arange(len(letters)), np.arange(len(other))  # where the runs that still live begin
    run, known = np.zeros(len(letters), np.int64), np.zeros(len(other), np.int64)  # their numbers
    length = 0
    while len(mine) and len(theirs):
        mine, run = _longer(letters, of, mine, run, length)
        theirs, known = _longer(other, parts, theirs, known, length)
        numbers, run = np.unique(run, return_inverse=True)
        place = np.minimum(np.searchsorted(numbers, known), max(0, len(numbers) - 1))
        there = numbers[place] == known if len(numbers) else np.zeros(len(known), bool)
        theirs, known = theirs[there], place[there]
        shared = np.zeros(len(numbers), bool)
        shared[known] = True
        mine, run = mine[shared[run]], run[shared[run]]
        length += 1
        found[of[mine]] = length
    return found


def _letters(texts: Sequence[str]) -> tuple[Ids, Ids]:
    """The characters of texts behind each other, and the text that each belongs to; a place more ends the last."""
    joined = np.frombuffer("".join(texts).encode("utf-32-le", errors="surrogatepass"), "<u4").astype(np.int64)
    return joined, np.repeat(np.arange(len(texts)), [len(text) for text in texts])


def _longer(letters: Ids, of: Ids, begin: Ids, run: Ids, length: int) -> tuple[Ids, Ids]:
    """The runs of one character more that lie in one text, and a number for each that says what it holds."""
    end = begin + length
    inside = end < len(letters)
    begin, run, end = begin[inside], run[inside], end[inside]
    inside = of[begin] == of[end]
    begin, run, end = begin[inside], run[inside], end[inside]
    return begin, (run << 21) + letters[end]  # code points are below 2²¹
