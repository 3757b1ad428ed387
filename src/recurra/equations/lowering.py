"""From a cell's equations to the statements of one step forward."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import sympy as sp

from recurra.equations.expression import Expression
from recurra.equations.functions import SYMBOLS
from recurra.equations.language import Cell
from recurra.equations.statements import Norm, Pointwise, Product, Statement, Total, renamed, symbol
from recurra.errors import ConfigError

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


def forward_statements(cell: Cell, variant: Variant) -> tuple[Statement, ...]:
    """The equations of a cell as statements, in order. Raises ConfigError where the variant does not fit the cell."""
    return _Lowering(cell, variant).run()


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
        if cell.input_gates and not cell.children:
            self.statements.append(Product(tuple(f"a_{g}_in" for g in cell.input_gates), "ih", "x"))
        if cell.recurrent_gates and not cell.children:
            argument = f"{cell.state[0]}_prev"
            if variant.recurrent_mask:
                self.statements.append(Pointwise("h_masked", symbol(argument) * symbol("mask_recurrent")))
                argument = "h_masked"
            self.statements.append(Product(tuple(f"a_{g}_rec" for g in cell.recurrent_gates), "hh", argument))
        for gate in () if cell.children else cell.gates:  # over trees a pre-activation comes from the engine as it is
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
            statements = [renamed(s, maker.name, symbol(state)) for s in statements if s is not last]
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
            case "mask" | "lower" | "given" | "child":
                return symbol(f"{node.op}_{node.label}")
            case "function":
                return self.apply(node, arguments)
            case "total":
                each, out = self.named(arguments[0], "each"), self.fresh("total")
                self.statements.append(Total(out, str(each)))
                return symbol(out)
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
            return self.named(value, f"new_{states[0]}" if states else self.now(value))
        return value

    def now(self, value: sp.Expr) -> str:
        """What a value without a name of its own is called. An old state that has decayed is called after it: sums are
        ordered by names, so that where nothing decays they are those of the cell without a decay, to the last bit."""
        old = [s for s in self.cell.state if symbol(f"{s}_prev") in sp.Mul.make_args(value)] if self.cell.given else []
        return f"{old[0]}_now" if old else "t"

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
