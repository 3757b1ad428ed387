"""From a cell's equations to the statements of one step forward and of its backward, by the chain rule on symbols.

Forward: the equations as statements in order. Pointwise statements hold sympy expressions of named values; products and
norms are seams that put fresh names in the place of their results.

Backward: with L = Σ ḡ·state + Σ over seams v̄·v every derivative wanted is ∂L/∂symbol. The statements are walked in
reverse; sympy differentiates the pointwise ones, a seam's transpose is a statement of its own for the engine.

Names. `h_prev`, `c_prev`: states of the step before; `h`, `c`: the new ones; `a_i`: pre-activation of gate i, `a_i_in`
and `a_i_rec` its parts; `g_h`: the gradient arriving at the new h; `d_v`: the gradient of value v; `e_v`: the part of
it that one seam hands back.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import sympy as sp

from recurra.equations.functions import DERIVATIVES
from recurra.equations.keep import smallest_cut
from recurra.equations.language import Cell
from recurra.equations.lowering import PLAIN, Variant, forward_statements
from recurra.equations.statements import (
    BESIDE,
    Norm,
    NormTransposed,
    Pointwise,
    Product,
    ProductTransposed,
    Spread,
    Statement,
    Total,
    names_in,
    names_out,
    renamed,
    symbol,
)
from recurra.errors import ConfigError

FACTS = ("mask_", "given_seen")
"""Beginnings of the names of values that get no gradient: they are drawn, or are as the data are."""
MOST_OPERATIONS = 1_000
"""Of the pointwise statements of a step, forward and backward together."""


@dataclass(frozen=True)
class Derivation:
    """One step of a cell forward and backward, as statements, and what connects the two."""

    cell: Cell
    variant: Variant
    forward: tuple[Statement, ...]
    backward: tuple[Statement, ...]
    kept: tuple[str, ...]
    """Fewest values to keep per step, besides states, inputs and masks, so that no function is evaluated twice."""
    recomputed: tuple[Pointwise, ...]
    """Forward statements the backward starts with: cheap arithmetic on what is kept, and what is the same at every
    step."""
    weight_gradients: dict[str, tuple[str, tuple[str, ...]]]
    """Weight → (argument, grads): ∇W = Σ over time of gradsᵀ · argument, and the bias's gradient Σ grads."""
    gradients: dict[str, str]
    """Leaf (x, h_prev, a parameter, …) → the name of its gradient; leaves without one do not influence the result."""
    sum_gates: tuple[str, ...]
    """Gates mentioned only whole: input and recurrent part are added before anything else and share one gradient."""


def constants(cell: Cell, statements: Iterable[Statement]) -> frozenset[str]:
    """The cell's parameters, and the values that pointwise statements make of them alone: the same at every step."""
    found = set(cell.parameters)
    for st in statements:
        if isinstance(st, Pointwise) and names_in(st) and found.issuperset(names_in(st)):
            found.add(st.name)
    return frozenset(found)


def _backward(forward: tuple[Statement, ...], cell: Cell) -> tuple[list[Statement], dict[str, str], dict[str, tuple]]:
    """The chain rule over the statements in reverse: backward statements, leaf gradients, weight gradients."""
    terms: defaultdict[str, list[sp.Expr]] = defaultdict(list)
    for state in cell.state:
        terms[state].append(symbol(f"g_{state}"))
    out: list[Statement] = []
    weights: dict[str, tuple[str, tuple[str, ...]]] = {}
    facts = _facts(forward)

    def gradient(name: str) -> str:
        out.append(Pointwise(f"d_{name}", sp.Add(*terms.pop(name, [sp.Integer(0)]))))
        return f"d_{name}"

    def error(argument: str) -> str:
        """Name of what one seam hands back to its argument; several seams may read the same value."""
        before = sum(argument == n.split("_", 1)[1] for st in out for n in names_out(st) if n.startswith("e"))
        return f"e{before + 1 if before else ''}_{argument}"

    for statement in reversed(forward):
        if not any(name in terms for name in names_out(statement)):
            continue
        match statement:
            case Pointwise(name, value):
                arriving = symbol(gradient(name))
                for leaf, slope in _slopes(name, value):
                    if slope != 0 and leaf not in facts:
                        terms[leaf].append(arriving * slope)
            case Product(outs, weight, argument):
                grads = tuple(gradient(o) for o in outs)
                weights[weight] = (argument, grads)
                if argument not in facts:
                    back = error(argument)
                    out.append(ProductTransposed(back, weight, grads))
                    terms[argument].append(symbol(back))
            case Total(made, argument):
                whole, back = gradient(made), error(argument)
                out.append(Spread(back, whole))
                terms[argument].append(symbol(back))
            case Norm(outs, arguments, scale):
                grads = tuple(gradient(o) for o in outs)
                backs = tuple(map(error, arguments))
                out.append(NormTransposed(backs, grads, outs, scale))
                for argument, back in zip(arguments, backs, strict=True):
                    terms[argument].append(symbol(back))
    return out, {leaf: gradient(leaf) for leaf in sorted(terms)}, weights


