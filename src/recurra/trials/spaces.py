"""What settings are tried: values of a list, and numbers of a range. The same seed draws the same, trial by trial."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recurra.config import parse_settings
from recurra.errors import ConfigError, did_you_mean

KINDS = ("uniform", "log", "int", "log-int", "choice")
DIGITS = 4
"""Digits that count of a number that is drawn: what is told of a trial is all that there is to it."""
MOST = 10_000
"""Trials of a sweep."""
_LIKE = "--random training.learning_rate=log:1e-4:1e-2, int:64:512, log-int:…, uniform:… or choice:lstm,gru"
_INSIDE = {"[": "]", "{": "}"}


@dataclass(frozen=True)
class Values:
    """Values of a list."""

    values: tuple[Any, ...]

    def at(self, share: float) -> Any:
        """The value so far along the list, 0 ≤ share < 1."""
        return self.values[int(share * len(self.values))]


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`; `log`: their logarithms are drawn evenly."""

    low: float
    high: float
    log: bool
    whole: bool

    def at(self, share: float) -> float | int:
        """The number so far along the range, 0 ≤ share < 1."""
        low, high = (self.low - 0.5, self.high + 0.5) if self.whole else (self.low, self.high)
        found = low * (high / low) ** share if self.log else low + share * (high - low)
        if self.whole:
            return min(int(self.high), max(int(self.low), round(found)))
        return min(self.high, max(self.low, rounded(found)))


Space = Values | Range
Settings = dict[str, Any]


def rounded(value: float) -> float:
    """A number by the digits that are kept of it."""
    return float(f"{value:.{DIGITS}g}")


def parse_grid(texts: Iterable[str]) -> dict[str, Values]:
    """`["core.hidden_size=128,256"]` as name → values. Raises `ConfigError` for what is none."""
    found: dict[str, Values] = {}
    for text in texts:
        name, equals, written = (part.strip() for part in text.partition("="))
        if not equals or not written:
            raise ConfigError(f"--grid {text} names no values. Write --grid core.hidden_size=128,256.")
        _add(found, "--grid", name, _values("--grid", name, written))
    return found


def parse_random(texts: Iterable[str]) -> dict[str, Space]:
    """`["training.learning_rate=log:1e-4:1e-2"]` as name → what it is drawn of. Raises `ConfigError`."""
    found: dict[str, Space] = {}
    for text in texts:
        name, equals, written = (part.strip() for part in text.partition("="))
        kind, colon, rest = (part.strip() for part in written.partition(":"))
        if not equals or not colon or not rest:
            raise ConfigError(f"--random {text} says not what to draw. Write {_LIKE}.")
        if kind not in KINDS:
            raise ConfigError(f"--random {text}: unknown kind {kind!r}{did_you_mean(kind, KINDS)} Write {_LIKE}.")
        _add(found, "--random", name, _space(text, name, kind, rest))
    return found


def texts_of(texts: Iterable[str]) -> dict[str, str]:
    """The same as name → what is drawn, as it is written. Raises as `parse_random`."""
    texts = [*texts]
    parse_random(texts)
    return {name.strip(): written.strip() for name, _, written in (text.partition("=") for text in texts)}


def of_lists(grid: Mapping[str, Iterable[Any]]) -> dict[str, Values]:
    """The same of Python's values."""
    found: dict[str, Values] = {}
    for name, values in grid.items():
        if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
            raise ConfigError(f"grid: {name} = {values!r}, expected a list of values.")
        _add(found, "grid:", name, _distinct("grid:", name, [*values]))
    return found


def trials(
    grid: Mapping[str, Values], drawn: Mapping[str, Space], count: int, seed: int, shuffled: bool
) -> Iterator[Settings]:
    """The settings of so many trials: the grid's points in their order, each with numbers of its own.

    Of a grid alone, `shuffled`, the points in an order that the seed draws. What a trial is does not depend on how many
    there are.
    """
    points, order = math.prod(len(each.values) for each in grid.values()), None
    if shuffled and not drawn:
        order = sorted(range(points), key=lambda k: (random.Random(f"{seed} point {k}").random(), k))
    for k in range(count):
        chance = random.Random(f"{seed} trial {k}")
        own = {name: space.at(chance.random()) for name, space in sorted(drawn.items())}
        yield {**point(grid, k % points if order is None else order[k]), **{name: own[name] for name in drawn}}


