"""What the letters of a cell stand for: the name that its author gave, and the equation of each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from recurra.equations.gates import activations
from recurra.equations.language import Cell, Expression

SIGNS = {"add": " + ", "subtract": " − ", "multiply": "·", "divide": " / "}
SUMS = ("add", "subtract", "gate", "gate_input", "gate_recurrent")
WRITTEN = {"sigmoid": "σ", "maximum": "max"}


@dataclass(frozen=True)
class Letter:
    """One of a cell's activations or states."""

    name: str
    meaning: str
    """"forget gate"; "" where nobody said."""
    equation: str
    """f = σ(W_f x + U_f h′ + b_f); ′ marks the step before."""


@lru_cache(maxsize=256)
def letters(cell: Cell) -> tuple[Letter, ...]:
    """The activations of a cell in the gates' order, then its states, each once."""
    found = {one.name: one.value for one in activations(cell)}
    found |= {state: result for state, result in zip(cell.state, cell.results, strict=True) if state not in found}
    of = {id(value): name for name, value in reversed(found.items())}
    written = {name: _written(cell, value, {**of, id(value): ""}) for name, value in found.items()}
    return tuple(
        Letter(name, cell.letters.get(name, ""), f"{name} = {formula}")
        for name, formula in written.items()
        if name != formula  # tanh(c) says itself what it is
    )


def _written(cell: Cell, node: Expression, of: dict[int, str]) -> str:
    """An expression as text; a node that has a name of its own is written as that name."""
    if named := of.get(id(node)):
        return named
    parts = [_written(cell, each, of) for each in node.args]
    bias = f" + b_{{}}{node.label}" if cell.bias else ""
    match node.op:
        case "state":
            return f"{node.label}′"
        case "gate":
            return f"W_{node.label} x + U_{node.label} {cell.state[0]}′{bias.format('')}"
        case "gate_input":
            return f"W_{node.label} x{bias.format('x')}"
        case "gate_recurrent":
            return f"U_{node.label} {cell.state[0]}′{bias.format('h')}"
        case "lower":
            return f"{node.label} of the layer below"
        case "function":
            return f"{WRITTEN.get(node.label, node.label)}({', '.join(parts)})"
        case "project":
            return f"W_{node.label}({', '.join(parts)})"
        case "norm_row":
            return f"norm({', '.join(parts)})"
        case "part":
            return (
                parts[0] if node.args[0].op == "norm_row" and node.args[0].parts == 1 else f"{parts[0]}[{node.label}]"
            )
        case "add" | "subtract" | "multiply" | "divide":
            tight = node.op in ("multiply", "divide")
            pieces = [
                f"({part})" if (tight or (k and node.op == "subtract")) and _sum(each, of) else part
                for k, (each, part) in enumerate(zip(node.args, parts, strict=True))
            ]
            return SIGNS[node.op].join(pieces)
    return node.label or node.op


def _sum(node: Expression, of: dict[int, str]) -> bool:
    return not of.get(id(node)) and node.op in SUMS
