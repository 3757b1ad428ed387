"""What tells training data from others: the content of texts and examples, wherever they lie."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from recurra.types import Example

ASIDE = ("place", "path")
"""Where an example lies, which is another place once a file is moved."""


def of_text(text: str) -> str:
    """The fingerprint of a text."""
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()[:16]


def of_examples(examples: Iterable[Example]) -> str:
    """The fingerprint of all that is in examples but their places. Of arrays that is type, shape and every byte."""
    digest = hashlib.sha256()
    for example in examples:
        held = sorted((name, value) for name, value in example.items() if name not in ASIDE)
        if any(_has_array(value) for _, value in held):
            _add(digest, held)
        else:
            digest.update(repr(held).encode("utf-8", errors="surrogatepass"))
    return digest.hexdigest()[:16]


def of_value(value: Any) -> str:
    """The fingerprint of one value of an example."""
    digest = hashlib.sha256()
    _add(digest, value)
    return digest.hexdigest()[:16]


def _has_array(value: Any) -> bool:
    if isinstance(value, Mapping):
        value = list(value.values())
    if is_dataclass(value) and not isinstance(value, type):  # a recording
        value = [getattr(value, each.name) for each in fields(value)]
    return isinstance(value, np.ndarray) or (isinstance(value, (list, tuple)) and any(map(_has_array, value)))


def _add(digest: Any, value: Any) -> None:
    """Add a value, with what tells it from others of the same bytes; arrays leave their bytes, others their repr."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        digest.update(f"array {value.dtype.str} {value.shape} ".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, (list, tuple, np.ndarray)):
        digest.update(f"{type(value).__name__} {len(value)} ".encode())
        for inner in value:
            _add(digest, inner)
    elif isinstance(value, Mapping):
        _add(digest, sorted(value.items()))
    elif is_dataclass(value) and not isinstance(value, type):
        _add(digest, [getattr(value, each.name) for each in fields(value)])
    else:
        written = repr(value).encode("utf-8", errors="surrogatepass")
        digest.update(f"{len(written)} ".encode() + written)
