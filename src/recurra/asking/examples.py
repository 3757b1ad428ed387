"""What a caller gives, as an example."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recurra.answers import Unknown
from recurra.answers.notes import is_blank
from recurra.data.codecs.contract import Opens, Shortens, Splits, Writes
from recurra.data.fields import Codecs
from recurra.data.files import read_bytes
from recurra.data.numbers import numbers_of
from recurra.errors import DataError
from recurra.types import Example

WORDS = ("source", "text", "tokens")
"""Fields of an example that a text, or tokens, may be."""


def as_example(given: Any, codecs: Codecs) -> Example:
    """What a caller gives as an example: a text, a list of tokens, numbers, the bytes of a file, what they hold, or an
    example as it is. Raises `DataError` for bytes that are no such file, and for a text where files are read."""
    if isinstance(given, Mapping):
        return dict(given)
    names, codec = codecs.fields["input"].of, codecs["input"]
    if isinstance(codec, Opens):
        forms = codec.forms
        if isinstance(given, str):
            raise DataError(
                "a text, expected the bytes of a file, which this run reads. In Python: Path(…).read_bytes(); of a "
                "server: the bytes in base64."
            )
        own = next((name for name in names if name in forms), names[0])
        return {own: codec.opened(bytes(given)) if isinstance(given, (bytes, bytearray, memoryview)) else given}
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


def example_of(path: Path, codecs: Codecs) -> Example:
    """What a file holds as an example, of a run that reads files. Raises `DataError` for one that is no such file."""
    value = codecs["input"].opened(read_bytes(path), str(path))
    return {**as_example(value, codecs), "place": str(path)}


def steps_of(example: Example, codecs: Codecs) -> int:
    """How many steps the input of an example has."""
    names = codecs.fields["input"].of
    bare = {name: value for name, value in example.items() if name in names}
    return len(codecs.encode(bare)["input"])


def beginning(example: Example, codecs: Codecs, length: int) -> Example:
    """At most so many steps of an example; a task that writes a target for its input has it whole."""
    codec, field = codecs["input"], codecs.fields["input"]
    if field.ended:
        return example
    name = next(name for name in field.of if name in example)
    value = example[name]
    along = [each for key, each in codecs.fields.items() if each.along and key != "input"]
    cut = {of: example[of][:length] for each in along for of in each.of if of in example}
    if isinstance(codec, Splits):
        rest = {key: each for key, each in example.items() if key != name}
        return {**rest, **cut, "tokens": codec.tokens(value)[:length]}
    if isinstance(codec, Shortens):
        return {**example, **cut, name: codec.shortened(value, length)}
    if isinstance(value, str):
        value = value[: 100 * length]  # far more than enough symbols, far less than a book
        ids = codec.encode(value)
        return {**example, name: value if len(ids) <= length else codec.decode(ids[:length])}
    return {**example, **cut, name: value[:length]}


def is_empty(example: Example, codecs: Codecs) -> bool:
    """Whether there is nothing in an example to answer: no token, no step, or nothing but what is not seen."""
    value = codecs.value("input", example)
    if isinstance(value, str):
        return is_blank(value)
    if hasattr(codecs["input"], "symbols"):
        return all(map(is_blank, value))
    return len(value) == 0


def written_as(codec: Any, value: Any, ids: Sequence[int]) -> list[str]:
    """The symbols of a text as they are written, known or not; `ids`: their numbers."""
    if isinstance(codec, Splits):
        return codec.tokens(value)
    if isinstance(codec, Writes) and isinstance(value, str):
        return codec.written(value)
    pieces: list[str] = codec.pieces(ids)
    return pieces


def unknown_in(codec: Any, written: Sequence[str], ids: Sequence[int]) -> tuple[Unknown, ...]:
    """The symbols, `written` so, that a vocabulary does not know, each once; the unknown symbol's own name is none."""
    if codec.unknown is None:
        return ()
    found: dict[str, int] = {}
    for place in np.flatnonzero(np.asarray(ids) == codec.unknown).tolist():
        found.setdefault(written[place], place)
    found.pop(codec.symbols[codec.unknown], None)
    unit = getattr(codec, "unit", "token")
    return tuple(Unknown(symbol, place, unit) for symbol, place in found.items())


def unknown_of(codec: Any, text: str) -> tuple[Unknown, ...]:
    """The symbols of a text that a vocabulary does not know, each once."""
    ids = codec.encode(text)
    return unknown_in(codec, written_as(codec, text, ids), ids)
