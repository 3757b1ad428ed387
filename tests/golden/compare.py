"""What was found beside what is kept: words exactly, numbers nearly, for processors round differently; speeds not."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

RELATIVE, ABSOLUTE = 5e-4, 1e-5
DIGITS = 6
"""Of a number that is kept."""
NUMBER = re.compile(r"(?<![\w.])[-−]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?(?!\w)%?")
SPEEDS = ("per_second", "seconds", "minutes")
"""What keys hold that differ each time."""
SPEED = re.compile(r"[\d,.]+(?= [\w ]+ per second)|[\d,.]+(?= s (for|before))")


def plain(value: Any) -> Any:
    """A value as it is kept: JSON, without speeds."""
    if isinstance(value, dict):
        return {str(name): plain(each) for name, each in value.items() if not name.endswith(SPEEDS)}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, str):
        return SPEED.sub("#", value)
    assert value is None or isinstance(value, int), f"{value!r} is no JSON"
    return value


def check(expected: Any, found: Any, where: str = "") -> None:
    """Fail where one is not the other."""
    if isinstance(expected, dict):
        assert isinstance(found, dict), where
        assert list(expected) == list(found), where  # in their order, which people see
        for name in expected:
            check(expected[name], found[name], f"{where}.{name}")
    elif isinstance(expected, list):
        assert isinstance(found, list), where
        assert len(expected) == len(found), where
        for k, (one, other) in enumerate(zip(expected, found, strict=True)):
            check(one, other, f"{where}[{k}]")
    elif isinstance(expected, float):
        assert isinstance(found, float), where
        assert found == pytest.approx(expected, rel=RELATIVE, abs=ABSOLUTE), where
    elif isinstance(expected, str):
        assert isinstance(found, str), where
        assert NUMBER.split(expected) == NUMBER.split(found), where
        for one, other in zip(NUMBER.findall(expected), NUMBER.findall(found), strict=True):
            assert _value(other) == pytest.approx(_value(one), rel=RELATIVE, abs=_last_place(one)), where
    else:
        assert (type(expected), expected) == (type(found), found), where


def _value(number: str) -> float:
    return float(number.replace(",", "").replace("−", "-").removesuffix("%"))


def _last_place(number: str) -> float:
    """How much a printed number may differ for being rounded: a whole one not at all, unless it is a percentage."""
    head, _, exponent = number.removesuffix("%").partition("e")
    _, point, digits = head.partition(".")
    if not point and not exponent and not number.endswith("%"):
        return 0.0
    return 1.01 * 10.0 ** (int(exponent or 0) - len(digits))


class Kept:
    """Golden values in a file, by name; made anew where it is told so."""

    def __init__(self, path: Path, anew: bool) -> None:
        self.path, self.anew = path, anew
        self.values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def check(self, name: str, value: Any) -> None:
        """Fail where a value is not the one that is kept."""
        found = plain(value)
        if self.anew:
            self.values[name] = found
            text = json.dumps(dict(sorted(self.values.items())), ensure_ascii=False, indent=1)
            self.path.write_text(_short(text) + "\n", encoding="utf-8")
            return
        assert name in self.values, f"{self.path.name} has no {name!r}: pytest tests/golden --regold"
        check(self.values[name], found, name)


def _short(text: str) -> str:
    """JSON with lists of numbers in one line."""
    return re.sub(r"\[[\s\d.,e+-]+\]", lambda match: re.sub(r"\s+", " ", match[0]), text)
