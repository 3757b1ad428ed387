"""Writes what a cell over trees does at one height as two Python functions in torch, from its derivation.

The products are the engine's: `forward` is given the pre-activations as columns of `S` [n, gates · H], and of `E`
[e, gates · H] those that every child has one of; `backward` writes their gradients to the columns of `D` and `DE`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import torch

from recurra.engine.emit import IN_PLACE, Lines
from recurra.equations.derive import Derivation, constants, derive
from recurra.equations.language import Cell
from recurra.equations.statements import Pointwise, Spread, Statement, Total, names_in, names_out
from recurra.errors import ConfigError


@dataclass(frozen=True, eq=False)
class Level:
    """The two functions of a cell and what they hand on."""

    cell: Cell
    derivation: Derivation
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    source: str

    @cached_property
    def children(self) -> tuple[str, ...]:
        """The states of children that the equations read, as the functions call them."""
        return tuple(sorted({n for st in self.derivation.forward for n in names_in(st) if n.startswith("child_")}))

    @cached_property
    def masks(self) -> tuple[str, ...]:
        """The masks that they read."""
        return tuple(sorted({n for st in self.derivation.forward for n in names_in(st) if n.startswith("mask_")}))


@lru_cache(maxsize=64)
def level(cell: Cell) -> Level:
    """The functions of a cell, written and compiled once."""
    found = derive(cell)
    source = "\n".join((*_Writer(found).forward(), "", "", *_Writer(found).backward(), ""))
    space: dict[str, Any] = {"torch": torch, "F": torch.nn.functional}
    exec(compile(source, f"<recurra engine for {cell.name}>", "exec"), space)
    return Level(cell, found, space["forward"], space["backward"], source)


class _Writer:
    """The two functions being written."""

    def __init__(self, derivation: Derivation) -> None:
        self.derivation, self.cell = derivation, derivation.cell
        self.narrow = constants(self.cell, derivation.forward)
        made = {n for st in derivation.forward for n in names_out(st)} - set(self.cell.state) - self.narrow
        after = (*derivation.recomputed, *derivation.backward)
        again = {n for st in after for n in names_out(st)}
        read = {n for st in after for n in names_in(st)}
        self.gates = {f"a_{g}": f"S_{k}" for k, g in enumerate(self.cell.node_gates)}
        self.gates |= {f"a_{g}": f"E_{k}" for k, g in enumerate(self.cell.child_gates)}
        self.saved = tuple(sorted((read - again) & (made | self.gates.keys())))
        self.lines = Lines(self.spell, self.narrow, 1)
        self.places = dict(self.gates)
        """Value → the expression of the tensor that holds it, where that is not a variable of its name."""

    def spell(self, name: str) -> str:
        if name in self.cell.parameters:
            return f"w[{name!r}]"
        if name.startswith("child_"):
            return f"children[{name!r}]"
        if name.startswith("mask_"):
            return f"masks[{name!r}]"
        if name in self.cell.state:
            return f"states[{self.cell.state.index(name)}]"
        return self.places.get(name, f"v_{name}")

    def forward(self) -> list[str]:
        """`forward(S, E, children, masks, w, states, parent, H) → saved`; writes the new states [n, H] to `states`."""
        todo = list(self.derivation.forward)
        self.activate(todo)
        self.apart("S", self.cell.node_gates)
        self.apart("E", self.cell.child_gates)
        for st in todo:
            self.statement(st)
        saved = "".join(f"{self.spell(name)}, " for name in self.saved)
        return ["def forward(S, E, children, masks, w, states, parent, H):", *self.lines.lines, f"    return ({saved})"]

    def apart(self, slab: str, gates: Sequence[str]) -> None:
        """The columns of each gate by a name of their own."""
        if gates:
            self.lines(f"{''.join(f'{slab}_{k}, ' for k in range(len(gates)))}= {slab}.chunk({len(gates)}, 1)")

    def activate(self, todo: list[Statement]) -> None:
        """Functions of single pre-activations that nothing else reads, in place, neighbouring columns at once."""
        ready: dict[str, Pointwise] = {}
        for st in todo:
            if isinstance(st, Pointwise) and type(st.value).__name__ in IN_PLACE and st.name not in self.cell.state:
                argument = str(st.value.args[0])
                readers = sum(argument in names_in(other) for other in todo)
                if argument in self.gates and readers == 1 and argument not in self.saved:
                    ready[argument] = st
        for slab, gates in (("S", self.cell.node_gates), ("E", self.cell.child_gates)):
            k = 0
            while k < len(gates):
                first, one = k, ready.get(f"a_{gates[k]}")
                while one is not None and k < len(gates) and _alike(one, ready.get(f"a_{gates[k]}")):
                    k += 1
                if one is None:
                    k += 1
                    continue
                self.lines(IN_PLACE[type(one.value).__name__].format(f"{slab}[:, {first} * H:{k} * H]"))
                for gate in gates[first:k]:
                    done = ready[f"a_{gate}"]
                    self.places[done.name] = self.gates[f"a_{gate}"]
                    todo.remove(done)

    def statement(self, st: Statement) -> None:
        spell = self.spell
        match st:
            case Pointwise(name, value):
                self.lines.assign(spell(name), value, into=name in self.cell.state or name in self.places)
            case Total(out, argument):
                zeros = f"states[0].new_zeros(len(states[0]), {spell(argument)}.shape[1])"
                self.lines(f"{spell(out)} = {zeros}.index_add_(0, parent, {spell(argument)})")
            case Spread(out, argument):
                self.lines(f"{spell(out)} = {spell(argument)}.index_select(0, parent)")
            case _:
                raise ConfigError(f"cell {self.cell.name!r}: {type(st).__name__} is no statement of a cell over trees.")

    def backward(self) -> list[str]:
        """`backward(grads, states, saved, children, masks, w, D, DE, parent, H) → (children, parameters)`, gradients by
        name; `grads` arrive at the new states, and the pre-activations' are written to D and DE."""
        cell, gradients = self.cell, dict(self.derivation.gradients)
        held = "".join(f"s_{name}, " for name in self.saved)
        self.places = {name: f"s_{name}" for name in self.saved}
        self.places |= {f"g_{s}": f"grads[{k}]" for k, s in enumerate(cell.state)}
        copies = []
        for slab, gates in (("D", cell.node_gates), ("DE", cell.child_gates)):
            self.apart(slab, gates)
            for k, gate in enumerate(gates):
                name = gradients.pop(f"a_{gate}")
                if name in self.places or name in cell.state:  # two gates with one gradient, or one that arrives
                    copies.append(f"    {slab}_{k}.copy_({self.spell(name)})")
                else:
                    self.places[name] = f"{slab}_{k}"
        for st in (*self.derivation.recomputed, *self.derivation.backward):
            self.statement(st)
        leaves = {leaf: self.spell(name) for leaf, name in gradients.items()}
        below = ", ".join(f"{leaf!r}: {value}" for leaf, value in leaves.items() if leaf.startswith("child_"))
        own = ", ".join(f"{leaf!r}: {value}" for leaf, value in leaves.items() if leaf in cell.parameters)
        return [
            "def backward(grads, states, saved, children, masks, w, D, DE, parent, H):",
            f"    ({held}) = saved",
            *self.lines.lines,
            *copies,
            f"    return {{{below}}}, {{{own}}}",
        ]


def _alike(one: Pointwise, other: Pointwise | None) -> bool:
    """Whether both call the same function."""
    return other is not None and type(one.value) is type(other.value)