def point(grid: Mapping[str, Values], number: int) -> Settings:
    """A point of the grid; the last setting changes first."""
    found: Settings = {}
    for name, each in reversed([*grid.items()]):
        number, k = divmod(number, len(each.values))
        found[name] = each.values[k]
    return dict(reversed([*found.items()]))


def count_of(grid: Mapping[str, Values], drawn: Mapping[str, Space], asked: int | None) -> int:
    """How many trials there are. Raises `ConfigError` where that is not said, or cannot be."""
    points = math.prod(len(each.values) for each in grid.values())
    if not grid and not drawn:
        raise ConfigError(f"nothing to try. Name settings: --grid core.hidden_size=128,256, or {_LIKE}.")
    for name in grid.keys() & drawn.keys():
        raise ConfigError(f"{name} is in --grid and in --random. Leave it away in one of them.")
    if asked is None and drawn:
        raise ConfigError("--random draws as many trials as are wanted. Say how many: --trials 20.")
    if asked is not None and asked < 1:
        raise ConfigError(f"--trials {asked}, expected a whole number from 1.")
    if asked is not None and not drawn and asked > points:
        raise ConfigError(
            f"--trials {asked}, but the grid has {points} points. Leave --trials away, or add values to --grid."
        )
    count = points if asked is None else asked
    if count > MOST:
        raise ConfigError(f"{count:,} trials, expected {MOST:,} at most. Try fewer: --trials 100.")
    return count


def _add(found: dict[str, Any], option: str, name: str, space: Space) -> None:
    if name in found:
        raise ConfigError(f"{option} {name} is named twice. Name all its values at once.")
    if not re.fullmatch(r"[^.\s]+(\.[^.\s]+)+", name):
        raise ConfigError(f"{option} {name!r} names no setting. Write section.key, such as core.hidden_size.")
    found[name] = space


def _space(text: str, name: str, kind: str, rest: str) -> Space:
    if kind == "choice":
        return _values("--random", name, rest)
    try:
        low, high = (float(part) for part in rest.split(":"))
    except ValueError:
        raise ConfigError(f"--random {text}: expected two numbers, {kind}:LOW:HIGH. Write {_LIKE}.") from None
    log, whole = kind.startswith("log"), kind.endswith("int")
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ConfigError(f"--random {text}: {low:g} to {high:g}, expected finite numbers, the lower one first.")
    if log and low < (1 if whole else 1e-300):
        raise ConfigError(f"--random {text}: from {low:g}, expected {'a number from 1' if whole else 'above 0'}.")
    if whole and not (low.is_integer() and high.is_integer()):
        raise ConfigError(f"--random {text}: expected whole numbers; of others write {'log' if log else 'uniform'}:…")
    return Range(low, high, log, whole)


def _values(option: str, name: str, written: str) -> Values:
    """Values as TOML, between commas; what is no TOML is a word."""
    parts = _parted(written)
    if not all(parts):
        raise ConfigError(f"{option} {name}={written}: a value is missing between two commas.")
    try:
        found = [parse_settings([f"{name}={part}"])[name] for part in parts]
    except ConfigError as error:
        raise ConfigError(str(error).replace("--set", option)) from error
    return _distinct(option, name, found)


def _distinct(option: str, name: str, values: Sequence[Any]) -> Values:
    if not values:
        raise ConfigError(f"{option} {name} has no values. Name one or more.")
    for k, value in enumerate(values):
        if any(value == other and type(value) is type(other) for other in values[:k]):
            raise ConfigError(f"{option} {name}: {value!r} is there twice. Leave it away once.")
    return Values(tuple(values))


def _parted(written: str) -> list[str]:
    """What stands between the commas that are in no brackets and no quotation marks."""
    parts, closing, quote = [""], list[str](), ""
    for letter in written:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in _INSIDE:
            closing.append(_INSIDE[letter])
        elif closing and letter == closing[-1]:
            closing.pop()
        elif letter == "," and not closing:
            parts.append("")
            continue
        parts[-1] += letter
    return [part.strip() for part in parts]
