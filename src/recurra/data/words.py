"""How a text is parted into words, for language models and for models of examples alike."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

SPLITTER = 2
"""Version of the way to part a text. A vocabulary says by which its words were found, and is asked by that one."""

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# Every sign of the categories Mn, Mc and Me lies here, as a test says. Beside them joiners (Persian, Indic scripts,
# emoji), the shades of emoji and the tags of flags: none of them is anything without the sign before it.
_PLACES = (range(0x300, 0x3400), range(0xA000, 0xAC00), range(0xD7B0, 0x1F000), range(0xE0100, 0xE01F0))
MARKS = "".join(chr(c) for part in _PLACES for c in part if unicodedata.category(chr(c))[0] == "M") + (
    "\u200c\u200d\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f"
)
INVISIBLE = re.compile("[\u00ad\u061c\u180e\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]")
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
_APART = re.compile(r"[^ \t\n\r\f\v]+")
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
        return _APART.findall(text)
    return _WORD.findall(text if text.isascii() else INVISIBLE.sub("", text.replace(BREAK, " ")))


def with_zeros(word: str) -> str:
    """A word with every digit a 0."""
    return _DIGIT.sub("0", word)
