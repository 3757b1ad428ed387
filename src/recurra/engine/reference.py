"""The oracle: the equations evaluated as they are written, step by step, in torch; autograd does the backward.

It shares nothing with the derived engines but the language: no statements, no schedule, no packed buffers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from recurra.engine.layer import NORM_EPSILON, Layer
from recurra.equations.expression import Expression, walk

Value = Any
"""What a node of the equations is worth: a tensor, or a tuple of them where a seam has several results."""

FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "softplus": F.softplus,
    "exp": torch.exp,
    "log": torch.log,
    "hard_sigmoid": F.hardsigmoid,
    "hard_tanh": F.hardtanh,
    "maximum": torch.maximum,
}


def run(
    layer: Layer, x: Tensor, state: tuple[Tensor, ...], weights: Mapping[str, Tensor], masks: Mapping[str, Tensor]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """One layer in one direction over packed rows x [N, I], from states [alive, ·]: h [N, ·] and the final states.

    Where `layer.also` names states, their values at every step stand behind h in the rows.
    """
    outputs, tails = [], []
    sizes, start = layer.time.sizes, 0
    for t, rows in enumerate(sizes):
        if state[0].shape[0] > rows:
            tails.append(tuple(s[rows:] for s in state))
            state = tuple(s[:rows] for s in state)
        if layer.truncate and t and t % layer.truncate == 0:
            state = tuple(s.detach() for s in state)
        here = slice(start, start + rows)
        state = step(layer, x[here], state, weights, {name: m[here] for name, m in masks.items()})
        if layer.record is not None and state[0].requires_grad:
            layer.record.watch(t, state[0])
        if layer.trace is not None:
            layer.trace.states.append(state)
        outputs.append(torch.cat([state[k] for k in layer.given], -1) if layer.also else state[0])
        start += rows
    finals = [state, *reversed(tails)]
    y = torch.cat(outputs) if outputs else x.new_zeros(0, sum(state[k].shape[-1] for k in layer.given))
    return y, tuple(torch.cat(parts) for parts in zip(*finals, strict=True))


def arithmetic(node: Expression, v: Sequence[Any]) -> Tensor:
    """The value of a function or an operation of what its arguments are worth."""
    match node.op:
        case "function":
            return FUNCTIONS[node.label](*v)
        case "add":
            return v[0] + v[1]
        case "subtract":
            return v[0] - v[1]
        case "multiply":
            return v[0] * v[1]
    return v[0] / v[1]


def step(
    layer: Layer, x: Tensor, state: tuple[Tensor, ...], weights: Mapping[str, Tensor], masks: Mapping[str, Tensor]
) -> tuple[Tensor, ...]:
    """One time step for rows x [B, I]: the new states."""
    cell, variant = layer.cell, layer.variant
    values: dict[int, Value] = {}
    inputs: dict[str, Tensor] = {}
    recurrents: dict[str, Tensor] = {}
    if cell.input_gates:
        parts = F.linear(x, weights["weight_ih"], weights.get("bias_ih")).chunk(len(cell.input_gates), -1)
        inputs = dict(zip(cell.input_gates, parts, strict=True))
    if cell.recurrent_gates:
        h = state[0] * masks["mask_recurrent"] if variant.recurrent_mask else state[0]
        parts = F.linear(h, weights["weight_hh"], weights.get("bias_hh")).chunk(len(cell.recurrent_gates), -1)
        recurrents = dict(zip(cell.recurrent_gates, parts, strict=True))
    states = dict(zip(cell.state, state, strict=True))

    def evaluate(node: Expression) -> Value:
        v = [values[id(a)] for a in node.args]
        match node.op:
            case "number":
                return state[0].new_tensor(float(node.label))
            case "gate":
                return inputs[node.label] + recurrents[node.label]
            case "gate_input":
                return inputs[node.label]
            case "gate_recurrent":
                return recurrents[node.label]
            case "state":
                return states[node.label]
            case "x":
                return x
            case "unit" | "scalar":
                return weights[node.label]
            case "mask" | "lower" | "given":
                return masks[f"{node.op}_{node.label}"]
            case "project":
                y = F.linear(v[0], weights[f"weight_{node.label}"])
                return y if node.parts == 1 else y.chunk(node.parts, -1)
            case "norm_row":
                row = torch.cat(v, -1)
                return F.layer_norm(row, row.shape[-1:], eps=NORM_EPSILON).chunk(len(v), -1)
            case "part":
                return v[0][int(node.label)]
        return arithmetic(node, v)

    for node in cell.nodes:
        values[id(node)] = evaluate(node)
    if layer.trace is not None:
        for node in walk(*layer.trace.wanted.values()):
            if id(node) not in values:
                values[id(node)] = evaluate(node)
        layer.trace.note({name: values[id(node)] for name, node in layer.trace.wanted.items()})
    new = [values[id(r)] for r in cell.results]
    if variant.projected:
        new[0] = F.linear(new[0], weights["weight_hr"])
    for k, name in enumerate(cell.state):
        if name in variant.zoneout:
            new[k] = state[k] + masks[f"mask_zoneout_{name}"] * (new[k] - state[k])
    return tuple(new)
