"""A tree over tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class Tree:
    """A node: its label, and its children, or the token that it stands for."""

    kind: ClassVar[str] = "tree"
    label: str
    children: tuple[Tree, ...] = ()
    token: str | None = None
    p: float | None = None
    """The probability of the label, where it was asked for."""

    def json(self) -> dict[str, Any]:
        return {"tree": self._node()}

    def text(self) -> str:
        return "\n".join(self._lines(""))

    def page(self) -> dict[str, Any]:
        return {"tree": self._node()}

    def _node(self) -> dict[str, Any]:
        found: dict[str, Any] = {"label": self.label}
        if self.p is not None:
            found["p"] = self.p
        if self.token is not None:
            found["token"] = self.token
        return found | ({"children": [child._node() for child in self.children]} if self.children else {})

    def _lines(self, indent: str) -> list[str]:
        own = " ".join(filter(None, (self.label, self.token)))
        return [indent + own, *(line for child in self.children for line in child._lines(indent + "  "))]
