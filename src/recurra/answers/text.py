"""What is written behind a prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from recurra.answers.answer import chances
from recurra.answers.letters import visible


@dataclass(frozen=True)
class Text:
    """A text and the prompt that it continues."""

    kind: ClassVar[str] = "text"
    prompt: str
    written: str
    symbols: Sequence[Mapping[str, Any]] = ()
    """Of each symbol written `{text, symbol, p, alternatives}`, where that was asked for."""

    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"prompt": self.prompt, "text": self.written}
        return found | ({"symbols": [dict(each) for each in self.symbols]} if self.symbols else {})

    def text(self) -> str:
        """The text; where probabilities were asked for, a line for each symbol below it: its own, and the likeliest."""
        lines = [self.prompt + self.written, *([""] if self.symbols else [])]
        for each in self.symbols:
            others = [(one["symbol"], one["p"]) for one in each.get("alternatives", ())]
            lines.append(f"{visible(each['symbol'])}\t{each['p']:.3f}\t{chances(others)}")
        return "\n".join(lines)

    def page(self) -> dict[str, Any]:
        return {"prompt": self.prompt, "text": self.written, "symbols": [dict(each) for each in self.symbols]}
