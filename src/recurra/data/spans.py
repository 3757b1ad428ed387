"""Schemes that write spans as one tag a token, and the way between them.

| scheme | a span of one token | of three | beside another of its type |
|---|---|---|---|
| `bio` (IOB2) | `B-X` | `B-X I-X I-X` | the same |
| `iob1` | `I-X` | `I-X I-X I-X` | `B-X I-X I-X` |
| `bioes` | `S-X` | `B-X I-X E-X` | the same |
| `bmes` | `S-X` | `B-X M-X E-X` | the same |

A token of no span is `O`. Letters alone (`B`, `I`, …) are spans of the type "". `L-` and `U-` (BILOU)
are read as `E-` and `S-`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Literal

Scheme = Literal["bio", "iob1", "bioes", "bmes", "none"]
Span = tuple[str, int, int]
"""Type, first token, token after the last."""

_LETTERS = {"B": "B", "I": "I", "E": "E", "S": "S", "M": "M", "L": "E", "U": "S"}
_NO_LETTER = "?"
_ALLOWED = {"bio": "OBI", "iob1": "OBI", "bioes": "OBIES", "bmes": "OBMES"}
_WRITTEN = {
    "bio": ("B", "B", "I", "I"),
    "iob1": ("B", "B", "I", "I"),
    "bioes": ("S", "B", "I", "E"),
    "bmes": ("S", "B", "M", "E"),
}
"""The letters of a span of one token, and of a longer one's first, inner and last."""


def spans(tags: Sequence[str]) -> list[Span]:
    """The spans of a sentence as conlleval reads them, however malformed: `I-X` begins one where nothing can go on.

    A span begins at `B-` and `S-`, after `O`, `E-` and `S-`, and where the type changes. Where all is well-formed this
    is the scheme's own reading. In a tag without such a letter the whole is the type, and equal ones side by side are
    one span.

    Tjong Kim Sang and Buchholz, "Introduction to the CoNLL-2000 Shared Task: Chunking", 2000 (conlleval).
    """
    found: list[Span] = []
    begin, before, type_before = 0, "O", ""
    for k, (letter, type_) in enumerate(map(_parsed, (*tags, "O"))):
        if letter == "O" or letter in "BS" or before in "OES" or type_ != type_before:
            if before != "O":
                found.append((type_before, begin, k))
            begin = k
        before, type_before = letter, type_
    return found


def convert(tags: Sequence[str], source: Scheme, target: Scheme) -> list[str]:
    """The same spans in another scheme; tags as they are from or to the scheme "none".

    Spans are read as `spans` does, so malformed tags become well-formed ones of the same spans.
    """
    if "none" in (source, target):
        return list(tags)
    single, first, inner, last = _WRITTEN[target]
    written = ["O"] * len(tags)
    before: Span = ("", -1, -1)
    for span in spans(tags):
        type_, begin, end = span
        letters = single if end - begin == 1 else first + inner * (end - begin - 2) + last
        if target == "iob1" and not (before[0] == type_ and before[2] == begin):
            letters = "I" + letters[1:]
        written[begin:end] = [f"{letter}-{type_}" if type_ else letter for letter in letters]
        before = span
    return written


def detect(sequences: Iterable[Sequence[str]]) -> Scheme:
    """The scheme that sentences of tags are written in; "none" where a tag has none of the letters, or all are `O`.

    Between `bio` and `iob1` the one with fewer faults is taken, `bio` where both have as many.
    """
    letters: set[str] = set()
    faulty = {"bio": 0, "iob1": 0}
    for tags in sequences:
        letters.update(_parsed(tag)[0] for tag in tags)
        if _NO_LETTER in letters:
            return "none"
        for scheme in ("bio", "iob1"):
            faulty[scheme] += faults(tags, scheme)
    if letters <= {"O"}:
        return "none"
    if "M" in letters:
        return "bmes"
    if letters & {"E", "S"}:
        return "bioes"
    return "bio" if faulty["bio"] <= faulty["iob1"] else "iob1"


def faults(tags: Sequence[str], scheme: Scheme) -> int:
    """In how many places a sentence of tags is not written in the scheme; 0 for "none".

    A place is a token with a letter the scheme has not, or that does not go on from the one before as it must; or the
    end, where it leaves a span open.
    """
    if scheme == "none":
        return 0
    count = 0
    before, type_before = "O", ""
    for letter, type_ in map(_parsed, (*tags, "O")):
        same = before != "O" and type_ == type_before
        if letter not in _ALLOWED[scheme]:
            wrong = True
        elif scheme == "bio":
            wrong = letter == "I" and not same
        elif scheme == "iob1":
            wrong = letter == "B" and not same
        else:
            goes_on = letter in "IME"
            left_open = before in "BIM"
            wrong = not (same and left_open) if goes_on else left_open
        count += wrong
        before, type_before = letter, type_
    return count


@lru_cache(maxsize=10_000)
def _parsed(tag: str) -> tuple[str, str]:
    """Letter and type of a tag; the letter is "O" outside."""
    if tag == "O":
        return "O", ""
    letter, hyphen, type_ = tag.partition("-")
    if letter in _LETTERS and (hyphen or tag == letter):
        return _LETTERS[letter], type_
    return _NO_LETTER, tag
