"""What a caller gives, as an example."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recurra.data.fields import Codecs
from recurra.data.numbers import numbers_of
from recurra.types import Example

WORDS = ("source", "text", "tokens")
"""Fields of an example that a text, or tokens, may be."""


def as_example(given: Any, codecs: Codecs) -> Example:
    """What a caller gives as an example: a text, a list of tokens, numbers, or an example as it is."""
    if isinstance(given, Mapping):
        return dict(given)
    names = codecs.fields["input"].of
    if not hasattr(codecs["input"], "symbols"):
        own = next((name for name in names if name not in WORDS), names[0])
        return {own: numbers_of(given) if isinstance(given, str) else given}
    if names[0] == "source":
        return {"source": given if isinstance(given, str) else list(given)}
    if isinstance(given, str):
        return {"text": given}
    if "tokens" not in codecs["input"].forms:  # which finds its symbols itself: words are parted by spaces
        return {"text": (" " if hasattr(codecs["input"], "split") else "").join(given)}
    return {"tokens": list(given)}
