"""How a text is parted into words, for language models and for models of examples alike."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

SPLITTER = 2
"""Version of the way to part a text. A vocabulary says by which its words were found, and is asked by that one."""


def _ranges(codes: list[int]) -> str:
    """Code points as what a regular expression has in brackets: their ranges, which it tests far quicker than signs."""
    held = set(codes)
    begins = [code for code in codes if code - 1 not in held]
    ends = [code for code in codes if code + 1 not in held]
    return "".join(f"{chr(begin)}-{chr(end)}" for begin, end in zip(begins, ends, strict=True))


_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# Every sign of the categories Mn, Mc and Me lies here, as a test says. Beside them joiners (Persian, Indic scripts,
# emoji), the shades of emoji and the tags of flags: none of them is anything without the sign before it.
_PLACES = (range(0x300, 0x3400), range(0xA000, 0xAC00), range(0xD7B0, 0x1F000), range(0xE0100, 0xE01F0))
_FOUND = [code for part in _PLACES for code in part if unicodedata.category(chr(code))[0] == "M"]
_LOW = _ranges([code for code in _FOUND if code <= 0xFFFF]) + "\u200c\u200d"
MARKS = _LOW + _ranges([code for code in _FOUND if code > 0xFFFF]) + "\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f"
_UNSEEN = "\u00ad\u061c\u180e\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff"
INVISIBLE = re.compile(f"[{_UNSEEN}]")
"""Soft hyphens, directions of writing, word joiners: what they say is how a word is set, not which it is."""
BREAK = "\u200b"
"""Parts words without a space: Thai, Khmer."""
_WORD = re.compile(
    rf"</?\w+ ?/?>"  # <br />, <unk>
    rf"|\d+(?:[.,:]\d+)+[{MARKS}]*+"
    rf"|[{_HAN}][{MARKS}]*+"
    rf"|(?:[^\W{_HAN}]++[{MARKS}]*+)++(?:['’](?:[^\W{_HAN}]++[{MARKS}]*+)++)*"
    rf"|[^\w\s][{MARKS}]*+(?:(?<=\u200d)[^\w\s][{MARKS}]*+)*"
)
_WORD_1 = re.compile(
    rf"</?\w+ ?/?>|\d+(?:[.,:]\d+)+|[{_HAN}]|[^\W{_HAN}]+(?:['’][^\W{_HAN}]+)*|[^\w\s]"  # cut at marks
)
_BEYOND = re.compile(f"[{_LOW}{_UNSEEN}{BREAK}\U00010000-\U0010ffff]")
"""What the first splitter parts otherwise may be in a text that holds one of these."""
_APART = re.compile(r"[^ \t\n\r\f\v]+")
_BLANK = re.compile("[\x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
"""White space that parts nothing here; without it `str.split` finds the same, in half the time."""
_DIGIT = re.compile(r"\d")


def split_words(text: str, split: Literal["space", "words"], splitter: int = SPLITTER) -> list[str]:
    """The words of a text: "space" where spaces, tabs and line ends are; "words" are words, numbers, marks and tags in
    <>, each Chinese character a word.

    Combining marks, vowel signs and joiners stay with the letter before them, those of emoji with the emoji; soft
    hyphens and marks of direction are left out of "words", a zero-width space parts two. A no-break space parts no
    words of "space", as in files of columns. A script without spaces (Thai) is one word up to the next space or mark.

    `splitter` 1 is the way of runs whose vocabulary names none: words cut at combining marks, white space of any kind.
    """
    if splitter == 1:
        return text.split() if split == "space" else _WORD_1.findall(text)
    if split == "space":
        return _APART.findall(text) if _BLANK.search(text) else text.split()
    if text.isascii() or not _BEYOND.search(text):
        return _WORD_1.findall(text)
    return _WORD.findall(INVISIBLE.sub("", text.replace(BREAK, " ")))


def with_zeros(word: str) -> str:
    """A word with every digit a 0."""
    return _DIGIT.sub("0", word)
