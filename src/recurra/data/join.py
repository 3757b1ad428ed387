"""Words and marks written as a text again."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NO_SPACE_BEFORE = frozenset(".,;:!?%)]}…»”’、。，！？；：）】》」』·")
_NO_SPACE_AFTER = frozenset("([{«„“‘$£#@¿¡（【《「『、。，！？；：·")
_NONE_AROUND = frozenset("-/–_")
_QUOTES = frozenset("\"'")
_IDEOGRAPH = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


def join_words(tokens: Iterable[str]) -> str:
    """A text of words and marks: a space between two words, marks where they are usually written.

    No space before `. , ; : ! ? % )`, after `(`, around a hyphen and a slash, beside Chinese and Japanese characters;
    straight quotes open and close by turns, `“` closes after `„`. What was written otherwise cannot be known from
    the tokens.
    """
    written: list[str] = []
    open_quotes: set[str] = set()
    before = ""
    glued = True
    for token in tokens:
        closes = token in open_quotes
        apart = not (glued or closes or token in _NO_SPACE_BEFORE or token in _NONE_AROUND)
        if _IDEOGRAPH.match(before[-1:]) or _IDEOGRAPH.match(token):
            apart = False
        written.append(f" {token}" if apart else token)
        glued = token in _NO_SPACE_AFTER or token in _NONE_AROUND
        if token in _QUOTES:
            open_quotes ^= {token}
            glued = not closes
        elif token == "„":
            open_quotes.add("“")
        elif closes:
            open_quotes.remove(token)
            glued = False
        before = token
    return "".join(written)
