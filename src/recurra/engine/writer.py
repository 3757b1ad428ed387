"""What both halves of a program are written with: where each value lives, and how it is spelt there.

Where values live. A value needed for all time steps at once, or by the other function, is a *whole* array with one row
per packed row, often a column of a slab that one product fills or reads; inside the loop it is the step's view of it.
Everything else is a temporary of its step. In the source `W_v` is the whole array of value v and `s_v` the step's.
"""

from __future__ import annotations

from collections.abc import Iterable

from recurra.engine.emit import Lines
from recurra.engine.program import Program
from recurra.equations.statements import BESIDE, Statement, names_in


def reads(statements: Iterable[Statement]) -> set[str]:
    """The values that any of the statements reads."""
    return {name for st in statements for name in names_in(st)}


class Writer:
    """Collects a function's lines outside its loop over time, `whole`, and inside it, `inner`."""

    def __init__(self, program: Program) -> None:
        self.projected = program.derivation.variant.projected
        self.parameters, self.narrow = frozenset(program.derivation.cell.parameters), program.constants
        self.wide = program.wide
        self.locations: dict[str, str] = {}
        """Whole value → Python expression of its array."""
        self.whole = Lines(self.spell_whole, self.narrow, 1)
        self.inner = Lines(self.spell_step, self.narrow, 2)
        self.viewed: dict[str, str] = {}
        """Loop variable → expression of the whole array it is a view of."""

    def spell_whole(self, name: str) -> str:
        """The expression of a value outside the loop."""
        if name in self.parameters:
            return f"w[{name!r}]"
        if name.startswith(BESIDE):
            return f"masks[{name!r}]"
        return self.locations.get(name, f"W_{name}")

    def spell_step(self, name: str) -> str:
        """The variable of a value inside the loop."""
        if name in self.narrow:
            return self.spell_whole(name)
        if name.startswith(BESIDE) or name in self.locations:
            self.viewed.setdefault(f"s_{name}", self.spell_whole(name))
        return f"s_{name}"

    def width(self, name: str) -> str:
        """H for all but what is made of x alone, I, and what a projection makes, P."""
        made = ("h", "h_prev", "projected", "d_projected", "d_h", "g_h", "d_h_prev", "h_masked")
        return "I" if name in self.wide else "P" if self.projected and name in made else "H"

    def block(self, name: str, k: int) -> str:
        """The k-th of several columns as wide as a value."""
        width = self.width(name)
        return f"[:, {k} * {width}:{k + 1} * {width}]"

    def view(self, variable: str, array: str) -> str:
        """Let a loop variable be the step's view of an array."""
        self.viewed[variable] = array
        return variable

    def loop(self, backwards: bool, extra: Iterable[tuple[str, str]] = ()) -> str:
        """The loop's head: the step's views of every whole array that the body mentions."""
        pairs = [("b", "sizes"), *((v, f"{a}.split(sizes)") for v, a in self.viewed.items()), *extra]
        names = ", ".join(("t", *(v for v, _ in pairs)))
        lists = [f"reversed({a})" for _, a in pairs] if backwards else [a for _, a in pairs]
        steps = "range(len(sizes) - 1, -1, -1)" if backwards else "range(len(sizes))"
        return f"    for {names} in zip({steps}, {', '.join(lists)}, strict=True):"
