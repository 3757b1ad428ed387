"""How tokens and symbols are shown: whether with spaces between them, and those that would not be seen."""

from __future__ import annotations

from collections.abc import Sequence

WIDE = (("\u2e80", "\u9fff"), ("\uac00", "\ud7af"), ("\U00020000", "\U0003ffff"))
"""Characters of Chinese, Japanese and Korean."""


def is_spaced(tokens: Sequence[str]) -> bool:
    """Whether tokens are written with spaces between them: Chinese characters and the like are not."""
    return any(len(token) > 1 and not _is_wide(token) for token in tokens) or not any(map(_is_wide, tokens))


def _is_wide(token: str) -> bool:
    return any(first <= c <= last for c in token for first, last in WIDE)


SHOWN = {" ": "␣", "\n": "⏎", "\t": "⇥"}
"""Symbols that would not be seen."""


def visible(symbol: str) -> str:
    """A symbol as it can be seen."""
    return SHOWN.get(symbol, symbol if symbol.isprintable() else repr(symbol)[1:-1])
