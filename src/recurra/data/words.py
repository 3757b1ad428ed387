"""How a text is parted into words, for language models and for models of examples alike."""

from __future__ import annotations

import re
from typing import Literal

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(
    rf"</?\w+ ?/?>"  # <br />, <unk>
    rf"|\d+(?:[.,:]\d+)+"
    rf"|[{_HAN}]"
    rf"|[^\W{_HAN}]+(?:['’][^\W{_HAN}]+)*"
    rf"|[^\w\s]"
)
_DIGIT = re.compile(r"\d")


def split_words(text: str, split: Literal["space", "words"]) -> list[str]:
    """The words of a text: "space" where the white space is; "words" are words, numbers, marks and tags in <>, each
    Chinese character a word."""
    return text.split() if split == "space" else _WORD.findall(text)


def with_zeros(word: str) -> str:
    """A word with every digit a 0."""
    return _DIGIT.sub("0", word)
