"""One label of a whole sequence, or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from recurra.answers.answer import chances, one_line


@dataclass(frozen=True)
class Label:
    """The names a sequence is given. `several`: each is a decision of its own, and there may be none."""

    kind: ClassVar[str] = "label"
    names: tuple[str, ...]
    several: bool = False
    likeliest: Sequence[tuple[str, float]] = ()
    """The likeliest labels with their probabilities, where they were asked for."""
    tokens: tuple[str, ...] | None = None
    """What was labelled, to be shown beside it; None where it is no tokens, or another part shows them."""
    place: str = ""
    """Where a sequence that is no tokens comes from."""
    alone: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The names that each part of the model would give by itself, by what the part is called."""

    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"place": self.place} if self.place else {}
        found |= {} if self.tokens is None else {"tokens": list(self.tokens)}
        found |= {"labels": list(self.names)} if self.several else {"label": self.names[0]}
        if self.likeliest:
            found["likeliest"] = self._likeliest()
        if self.alone:
            found["alone"] = {part: list(names) for part, names in self.alone.items()}
        return found

    def text(self) -> str:
        """The names, the likeliest with their probabilities where they were asked for, and what was named."""
        names = "\t".join([" ".join(self.names) or "(none)", *([chances(self.likeliest)] if self.likeliest else [])])
        if self.tokens is None:
            return f"{names}\t{self.place}" if self.place else f"# label = {names}"
        return f"{names}\t{one_line(self.tokens)}"

    def page(self) -> dict[str, Any]:
        named: dict[str, Any] = {"labels": list(self.names)} if self.several else {"label": self.names[0]}
        return {**named, "bars": self._likeliest(), "several": self.several}

    def _likeliest(self) -> list[dict[str, Any]]:
        return [{"label": name, "p": p} for name, p in self.likeliest]
