"""What is said in a sound or written in a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from recurra.answers.answer import one_line
from recurra.answers.letters import visible
from recurra.errors import ConfigError
from recurra.figures.drawing import file_of
from recurra.figures.pictures import strip


@dataclass(frozen=True)
class Transcript:
    """A text that was read in an input, how sure that is, and where each of its symbols comes from."""

    kind: ClassVar[str] = "transcript"
    written: str
    confidence: float
    """0 to 1: how often such a transcript is right."""
    place: str = ""
    """Where the input comes from."""
    symbols: Sequence[Mapping[str, Any]] = ()
    """Of each symbol `{symbol, begin, end, p}`, where that was asked for; begin and end in `unit`."""
    unit: str = "steps"
    """What begin and end count: "s", "px", "steps" of the input."""
    others: Sequence[tuple[str, float]] = ()
    """Further transcripts with their scores, where those were asked for."""
    seen: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)
    """What was read as a picture [W, T] of 0 to 1, where the symbols were asked for; it ends at `end`, in `unit`."""
    end: float = 0.0
    endings: ClassVar[tuple[str, ...]] = (".svg",)
    """Of files that it can be saved as."""

    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"place": self.place} if self.place else {}
        found |= {"transcript": self.written, "confidence": self.confidence}
        if self.symbols:
            found |= {"symbols": [dict(each) for each in self.symbols], "unit": self.unit}
        if self.others:
            found["others"] = [{"transcript": text, "score": score} for text, score in self.others]
        return found

    def text(self) -> str:
        """The transcript, how sure it is, and where it comes from; a line for each symbol where that was asked for."""
        lines = ["\t".join([one_line(self.written), f"{self.confidence:.3f}", *([self.place] if self.place else [])])]
        for each in self.symbols:
            span = f"{each['begin']:.4g} to {each['end']:.4g} {self.unit}"
            lines.append(f"  {visible(each['symbol'])}\t{span}\t{each['p']:.3f}")
        lines += [f"  {score:.3f}\t{one_line(text)}" for text, score in self.others]
        return "\n".join(lines)

    def page(self) -> dict[str, Any]:
        return self.json()

    def saved(self, ending: str) -> bytes:
        """What was read, with each symbol below where it was. Raises `ConfigError` where that was not asked for."""
        if self.seen is None:
            raise ConfigError("where each symbol was read is drawn, which was not asked for. Ask for it: --alignment.")
        named = f"{self.written}, {self.confidence:.2f}"
        return file_of(strip(self.seen, self.symbols, self.end, named, to_scale=self.unit == "px"))
