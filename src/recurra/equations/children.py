"""Cells over trees: what their equations may hold of a node's children.

A gate's pre-activation comes to a node from its own input and from all of its children:

- children by position, a cell's "left" and "right": a = W x + b + U_left h_left + U_right h_right;
- children that are all alike, "each": a = W x + b + U Σ_k h_k outside of `total`; inside, where a gate is one of every
  child's, a_k = W x + b + U_each h_k.

Gates stand whole in such equations, and all products are the gates' own. Source: Tai, Socher & Manning 2015, Improved
semantic representations from tree-structured long short-term memory networks, eq. 2-14.
"""

from __future__ import annotations

from collections.abc import Sequence

from recurra.equations.expression import Expression, walk
from recurra.errors import ConfigError

EACH = ("each",)
"""The children of a cell that takes any number of them, all alike."""
OF_A_CHILD = ("gate", "child", "number", "unit", "scalar", "function", "add", "subtract", "multiply", "divide")
"""What may stand inside `total`."""


def child_symbols(state: Sequence[str], children: Sequence[str]) -> tuple[str, ...]:
    """What the states of children are called: `h_left`, or where all are alike as the cell's own."""
    if tuple(children) == EACH:
        return tuple(state)
    return tuple(f"{s}_{child}" for child in children for s in state)


def inside_totals(results: Sequence[Expression]) -> list[Expression]:
    """The nodes of what is summed over children."""
    return list(walk(*(argument for node in walk(*results) if node.op == "total" for argument in node.args)))


def check_children(
    name: str, children: Sequence[str], nodes: Sequence[Expression], results: Sequence[Expression]
) -> None:
    """Raise `ConfigError` for equations that this cell cannot have, over trees or not."""
    if not children:
        if any(node.op == "total" for node in nodes):
            raise ConfigError(
                f'cell {name!r} sums over children, but has none. Say children="each", or leave total(…).'
            )
        return
    for node in nodes:
        if node.op not in (*OF_A_CHILD, "mask", "total"):
            what = {"gate_input": "a part of a gate", "gate_recurrent": "a part of a gate"}.get(node.op, node.op)
            raise ConfigError(
                f"cell {name!r} over trees holds {what}, expected whole gates, states of children, parameters, masks "
                "and pointwise functions of them."
            )
    if tuple(children) != EACH:
        if any(node.op == "total" for node in nodes):
            raise ConfigError(f"cell {name!r} has children by position, which are no sum: leave total(…).")
        return
    inside = inside_totals(results)
    for node in inside:
        if node.op not in OF_A_CHILD:
            raise ConfigError(f"cell {name!r} sums {node.op} over children, expected what each child has of its own.")
    outside = _outside(results)
    for node in outside:
        if node.op == "child" or (node.op == "gate" and any(node is other for other in inside)):
            raise ConfigError(
                f"cell {name!r}: {node.label} is one of every child's, but stands outside of total(…). Sum it, or give "
                "the gate another name there."
            )


def _outside(results: Sequence[Expression]) -> list[Expression]:
    """The nodes that are reached without going into a total."""
    found: dict[int, Expression] = {}
    todo = list(results)
    while todo:
        node = todo.pop()
        if id(node) not in found:
            found[id(node)] = node
            todo += () if node.op == "total" else node.args
    return list(found.values())
