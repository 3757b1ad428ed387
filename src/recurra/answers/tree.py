"""A tree over tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from recurra.figures.drawing import file_of
from recurra.figures.tree import boxes, in_order, tree


@dataclass(frozen=True)
class Tree:
    """A node: its label, and its children, or the token that it stands for."""

    kind: ClassVar[str] = "tree"
    label: str
    children: tuple[Tree, ...] = ()
    token: str | None = None
    p: float | None = None
    """The probability of the label, where it was asked for."""
    labels: tuple[str, ...] = ()
    """All labels that there are, of the root: by them it is coloured. None: those that its nodes have."""
    endings: ClassVar[tuple[str, ...]] = (".svg",)
    """Of files that it can be saved as."""

    def json(self) -> dict[str, Any]:
        return {"tree": self._node()}

    def text(self) -> str:
        return "\n".join(self._lines(""))

    def page(self) -> dict[str, Any]:
        return {"tree": self._node(), **boxes(self, self.scale)}

    def saved(self, ending: str) -> bytes:
        """The tree as a picture: every node coloured by its label, its words in a line."""
        return file_of(self.svg())

    def svg(self) -> str:
        """The same, inside a page."""
        return tree(self, self.scale)

    @property
    def scale(self) -> list[str]:
        """The labels by which it is coloured: numbers by their size."""
        if self.labels:
            return in_order(self.labels)
        found, todo = dict[str, None](), [self]
        while todo:
            node = todo.pop()
            found[node.label] = None
            todo += node.children
        return in_order(sorted(found))

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
