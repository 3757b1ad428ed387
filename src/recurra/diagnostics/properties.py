"""What a unit might keep track of in a text, as a number a token: quotes, the place in the line, nesting."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Property = NDArray[np.float64]
LINE_ENDS = frozenset("\n\r\u2028\u2029")
OPENING, CLOSING = "([{（［｛【《〈", ")]}）］｝】》〉"
QUOTES = dict(zip("“‘「『«„", "”’」』»“", strict=True))
"""Opening → closing; the straight quote opens and closes by turns. An apostrophe is none."""


def inside_quotes(tokens: Sequence[str]) -> Property:
    """1 inside quotation marks, the opening one counted, else 0; a line's end does not close them."""
    closing: list[str] = []

    def read(character: str) -> float:
        if closing and character == closing[-1]:
            closing.pop()
        elif character == '"':
            closing.append('"')
        elif character in QUOTES and character != "‘":
            closing.append(QUOTES[character])
        return float(bool(closing))

    return _after_each(tokens, read)


def position_in_line(tokens: Sequence[str]) -> Property:
    """Tokens since the line began: 1 at its first, 0 at its end mark."""
    found, place = [], 0
    for token in tokens:
        place = 0 if LINE_ENDS.intersection(token) else place + 1
        found.append(float(place))
    return np.array(found)


def nesting(tokens: Sequence[str]) -> Property:
    """How many brackets are open; one that closes nothing is passed over."""
    depth = 0

    def read(character: str) -> float:
        nonlocal depth
        depth += (character in OPENING) - (character in CLOSING and depth > 0)
        return float(depth)

    return _after_each(tokens, read)


PROPERTIES: dict[str, Callable[[Sequence[str]], Property]] = {
    "quotes": inside_quotes,
    "line": position_in_line,
    "nesting": nesting,
}
"""By the name that they are asked for."""


def _after_each(tokens: Sequence[str], read: Callable[[str], float]) -> Property:
    """What `read` says of each token's last character; an empty token has the value before it."""
    found, value = [], 0.0
    for token in tokens:
        for character in token:
            value = read(character)
        found.append(value)
    return np.array(found)
