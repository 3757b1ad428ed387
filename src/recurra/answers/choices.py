"""Blanks, and what may stand in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from recurra.answers.answer import chances, one_line
from recurra.answers.letters import is_spaced
from recurra.data.blanks import BLANK

SIDES = {"both": "both sides", "left": "left only"}
"""What a guess is made from, in words."""


@dataclass(frozen=True)
class Blank:
    """One blank: its place among the tokens, and by what it was guessed from the likeliest symbols, with p of each."""

    place: int
    sides: Mapping[str, Sequence[tuple[str, float]]]


@dataclass(frozen=True)
class Choices:
    """Tokens with blanks, and the likeliest symbols for each."""

    kind: ClassVar[str] = "choices"
    tokens: tuple[str, ...]
    blanks: tuple[Blank, ...]
    unknown: tuple[str, ...] = ()
    """Tokens that the model does not know."""
    truth: str | None = None
    """What stood in the blank, where that is known."""

    def json(self) -> dict[str, Any]:
        blanks = [
            {"place": blank.place}
            | {side: [{"symbol": symbol, "p": p} for symbol, p in found] for side, found in blank.sides.items()}
            for blank in self.blanks
        ]
        found = {"tokens": list(self.tokens), "unknown": list(self.unknown), "blanks": blanks}
        return found if self.truth is None else {**found, "truth": self.truth}

    def text(self) -> str:
        lines = [one_line(self.tokens) + ("" if self.truth is None else f"   ({self.truth})")]
        for number, blank in enumerate(self.blanks, 1):
            which = f"{number} " if len(self.blanks) > 1 else ""
            for side, found in blank.sides.items():
                lines.append(f"  {which}{SIDES.get(side, side):<10}  {chances(found)}")
        return "\n".join(lines)

    def page(self) -> dict[str, Any]:
        return {
            "tokens": list(self.tokens),
            "spaced": is_spaced([token for token in self.tokens if token != BLANK]),
            "unknown": list(self.unknown),
            "blanks": [
                {
                    "place": blank.place,
                    "sides": [
                        {"name": side, "choices": [{"symbol": symbol, "p": p} for symbol, p in found]}
                        for side, found in blank.sides.items()
                    ],
                }
                for blank in self.blanks
            ],
        }
