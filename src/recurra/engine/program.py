"""When each statement of a derivation runs: for all time steps at once, or inside the loop over time.

Forward, what does not depend on a previous state runs *before* the loop: the input product always, a whole cell's
products when it has no recurrent one. Backward, what depends on kept values only runs *before* the loop, what no
earlier time step waits for runs *after* it: the input product's transpose, and every weight gradient.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import sympy as sp

from recurra.equations.derive import PLAIN, Derivation, Variant, constants, derive
from recurra.equations.expression import GIVEN
from recurra.equations.language import Cell
from recurra.equations.statements import (
    Norm,
    NormTransposed,
    Pointwise,
    Product,
    ProductTransposed,
    Statement,
    names_in,
    names_out,
    symbol,
)


@dataclass(frozen=True)
class Phase:
    """Statements in three groups: over all time steps before the loop, within a step, over all time steps after it."""

    before: tuple[Statement, ...]
    step: tuple[Statement, ...]
    after: tuple[Statement, ...]


@dataclass(frozen=True)
class Program:
    """A derivation laid out in time."""

    derivation: Derivation
    forward: Phase
    backward: Phase

    @cached_property
    def constants(self) -> frozenset[str]:
        """Parameters and what is made of them alone: no row per time step, but [H] or [1]."""
        phases = (self.forward, self.backward)
        return constants(self.derivation.cell, (st for p in phases for st in (*p.before, *p.step, *p.after)))

    @cached_property
    def wide(self) -> frozenset[str]:
        """The values as wide as the input: x, what comes beside it for each of its values, and what is made of those
        alone."""
        derivation = self.derivation
        if derivation.cell.ties_input:  # then it is as wide as everything else
            return frozenset()
        arguments = {weight: argument for weight, (argument, _) in derivation.weight_gradients.items()}
        to_input = {name for name, node in derivation.cell.products.items() if node.wide}
        found = {"x", *(f"given_{name}" for name, node in GIVEN.items() if node.wide)}
        found.update(name for name, node in derivation.cell.parameters.items() if node.wide)
        for phase in (self.forward, self.backward):
            for st in (*phase.before, *phase.step, *phase.after):
                match st:
                    case Product(_, weight, _):
                        grows = weight in to_input
                    case ProductTransposed(_, weight, _):
                        grows = arguments[weight] in found
                    case Norm(outs, arguments_, _) | NormTransposed(outs, arguments_, _, _):
                        found.update(outs if found.intersection(arguments_) else ())
                        continue
                    case _:
                        grows = bool(found.intersection(names_in(st)))
                found.update(names_out(st) if grows else ())
        return frozenset(found)

    @property
    def carries(self) -> dict[str, str | None]:
        """State → name of the gradient that travels to the step before; None: nothing does."""
        gradients = self.derivation.gradients
        return {s: gradients.get(f"{s}_prev") for s in self.derivation.cell.state}

    @property
    def leaf_gradients(self) -> dict[str, str]:
        """Parameter or x → name of its gradient, one row per time step."""
        return {leaf: name for leaf, name in self.derivation.gradients.items() if not leaf.endswith("_prev")}


@lru_cache(maxsize=256)
def program(cell: Cell, variant: Variant = PLAIN) -> Program:
    derivation = derive(cell, variant)
    return Program(derivation, _forward(derivation), _backward(derivation))


def _dependent(statements: Iterable[Statement], carried: Iterable[str]) -> set[str]:
    found = set(carried)
    for st in statements:
        if found.intersection(names_in(st)):
            found.update(names_out(st))
    return found


def _forward(derivation: Derivation) -> Phase:
    states = derivation.cell.state
    carried = _dependent(
        derivation.forward, (*states, *(f"{s}_prev" for s in states))
    )  # states are written in the loop
    before = [st for st in derivation.forward if not carried.intersection(names_out(st))]
    step = [st for st in derivation.forward if carried.intersection(names_out(st))]
    hoisted, step = _hoist(step, carried, constants(derivation.cell, derivation.forward), "k")
    return Phase(shared(before + hoisted, "u"), tuple(step), ())


def _backward(derivation: Derivation) -> Phase:
    statements = derivation.backward
    carried = _dependent(statements, (f"g_{s}" for s in derivation.cell.state))
    wanted = {derivation.gradients.get(f"{s}_prev") for s in derivation.cell.state}
    step: list[Statement] = []
    for st in reversed(statements):
        if wanted.intersection(names_out(st)) and carried.intersection(names_out(st)):
            step.insert(0, st)
            wanted.update(names_in(st))
    before = [st for st in statements if not carried.intersection(names_out(st))]
    after = [st for st in statements if st not in step and st not in before]
    hoisted, step = _hoist(step, carried, constants(derivation.cell, derivation.forward), "k")
    made = [*derivation.recomputed, *before, *hoisted]
    return Phase(shared(made, "u"), tuple(step), shared(after, "w"))


def _hoist(
    statements: Sequence[Statement], carried: set[str], constants: frozenset[str], prefix: str
) -> tuple[list[Statement], list[Statement]]:
    """Parts of the loop's pointwise statements that do not depend on what the loop carries, pulled out under names."""
    names: dict[sp.Expr, str] = {}

    def pull(value: sp.Expr) -> sp.Expr:
        if value.is_Atom or not any(str(s) not in constants for s in value.free_symbols):
            return value
        return symbol(names.setdefault(value, f"{prefix}{len(names)}"))

    def rewrite(value: sp.Expr) -> sp.Expr:
        if not carried.intersection(map(str, value.free_symbols)):
            return value if _trivial(value) else pull(value)
        if value.is_Atom:
            return value
        if isinstance(value, (sp.Add, sp.Mul)):
            inside = [a for a in value.args if carried.intersection(map(str, a.free_symbols))]
            outside = value.func(*(a for a in value.args if a not in inside))
            return value.func(*map(rewrite, inside), outside if _trivial(outside) else pull(outside))
        return value.func(*map(rewrite, value.args))

    step: list[Statement] = [
        Pointwise(st.name, rewrite(st.value)) if isinstance(st, Pointwise) else st for st in statements
    ]
    return [Pointwise(name, value) for value, name in names.items()], step


def _trivial(value: sp.Expr) -> bool:
    """Numbers, symbols and a number times a symbol are not worth an array of their own."""
    return value.is_Atom or (
        value.is_Mul and len(value.args) == 2 and value.args[0].is_Number and value.args[1].is_Symbol
    )


def shared(statements: Iterable[Statement], prefix: str) -> tuple[Statement, ...]:
    """Common subexpressions of the pointwise statements named once, each just before its first use."""
    statements = list(statements)
    pointwise = [st for st in statements if isinstance(st, Pointwise)]
    numbered = (symbol(f"{prefix}{k}") for k in range(10_000))
    common, values = sp.cse([st.value for st in pointwise], symbols=numbered, order="none")
    renewed = dict(zip((st.name for st in pointwise), values, strict=True))
    out: list[Statement] = []
    pending = dict(common)

    def define(value: sp.Expr) -> None:
        for s in sorted(value.free_symbols & pending.keys(), key=str):
            if s in pending:
                inner = pending.pop(s)
                define(inner)
                out.append(Pointwise(str(s), inner))

    for st in statements:
        if isinstance(st, Pointwise):
            define(renewed[st.name])
            out.append(Pointwise(st.name, renewed[st.name]))
        else:
            out.append(st)
    return tuple(out)
