"""The oracle: the equations evaluated as they are written, node by node, in torch; autograd does the backward.

It shares nothing with the derived engine but the language and the plan of a batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from recurra.engine.layer import Record
from recurra.engine.reference import arithmetic
from recurra.engine.trees.plan import Plan
from recurra.equations.expression import Expression, walk

States = list[Tensor]


def run(plan: Plan, x: Tensor, weights: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    """All nodes from their inputs x [M, I], in the order of `Tree.word`: each state [N, H] in the order of rows."""
    tree, cell = plan.tree, plan.cell
    inputs = dict(zip(tree.word.tolist(), x, strict=True))
    children: dict[int, list[int]] = {}
    for child, parent in zip(tree.child.tolist(), tree.parent.tolist(), strict=True):
        children.setdefault(parent, []).append(child)
    states: list[States] = []
    for row in range(tree.nodes):  # children have smaller rows
        below = [states[child] for child in children.get(row, [])]
        given = inputs.get(row)
        wide = F.linear(x.new_zeros(x.shape[1]) if given is None else given, weights["weight_ih"], weights["bias_ih"])
        parts = dict(zip(cell.input_gates, wide.chunk(len(cell.input_gates), -1), strict=True))
        states.append(_node(plan, parts, below, weights, {name: m[row] for name, m in masks.items()}))
    H = weights["weight_ih"].shape[0] // max(1, len(cell.input_gates))
    if not states:
        return tuple(x.new_zeros(0, H) for _ in cell.state)
    if plan.record is not None and states[0][0].requires_grad:
        _watch(plan.record, [state[0] for state in states])
    return tuple(torch.stack(column) for column in zip(*states, strict=True))


def _watch(record: Record, h: list[Tensor]) -> None:
    """Fill a record as autograd's backward passes by each node."""
    norms = record.norms[0] = h[0].new_zeros(len(h))
    for row, state in enumerate(h):
        state.register_hook(partial(_note, norms, row))


def _note(norms: Tensor, row: int, gradient: Tensor) -> None:
    norms[row] = torch.linalg.vector_norm(gradient.detach())


def _node(
    plan: Plan,
    inputs: Mapping[str, Tensor],
    below: list[States],
    weights: Mapping[str, Tensor],
    masks: Mapping[str, Tensor],
) -> States:
    """The states of one node from those of its children, [H] each."""
    cell = plan.cell
    none = next(iter(inputs.values()))
    zero = torch.zeros_like(none)
    if not plan.each:
        below = below + [[zero for _ in cell.state]] * (len(cell.children) - len(below))
        gates = dict(inputs)
        named: dict[str, Tensor] = {}
        for child, states in zip(cell.children, below, strict=True):
            named |= {f"{s}_{child}": value for s, value in zip(cell.state, states, strict=True)}
            product = F.linear(states[0], weights[f"weight_{child}"]).chunk(len(cell.input_gates), -1)
            gates = {g: gates[g] + part for g, part in zip(cell.input_gates, product, strict=True)}
        return [_value(result, gates, named, weights, masks, zero) for result in cell.results]
    gates = dict(inputs)
    if cell.node_gates:
        together = sum((states[0] for states in below), zero)
        product = F.linear(together, weights["weight_sum"]).chunk(len(cell.node_gates), -1)
        gates |= {g: gates[g] + part for g, part in zip(cell.node_gates, product, strict=True)}
    totals: dict[int, Tensor] = {}
    for node in walk(*cell.results):
        if node.op == "total":
            totals[id(node)] = zero
            for states in below:
                named = dict(zip(cell.state, states, strict=True))
                own = {}
                if cell.child_gates:
                    product = F.linear(states[0], weights["weight_each"]).chunk(len(cell.child_gates), -1)
                    own = {g: inputs[g] + part for g, part in zip(cell.child_gates, product, strict=True)}
                totals[id(node)] = totals[id(node)] + _value(node.args[0], own, named, weights, masks, zero)
    return [_value(result, gates, {}, weights, masks, zero, totals) for result in cell.results]


def _value(
    wanted: Expression,
    gates: Mapping[str, Tensor],
    children: Mapping[str, Tensor],
    weights: Mapping[str, Tensor],
    masks: Mapping[str, Tensor],
    zero: Tensor,
    totals: Mapping[int, Tensor] | None = None,
) -> Tensor:
    """What an expression is worth at a node, or at one child of it."""
    values: dict[int, Tensor] = {}
    for node in walk(wanted):
        if totals is not None and id(node) in totals:
            values[id(node)] = totals[id(node)]
        elif all(id(a) in values for a in node.args):  # what is below a total is another node's
            v = [values[id(a)] for a in node.args]
            values[id(node)] = _made(node, v, gates, children, weights, masks, zero)
    return values[id(wanted)]


def _made(
    node: Expression,
    v: list[Tensor],
    gates: Mapping[str, Tensor],
    children: Mapping[str, Tensor],
    weights: Mapping[str, Tensor],
    masks: Mapping[str, Tensor],
    zero: Tensor,
) -> Tensor:
    match node.op:
        case "number":
            return zero.new_tensor(float(node.label))
        case "gate":
            return gates.get(node.label, zero)
        case "child":
            return children.get(node.label, zero)
        case "unit" | "scalar":
            return weights[node.label]
        case "mask":
            return masks[f"mask_{node.label}"]
    return arithmetic(node, v)
