"""Symbols of any text as they can stand in a table or a page: seen, escaped, and in nobody's way."""

from __future__ import annotations

import html

MARKS = {" ": "␣", "\n": "⏎", "\t": "⇥"}


def visible(token: str) -> str:
    """A symbol with what is not printed seen: a line end is ⏎, a lone space ␣, U+202E stands as \\u202e."""
    if token in MARKS:
        return MARKS[token]
    return "".join(c if c.isprintable() else MARKS.get(c) or repr(c)[1:-1] for c in token) or "∅"


def escaped(token: str) -> str:
    """A symbol as text of a page, and as the value of an attribute: shown, never read as markup."""
    return html.escape(visible(token))


def cut(token: str, width: int = 12) -> str:
    """So many characters at most, the last of a longer one an ellipsis."""
    seen = visible(token)
    return seen if len(seen) <= width else seen[: width - 1] + "…"


def number(value: float | None) -> str:
    """Three digits that count."""
    return "–" if value is None or value != value else f"{value:.3g}"


def share(value: float | None) -> str:
    """A part of 1 as per cent."""
    return "–" if value is None else f"{value:.0%}" if value in (0, 1) or 0.01 <= value <= 0.99 else f"{value:.1%}"