def _facts(forward: Iterable[Statement]) -> frozenset[str]:
    """The values that get no gradient: those of `FACTS`, and what is made of them alone without a weight."""
    found: set[str] = set()
    for st in forward:
        read = names_in(st)
        found.update(name for name in read if name.startswith(FACTS))
        if read and found.issuperset(read) and not isinstance(st, Product):
            found.update(names_out(st))
    return frozenset(found)


def _slopes(name: str, value: sp.Expr) -> Iterable[tuple[str, sp.Expr]]:
    """(leaf, ∂value/∂leaf) for every leaf of a pointwise statement."""
    if type(value).__name__ in DERIVATIVES and value.is_Function:
        slopes = DERIVATIVES[type(value).__name__](value.args, symbol(name))
        return [(str(leaf), slope) for leaf, slope in zip(value.args, slopes, strict=True)]
    return [(str(leaf), sp.diff(value, leaf)) for leaf in sorted(value.free_symbols, key=str)]


def _tidy(statements: Iterable[Statement], wanted: dict[str, str], weights: dict[str, tuple]) -> list[Statement]:
    """Aliases resolved, pointwise values read by one other pointwise statement written out there, unread ones dropped.

    `wanted` and `weights` are renamed in place.
    """
    statements = list(statements)
    while True:
        reads: defaultdict[str, int] = defaultdict(int)
        pinned = {*wanted.values(), *(g for _, grads in weights.values() for g in grads)}
        for st in statements:
            for name in names_in(st):
                reads[name] += 1
            if not isinstance(st, Pointwise):
                pinned.update(names_in(st))
        for k, st in enumerate(statements):
            if not isinstance(st, Pointwise):
                continue
            alias = st.value.is_Symbol and not st.name.endswith("_prev")
            if alias:
                statements = [renamed(s, st.name, st.value) for s in statements[:k] + statements[k + 1 :]]
                for leaf, name in wanted.items():
                    wanted[leaf] = str(st.value) if name == st.name else name
                for weight, (argument, grads) in weights.items():
                    weights[weight] = (argument, tuple(str(st.value) if g == st.name else g for g in grads))
                break
            if st.name not in pinned and reads[st.name] <= 1:
                statements = [renamed(s, st.name, st.value) for s in statements[:k] + statements[k + 1 :]]
                break
        else:
            return statements


def _check_size(cell: Cell, statements: Iterable[Statement]) -> None:
    """Refuse a step that nobody could compile, and numbers that no float holds."""
    values = [st.value for st in statements if isinstance(st, Pointwise)]
    if (operations := sum(int(value.count_ops()) for value in values)) > MOST_OPERATIONS:
        raise ConfigError(
            f"cell {cell.name!r} takes {operations:,} operations a step forward and backward, expected "
            f"{MOST_OPERATIONS:,} at most: write fewer equations."
        )
    for number in set().union(*(value.atoms(sp.Number) for value in values)):
        if not number.is_finite or not math.isfinite(_as_float(number)):
            raise ConfigError(f"cell {cell.name!r} comes to a number that is too large: {str(number)[:40]}")


def _as_float(number: sp.Number) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf


@lru_cache(maxsize=256)
def derive(cell: Cell, variant: Variant = PLAIN) -> Derivation:
    """The vector-Jacobian product of one step of any cell.

    Raises ConfigError when the variant does not fit the cell (a projection of an h that is used unit by unit), and for
    equations that come to more operations, deeper nesting or larger numbers than a step may have.
    """
    try:
        forward = forward_statements(cell, variant)
        _check_size(cell, forward)
        backward, gradients, weights = _backward(forward, cell)
        _check_size(cell, (*forward, *backward))
        backward = _tidy(backward, gradients, weights)
    except RecursionError:
        raise ConfigError(
            f"cell {cell.name!r}: its equations are nested too deeply when they are put into one another. Put a "
            "function between, or write fewer of them."
        ) from None
    made = {n for st in forward for n in names_out(st)}
    same = constants(cell, forward)
    free = {"x", *same, *cell.state, *(f"{s}_prev" for s in cell.state)}
    needed = {n for st in backward for n in names_in(st)} | {argument for argument, _ in weights.values()}
    inner = {n for n in needed if n in made or n.startswith("a_")}
    arithmetic = {
        st.name: st
        for st in forward
        if isinstance(st, Pointwise) and (st.name in same or not st.value.atoms(sp.Function))
    }
    cheap = {name: [str(s) for s in st.value.free_symbols] for name, st in arithmetic.items()}
    kept = smallest_cut(inner, cheap, lambda n: n in free or n.startswith(BESIDE))
    again, todo = set(), [n for n in inner if n not in kept and (n not in free or n in same)]
    while todo:
        name = todo.pop()
        if name not in again:
            again.add(name)
            todo += [n for n in cheap[name] if n in made and n not in kept and (n not in free or n in same)]
    whole = {n.label for n in cell.nodes if n.op == "gate"}
    apart = {n.label for n in cell.nodes if n.op in ("gate_input", "gate_recurrent")}
    return Derivation(
        cell=cell,
        variant=variant,
        forward=forward,
        backward=tuple(backward),
        kept=tuple(n for st in forward for n in names_out(st) if n in kept),
        recomputed=tuple(st for name, st in arithmetic.items() if name in again),
        weight_gradients=weights,
        gradients=gradients,
        sum_gates=tuple(g for g in cell.gates if g in whole - apart),
    )
