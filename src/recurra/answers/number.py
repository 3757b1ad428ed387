"""One number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class Number:
    """A number, what it is the number of, and its unit."""

    kind: ClassVar[str] = "number"
    value: float
    name: str = "value"
    unit: str = ""
    low: float | None = None
    """With `high` the range it is believed to lie in."""
    high: float | None = None

    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = {self.name: self.value}
        if self.low is not None:
            found |= {"low": self.low, "high": self.high}
        return found | ({"unit": self.unit} if self.unit else {})

    def text(self) -> str:
        """The number, behind its name where that says which of several it is."""
        between = "" if self.low is None else f"  ({self.low:.4g} to {self.high:.4g})"
        name = "" if self.name in (Number.name, "number") else f"{self.name}\t"
        return f"{name}{self.value:.4g}{' ' if self.unit else ''}{self.unit}{between}"

    def page(self) -> dict[str, Any]:
        return {"name": self.name, "value": self.value, "unit": self.unit, "low": self.low, "high": self.high}
