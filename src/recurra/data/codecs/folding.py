"""Upper case that is read as lower: by a vocabulary of a text that has none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

FOLDS = "The training text is in lower case throughout, so upper case is read as lower."
"""What there is to say of such a vocabulary."""


def all_lower(texts: Iterable[str]) -> bool:
    """Whether texts have lower-case letters and no others."""
    cased = False
    for text in texts:
        if text != text.lower():
            return False
        cased = cased or text != text.upper()
    return cased


def folded(text: str) -> str:
    """A text in lower case, as long as it was."""
    if text == text.lower():
        return text
    return "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def kept(folds: bool) -> dict[str, Any]:
    """What a record says of that."""
    return {"folds": True} if folds else {}
