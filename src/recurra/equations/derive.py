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

from recurra.equations.functions import DERIVATIVES, SYMBOLS
from recurra.equations.keep import smallest_cut
from recurra.equations.language import Cell, Expression
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
from recurra.errors import ConfigError

MOST_OPERATIONS = 1_000
"""Of the pointwise statements of a step, forward and backward together."""
LARGEST_WHOLE = 1 << 20
"""Whole numbers up to here are kept exact, so that 2 / 2 is 1; others as floats."""


@dataclass(frozen=True)
class Variant:
    """What may be added to a cell's equations: a projection of h, zoneout, a mask on the recurrent product."""

    projected: bool = False
    """h is multiplied by W_hr after the step (Sak et al. 2014)."""
    recurrent_mask: bool = False
    """The recurrent product sees h times `mask_recurrent` (variational dropout, Gal & Ghahramani 2016)."""
    zoneout: tuple[str, ...] = ()
    """States that keep their old value where `mask_zoneout_<state>` is 0 (Krueger et al. 2017)."""


PLAIN = Variant()


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


class _Lowering:
    """Walks a cell's expressions and writes the statements of the forward."""

    def __init__(self, cell: Cell, variant: Variant) -> None:
        self.cell, self.variant = cell, variant
        self.statements: list[Statement] = []
        self.values: dict[int, sp.Expr] = {}
        self.taken = {"x", *cell.state, *cell.parameters}
        self.uses: defaultdict[int, int] = defaultdict(int)
        for node in (*cell.nodes,):
            for argument in node.args:
                self.uses[id(argument)] += 1
        self.norms = 0

    def run(self) -> tuple[Statement, ...]:
        cell, variant = self.cell, self.variant
        if cell.input_gates:
            self.statements.append(Product(tuple(f"a_{g}_in" for g in cell.input_gates), "ih", "x"))
        if cell.recurrent_gates:
            argument = f"{cell.state[0]}_prev"
            if variant.recurrent_mask:
                self.statements.append(Pointwise("h_masked", symbol(argument) * symbol("mask_recurrent")))
                argument = "h_masked"
            self.statements.append(Product(tuple(f"a_{g}_rec" for g in cell.recurrent_gates), "hh", argument))
        for gate in cell.gates:
            if any(n.op == "gate" and n.label == gate for n in cell.nodes):
                self.statements.append(Pointwise(f"a_{gate}", symbol(f"a_{gate}_in") + symbol(f"a_{gate}_rec")))
        for node in cell.nodes:
            self.values[id(node)] = self.lower(node)
        news = dict(zip(cell.state, (self.values[id(r)] for r in cell.results), strict=True))
        # All new states are read before the first is overwritten: their names are new, so the order does not matter.
        for state, value in news.items():
            if state == cell.state[0] and variant.projected:
                if any(n.op == "state" and n.label == state for n in cell.nodes):
                    raise ConfigError(
                        f"cell {cell.name!r} uses {state} unit by unit, so it cannot be projected to another size: "
                        "leave proj_size at 0."
                    )
                self.statements += [Pointwise("unprojected", value), Product(("projected",), "hr", "unprojected")]
                value = symbol("projected")
            if state in variant.zoneout:
                old = symbol(f"{state}_prev")
                value = old + symbol(f"mask_zoneout_{state}") * (value - old)
            self.statements.append(Pointwise(state, value))
        return tuple(self.states_under_their_name())

    def states_under_their_name(self) -> list[Statement]:
        """Where a new state is just another statement's value, that value takes the state's name."""
        statements = self.statements
        for state in self.cell.state:
            last = next(s for s in statements if isinstance(s, Pointwise) and s.name == state)
            maker = next((s for s in statements if isinstance(s, Pointwise) and last.value == symbol(s.name)), None)
            if maker is None or maker.name in self.cell.state or maker.name.startswith("a_"):
                continue
            statements = [_renamed(s, maker.name, symbol(state)) for s in statements if s is not last]
            statements = [
                Pointwise(state, s.value) if isinstance(s, Pointwise) and s.name == maker.name else s
                for s in statements
            ]
        return statements

    def lower(self, node: Expression) -> sp.Expr:
        arguments = [self.values[id(a)] for a in node.args]
        match node.op:
            case "number":
                number = float(node.label)
                small = number.is_integer() and abs(number) <= LARGEST_WHOLE
                return sp.Integer(int(number)) if small else sp.Float(number)
            case "gate" | "gate_input" | "gate_recurrent":
                return symbol("a_" + node.label + {"gate": "", "gate_input": "_in", "gate_recurrent": "_rec"}[node.op])
            case "state":
                return symbol(f"{node.label}_prev")
            case "x" | "unit" | "scalar":
                return symbol(node.label)
            case "mask" | "lower":
                return symbol(f"{node.op}_{node.label}")
            case "function":
                return self.apply(node, arguments)
            case "project":
                argument = self.named(arguments[0], f"into_{node.label}")
                names = [f"project_{node.label}{f'_{k}' if node.parts > 1 else ''}" for k in range(node.parts)]
                outs = tuple(map(self.fresh, names))
                self.statements.append(Product(outs, node.label, str(argument)))
                return symbol(outs[0]) if node.parts == 1 else sp.Tuple(*map(symbol, outs))
            case "norm_row":
                self.norms += 1
                rows = tuple(str(self.named(a, f"row{self.norms}_{k}")) for k, a in enumerate(arguments))
                outs = tuple(self.fresh(f"norm{self.norms}_{k}") for k in range(len(rows)))
                self.statements.append(Norm(outs, rows, f"scale{self.norms}"))
                return sp.Tuple(*map(symbol, outs))
            case "part":
                return arguments[0][int(node.label)]
        value = {
            "add": lambda a, b: a + b,
            "subtract": lambda a, b: a - b,
            "multiply": lambda a, b: a * b,
            "divide": lambda a, b: a / b,
        }[node.op](*arguments)
        states = [s for s, result in zip(self.cell.state, self.cell.results, strict=True) if result is node]
        if self.uses[id(node)] > 1 or (states and self.uses[id(node)]):
            return self.named(value, f"new_{states[0]}" if states else "t")
        return value

    def apply(self, node: Expression, arguments: list[sp.Expr]) -> sp.Expr:
        gates = {str(s).split("_")[1] for a in arguments for s in a.free_symbols if str(s).startswith("a_")}
        gates &= set(self.cell.gates) - self.taken
        if len(gates) == 1:
            name = gates.pop()
        elif len(arguments) == 1 and arguments[0].is_Symbol:
            seen = str(arguments[0]).removeprefix("new_")
            # names that end in _prev are the states' own
            name = f"{node.label}_{f'old_{seen[:-5]}' if seen.endswith('_prev') else seen}"
        else:
            name = "t"
        name = self.fresh(name)
        named = [self.named(a, f"v_{name}") for a in arguments]
        self.statements.append(Pointwise(name, SYMBOLS[node.label](*named)))
        return symbol(name)

    def named(self, value: sp.Expr, name: str) -> sp.Expr:
        if value.is_Symbol:
            return value
        name = self.fresh(name)
        self.statements.append(Pointwise(name, value))
        return symbol(name)

    def fresh(self, name: str) -> str:
        candidate, k = name, 1
        while candidate in self.taken:
            k += 1
            candidate = f"{name}{k}"
        self.taken.add(candidate)
        return candidate


