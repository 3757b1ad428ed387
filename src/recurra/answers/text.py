"""What is written behind a prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class Text:
    """A text and the prompt that it continues."""

    kind: ClassVar[str] = "text"
    prompt: str
    written: str
    symbols: Sequence[Mapping[str, Any]] = ()
    """Of each symbol written `{text, symbol, p, alternatives}`, where that was asked for."""

    def json(self) -> dict[str, Any]:
        return {"prompt": self.prompt, "text": self.written}

    def text(self) -> str:
        return self.prompt + self.written

    def page(self) -> dict[str, Any]:
        return {"prompt": self.prompt, "text": self.written, "symbols": [dict(each) for each in self.symbols]}
