"""Marks that stand apart from words, as a tokeniser of words leaves them: "Ulaanbaatar," is two tokens."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping

APART = 0.75
"""So large a share of a mark's tokens is it alone, where it stands apart: the other points are those of "U.S."."""
ENDINGS = ("n't", "'s", "'ll", "'re", "'ve", "'d", "'m")
"""What English tokenisers part from a word, where they are tokens of the training data."""


def is_mark(character: str) -> bool:
    """Whether a character is punctuation."""
    return unicodedata.category(character)[0] == "P"


def joined_marks(counts: Mapping[str, int]) -> dict[str, str] | None:
    """Of tokens and how often each is there: the marks that stay with the word that they open or close, as "opening"
    and "closing"; None where marks do not stand apart from words."""
    alone: dict[str, int] = {}
    beside: dict[str, dict[str, int]] = {"opening": {}, "closing": {}}
    for token, count in counts.items():
        if token and all(map(is_mark, token)):
            alone[token[0]] = alone.get(token[0], 0) + count
        elif token:
            for way, mark in (("opening", token[0]), ("closing", token[-1])):
                if is_mark(mark):
                    beside[way][mark] = beside[way].get(mark, 0) + count
    by_itself, attached = sum(alone.values()), sum(beside["closing"].values())
    if not by_itself or by_itself < APART * (by_itself + attached):
        return None
    return {
        way: "".join(sorted(m for m, n in found.items() if alone.get(m, 0) < APART * (alone.get(m, 0) + n)))
        for way, found in beside.items()
    }


def marks_apart(word: str, joined: Mapping[str, str], known: Callable[[str], bool]) -> list[str]:
    """What white space parts as tokens: as far as a word is not `known`, the marks at its ends are tokens of their own,
    but for `joined` ones, and so is an ending that is known. Equal marks side by side are one; the point of "e.g." and
    of "J." stays."""
    front: list[str] = []
    back: list[str] = []
    while word and not known(word):
        last, first = word[-1], word[0]
        short = last == "." and (len(word) == 2 or "." in word[:-1].rstrip("."))
        if is_mark(last) and last not in joined["closing"] and not short:
            bare = word.rstrip(last)
            back.insert(0, word[len(bare) :])
            word = bare
        elif is_mark(first) and first not in joined["opening"]:
            bare = word.lstrip(first)
            front.append(word[: len(word) - len(bare)])
            word = bare
        else:
            break
    if word and not known(word):
        straight = word.replace("\u2019", "'")
        for ending in ENDINGS:
            if len(word) > len(ending) and straight.lower().endswith(ending) and known(straight[-len(ending) :]):
                return [*front, word[: -len(ending)], straight[-len(ending) :], *back]
    return [*front, *([word] if word else []), *back]