def _backward(forward: tuple[Statement, ...], cell: Cell) -> tuple[list[Statement], dict[str, str], dict[str, tuple]]:
    """The chain rule over the statements in reverse: backward statements, leaf gradients, weight gradients."""
    terms: defaultdict[str, list[sp.Expr]] = defaultdict(list)
    for state in cell.state:
        terms[state].append(symbol(f"g_{state}"))
    out: list[Statement] = []
    weights: dict[str, tuple[str, tuple[str, ...]]] = {}

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
                    if slope != 0 and not leaf.startswith("mask_"):
                        terms[leaf].append(arriving * slope)
            case Product(outs, weight, argument):
                grads = tuple(gradient(o) for o in outs)
                back = error(argument)
                out.append(ProductTransposed(back, weight, grads))
                terms[argument].append(symbol(back))
                weights[weight] = (argument, grads)
            case Norm(outs, arguments, scale):
                grads = tuple(gradient(o) for o in outs)
                backs = tuple(map(error, arguments))
                out.append(NormTransposed(backs, grads, outs, scale))
                for argument, back in zip(arguments, backs, strict=True):
                    terms[argument].append(symbol(back))
    return out, {leaf: gradient(leaf) for leaf in sorted(terms)}, weights


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
                statements = [_renamed(s, st.name, st.value) for s in statements[:k] + statements[k + 1 :]]
                for leaf, name in wanted.items():
                    wanted[leaf] = str(st.value) if name == st.name else name
                for weight, (argument, grads) in weights.items():
                    weights[weight] = (argument, tuple(str(st.value) if g == st.name else g for g in grads))
                break
            if st.name not in pinned and reads[st.name] <= 1:
                statements = [_renamed(s, st.name, st.value) for s in statements[:k] + statements[k + 1 :]]
                break
        else:
            return statements


def _renamed(statement: Statement, name: str, value: sp.Expr) -> Statement:
    """The statement with `name` replaced: by an expression in pointwise ones, by another name in seams."""

    def rename(words: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(value) if w == name else w for w in words)

    match statement:
        case Pointwise(own, expression):
            return Pointwise(own, expression.xreplace({symbol(name): value}))
        case Product(outs, weight, argument):
            return Product(outs, weight, *rename((argument,)))
        case ProductTransposed(out, weight, grads):
            return ProductTransposed(out, weight, rename(grads))
        case Norm(outs, arguments, scale):
            return Norm(outs, rename(arguments), scale)
        case NormTransposed(outs, grads, results, scale):
            return NormTransposed(outs, rename(grads), rename(results), scale)


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
        forward = _Lowering(cell, variant).run()
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
    kept = smallest_cut(inner, cheap, lambda n: n in free or n.startswith(("mask_", "lower_")))
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
