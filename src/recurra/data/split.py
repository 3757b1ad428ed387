"""Contiguous cuts of one long text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from recurra.errors import ConfigError, DataError

_NAMES = {2: ("train", "test"), 3: ("train", "valid", "test")}


@dataclass(frozen=True)
class Cut:
    """The parts of a text in their order, and where it was cut; unpacks into the parts, `str()` says what was done."""

    names: tuple[str, ...]
    parts: tuple[str, ...]
    where: tuple[str, ...]
    """For each place a part ends and the next begins: "at a line end", "inside a line" or "at the exact fraction"."""

    def __iter__(self) -> Iterator[str]:
        return iter(self.parts)

    def __str__(self) -> str:
        return described(dict(zip(self.names, map(len, self.parts), strict=True)), self.where)


def cut(text: str, fractions: Sequence[float], *, names: Sequence[str] | None = None, exact: bool = False) -> Cut:
    """Cut a text into contiguous parts whose sizes are `fractions` of it, the first part first.

    A part ends at the last line end at or before its fraction, inside a line where it has no line end of its own;
    `exact=True` cuts at `int(fraction · characters)` whatever is there. Without `names` the parts are called train,
    valid, test, or train, test where there are two, or part 1, part 2, ….

    Raises `ConfigError` for fractions that are not positive or do not sum to one, `DataError` for a text too short.
    """
    check_fractions(fractions)
    called = tuple(names or _NAMES.get(len(fractions)) or (f"part {k + 1}" for k in range(len(fractions))))
    places, where = [0], []
    for k in range(1, len(fractions)):
        place, how = int(math.fsum(fractions[:k]) * len(text)), "at the exact fraction"
        if not exact:
            line = text.rfind("\n", places[-1], place) + 1
            place, how = (line, "at a line end") if line else (place, "inside a line")
        places.append(place)
        where.append(how)
    places.append(len(text))
    parts = tuple(text[a:b] for a, b in pairwise(places))
    if not all(parts):
        raise too_short(len(text), called, fractions)
    return Cut(called, parts, tuple(where))


def described(counts: Mapping[str, int], where: Sequence[str]) -> str:
    """What was cut: how many characters each part has, and where they were cut."""
    total = sum(counts.values())
    shares = [f"{name} {count:,} ({count / total:.1%})" for name, count in counts.items()]
    return f"cut {total:,} characters, in their order, into {', '.join(shares)}; cut {', '.join(dict.fromkeys(where))}"


def check_fractions(fractions: Sequence[float]) -> None:
    """Raise `ConfigError` for fractions that are not positive or do not sum to one."""
    if min(fractions, default=0) <= 0 or not math.isclose(math.fsum(fractions), 1):
        raise ConfigError(
            f"a text cannot be cut by the fractions {_listed(fractions)}: expected positive numbers that sum to 1. "
            "Change data.valid_fraction and data.test_fraction."
        )


def too_short(total: int, names: Sequence[str], fractions: Sequence[float]) -> DataError:
    """The error about a text of so many characters of which a part would be empty."""
    return DataError(
        f"a text of {total:,} characters is too short to be cut into {', '.join(names)} by the fractions "
        f"{_listed(fractions)}. Use a longer text, or name files with --valid and --test."
    )


def _listed(fractions: Sequence[float]) -> str:
    return ", ".join(f"{fraction:g}" for fraction in fractions) or "()"
