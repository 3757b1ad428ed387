"""What weights start from: a number, the identity, or numbers drawn from a distribution; as text and as values."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from recurra.errors import ConfigError, did_you_mean

Kind = Literal["normal", "uniform", "log_uniform"]


@dataclass(frozen=True)
class Drawn:
    """Numbers drawn one by one. `kind` with a and b: normal, mean a and deviation b; uniform, from a to b; log_uniform,
    the natural logarithm of one from a to b.

    Raises ConfigError for numbers that are no bounds of the kind.
    """

    kind: Kind
    a: float
    b: float

    def __post_init__(self) -> None:
        wanted = {
            "normal": ("a deviation of 0 or more", self.b >= 0),
            "uniform": ("a first bound that is no larger than the second", self.a <= self.b),
            "log_uniform": ("bounds above 0, the first no larger than the second", 0 < self.a <= self.b),
        }
        sentence, right = wanted[self.kind]
        if not right or not (math.isfinite(self.a) and math.isfinite(self.b)):
            raise ConfigError(f"{self}: expected {sentence}.")

    def __str__(self) -> str:
        return f"{self.kind}({self.a:g}, {self.b:g})"


def normal(mean: float, deviation: float) -> Drawn:
    """From N(mean, deviation²)."""
    return Drawn("normal", float(mean), float(deviation))


def uniform(low: float, high: float) -> Drawn:
    """From U(low, high)."""
    return Drawn("uniform", float(low), float(high))


def log_uniform(low: float, high: float) -> Drawn:
    """log u, u from U(low, high): of a forget gate's bias, for what is to be remembered from low to high steps.

    σ(log u) = u / (1 + u) keeps a share of 1 / e over about u steps, the chrono start of Tallec & Ollivier 2018.
    """
    return Drawn("log_uniform", float(low), float(high))


DISTRIBUTIONS = {"normal": normal, "uniform": uniform, "log_uniform": log_uniform}

Start = float | Literal["identity"] | Drawn
"""A number for all entries; ones on the diagonal of every H rows; or entries drawn."""
Starts = Mapping[str, Start | Mapping[str, Start]]
"""Weight (`weight_hh`, `bias_ih`, `weight_<product>`, …) → its start, or gate → the start of that gate's rows."""

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_ASSIGNMENT = re.compile(r"(\w+)(?:\.(\w+))?\s*=\s*(.+)")
_CALL = re.compile(rf"(\w+)\s*\(\s*({_NUMBER})\s*,\s*({_NUMBER})\s*\)")


def read_starts(text: str) -> Starts:
    """The starts that a line says: `weight_hh = identity; bias_ih.f = log_uniform(1, 783); bias_hh = 0`.

    Raises ConfigError for what is no such line.
    """
    found: dict[str, Start | dict[str, Start]] = {}
    for part in filter(None, map(str.strip, text.split(";"))):
        match = _ASSIGNMENT.fullmatch(part)
        if match is None:
            raise ConfigError(
                f"{part!r} is no start. Expected weight = start or weight.gate = start, several with ; between them."
            )
        weight, gate, start = match[1], match[2], read_start(match[3].strip())
        if gate is None and weight not in found:
            found[weight] = start
            continue
        of_gates = found.setdefault(weight, {})
        if gate is None or not isinstance(of_gates, dict) or gate in of_gates:
            raise ConfigError(f"{part!r} is a second start of the same weight.")
        of_gates[gate] = start
    return found


def read_start(text: str) -> Start:
    """One start: a number, `identity`, or a distribution with its two numbers."""
    if text == "identity":
        return "identity"
    if re.fullmatch(_NUMBER, text) and math.isfinite(float(text)):
        return float(text)
    if match := _CALL.fullmatch(text):
        if match[1] in DISTRIBUTIONS:
            return DISTRIBUTIONS[match[1]](float(match[2]), float(match[3]))
        raise ConfigError(
            f"unknown distribution {match[1]!r}{did_you_mean(match[1], DISTRIBUTIONS)} "
            f"Known: {', '.join(DISTRIBUTIONS)}."
        )
    raise ConfigError(f"{text!r} is no start. Expected a number, identity, or a distribution such as normal(0, 0.01).")


def write_starts(starts: Starts) -> str:
    """The line that `read_starts` reads."""

    def one(start: Start) -> str:
        return f"{start:g}" if isinstance(start, (int, float)) else str(start)

    parts = []
    for weight, start in starts.items():
        if isinstance(start, Mapping):
            parts += [f"{weight}.{gate} = {one(of_gate)}" for gate, of_gate in start.items()]
        else:
            parts.append(f"{weight} = {one(start)}")
    return "; ".join(parts)
