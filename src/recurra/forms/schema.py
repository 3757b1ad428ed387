"""What values may be: whole numbers, numbers, texts, lists and tables of them, each with its bounds."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from recurra.errors import did_you_mean

LONGEST = 1 << 63
SHOWN = 60
"""Characters of a wrong value that a message shows."""


class Form(Protocol):
    """What a value may be."""

    @property
    def expected(self) -> str:
        """It in words, as behind "expected"."""

    def wrong(self, value: Any, place: str) -> tuple[str, Any, str] | None:
        """None, or the place in a value that is wrong, what is there, and what was expected."""


@dataclass(frozen=True)
class Whole:
    """A whole number, of 64 bits where nothing else is expected."""

    least: int = -LONGEST
    most: int = LONGEST - 1

    @property
    def expected(self) -> str:
        if self.least > -LONGEST and self.most < LONGEST - 1:
            return f"a whole number from {self.least:,} to {self.most:,}"
        return f"a whole number from {self.least:,}" if self.least > -LONGEST else "a whole number"

    def wrong(self, value: Any, place: str) -> tuple[str, Any, str] | None:
        if type(value) is int and self.least <= value <= self.most:
            return None
        return place, value, self.expected


@dataclass(frozen=True)
class Number:
    """A number that a float holds; with `finite` false also ±∞ and NaN, as a score may be."""

    least: float = -math.inf
    most: float = math.inf
    finite: bool = True

    @property
    def expected(self) -> str:
        if self.least > -math.inf:
            return f"a number from {self.least:g}" + (f" to {self.most:g}" if self.most < math.inf else "")
        return "a finite number" if self.finite else "a number"

    def wrong(self, value: Any, place: str) -> tuple[str, Any, str] | None:
        if type(value) in (int, float):
            try:
                held = float(value)
            except OverflowError:
                return place, value, f"{self.expected}, of 64 bits"
            if (not self.finite and not math.isfinite(held)) or (
                math.isfinite(held) and self.least <= held <= self.most
            ):
                return None
        return place, value, self.expected


@dataclass(frozen=True)
class Text:
    """A string of whole characters; `halves` allows lone surrogates, which no encoding writes."""

    longest: int = 1 << 20
    halves: bool = False

    @property
    def expected(self) -> str:
        return "a string"

    def wrong(self, value: Any, place: str) -> tuple[str, Any, str] | None:
        if not isinstance(value, str):
            return place, value, self.expected
        if len(value) > self.longest:
            return place, value, f"at most {self.longest:,} characters"
        if not self.halves and not value.isascii():
            try:
                value.encode("utf-8")
            except UnicodeEncodeError:
                return place, value, "whole characters, and no half of one (a lone surrogate)"
        return None


@dataclass(frozen=True)
class Constant:
    """One of a few values that JSON has a word for, each by its identity."""

    expected: str
    values: tuple[Any, ...]

    def wrong(self, value: Any, place: str) -> tuple[str, Any, str] | None:
        return None if any(value is each for each in self.values) else (place, value, self.expected)


NOTHING = Constant("null", (None,))
TRUTH = Constant("true or false", (True, False))


@dataclass(frozen=True)
class Anything:
    """Whatever JSON can hold; how deep it may be nested was looked at when it was read."""

    expected: str = "a value"

    def wrong(self, value: Any, place: str) -> tuple[str, Any, str] | None:
        return None


ANYTHING = Anything()


@dataclass(frozen=True)
class Either:
    """One of several forms."""

    forms: tuple[Form, ...]

    @property
    def expected(self) -> str:
        return " or ".join(form.expected for form in self.forms)

    def wrong(self, value: Any, place: str) -> tuple[str, Any, str] | None:
        found = [form.wrong(value, place) for form in self.forms]
        if None in found:
            return None
        inside = [each for each in found if each is not None and each[0] != place]
        return inside[0] if inside else (place, value, self.expected)


@dataclass(frozen=True)
class Items:
    """A list, every item of one form."""

    of: Form = ANYTHING
    most: int = 1 << 26
    least: int = 0

    @property
    def expected(self) -> str:
        return "a list" + (f" of {self.least:,} or more" if self.least else "")

    def wrong(self, value: Any, place: str) -> tuple[str, Any, str] | None:
        if not isinstance(value, (list, tuple)) or len(value) < self.least:
            return place, value, self.expected
        if len(value) > self.most:
            return place, value, f"at most {self.most:,} items"
        for k, item in enumerate(value):
            found = self.of.wrong(item, "")
            if found is not None:
                return f"{place}[{k}]{found[0]}", *found[1:]
        return None


@dataclass(frozen=True)
class Table:
    """An object: `keys` must be there, `optional` may be, `others` are of the form given, or refused where that is
    None."""

    keys: Mapping[str, Form] = field(default_factory=dict)
    optional: Mapping[str, Form] = field(default_factory=dict)
    others: Form | None = ANYTHING

    @property
    def expected(self) -> str:
        return "an object"

    def wrong(self, value: Any, place: str) -> tuple[str, Any, str] | None:
        if not isinstance(value, dict):
            return place, value, self.expected
        for key in self.keys:
            if key not in value:
                return f"{place}.{key}", _MISSING, self.keys[key].expected
        for key, inner in value.items():
            form = self.keys.get(key) or self.optional.get(key) or self.others
            if form is None:
                known = [*self.keys, *self.optional]
                return f"{place}.{key}", inner, f"no such key{did_you_mean(key, known)} Keys: {', '.join(known)}"
            found = form.wrong(inner, "")
            if found is not None:
                return f"{place}.{_key(key)}{found[0]}", *found[1:]
        return None


class _Missing:
    pass


_MISSING = _Missing()


def checked(value: Any, form: Form, name: str, error: Callable[[str], Exception], move: str) -> Any:
    """`value`, if it is of the form. Else raises `error` with `name` (a file), the place in it, what is there, what
    was expected, and `move`, the sentence about what to do."""
    found = form.wrong(value, "")
    if found is None:
        return value
    place, there, expected = found
    where = f"{place.removeprefix('.')} " if place else "it "
    what = "is missing" if there is _MISSING else f"is {shown(there)}"
    raise error(f"{name}: {where}{what}, expected {expected}. {move}")


def shown(value: Any) -> str:
    """A value of a file as a message shows it: as JSON, shortened."""
    if isinstance(value, dict):
        return f"an object of {len(value):,} keys"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value):,}"
    if type(value) is int and value.bit_length() > 80:
        return f"a whole number of {value.bit_length():,} bits"
    if isinstance(value, str) and len(value) > SHOWN:
        return f'{json.dumps(value[:SHOWN])[:-1]}…" ({len(value):,} characters)'
    try:
        return json.dumps(value)
    except TypeError:  # a date of TOML
        return str(value)


def _key(key: str) -> str:
    return key if key.isascii() and key.isprintable() and len(key) <= SHOWN else shown(key)
