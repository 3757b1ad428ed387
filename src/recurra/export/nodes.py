"""ONNX's own LSTM, GRU and RNN nodes for the cells whose equations are the same.

What a node computes is said by registered cells: a cell whose equations are one of theirs, whatever it calls its gates
and parameters, is written as that node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.equations.language import Cell, Expression
from recurra.export.graph import FLOAT, INT32, Graph
from recurra.export.scan import Layer
from recurra.registry import find

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Form:
    """How a cell's weights lie in a node."""

    node: str
    gates: tuple[str, ...]
    """The cell's gates in the node's order; "" for one the node does not read, "-f" for f with its sign turned."""
    peepholes: tuple[str, ...] = ()
    """In the node's order i o f."""
    attributes: Mapping[str, Any] = field(default_factory=dict)


PEEPHOLES = ("peephole_i", "peephole_o", "peephole_f")
FORMS: dict[str, Form] = {
    "lstm": Form("LSTM", ("i", "o", "f", "g")),
    "peephole-lstm": Form("LSTM", ("i", "o", "f", "g"), PEEPHOLES),
    # A coupled node has f = 1 − i; with i = 1 − σ(a_f) = σ(−a_f) that is the cell's own.
    "coupled-lstm": Form("LSTM", ("-f", "o", "", "g"), attributes={"input_forget": 1}),
    "coupled-peephole-lstm": Form("LSTM", ("i", "o", "", "g"), ("peephole_i", "peephole_o", ""), {"input_forget": 1}),
    "no-input-activation-lstm": Form(
        "LSTM", ("i", "o", "f", "g"), PEEPHOLES, {"activations": ["Sigmoid", "Affine", "Tanh"]}
    ),
    "no-output-activation-lstm": Form(
        "LSTM", ("i", "o", "f", "g"), PEEPHOLES, {"activations": ["Sigmoid", "Tanh", "Affine"]}
    ),
    "gru": Form("GRU", ("z", "r", "n"), attributes={"linear_before_reset": 1}),
    "gru-reset-before": Form("GRU", ("z", "r", "n"), attributes={"linear_before_reset": 0}),
    "rnn-tanh": Form("RNN", ("s",), attributes={"activations": ["Tanh"]}),
    "rnn-relu": Form("RNN", ("s",), attributes={"activations": ["Relu"]}),
    "rnn-identity": Form("RNN", ("s",), attributes={"activations": ["Affine"]}),
}


@dataclass(frozen=True)
class Match:
    """The form of a cell, and the form's names → the cell's."""

    form: Form
    names: Mapping[str, str]


@lru_cache(maxsize=256)
def match(cell: Cell) -> Match | None:
    """The node whose equations are those of the cell; None: there is none."""
    for name, form in FORMS.items():
        names: dict[str, str] = {}
        template = find("cell", name)
        alike = len(template.state) == len(cell.state)
        if alike and all(_same(a, b, names) for a, b in zip(template.results, cell.results, strict=True)):
            states = dict(zip(template.state, cell.state, strict=True))
            if all(states.get(s, t) == t for s, t in names.items() if s in states):
                return Match(form, names)
    return None


def _same(one: Expression, other: Expression, names: dict[str, str]) -> bool:
    """Whether two expressions differ in names only; `names` gathers what the first one's are called in the other."""
    if (one.op, one.parts, one.wide, len(one.args)) != (other.op, other.parts, other.wide, len(other.args)):
        return False
    if one.op in ("function", "number", "part"):
        if one.label != other.label:
            return False
    elif names.setdefault(one.label, other.label) != other.label and one.label:
        return False
    return all(_same(a, b, names) for a, b in zip(one.args, other.args, strict=True))


def fits(layer: Layer) -> Match | None:
    """The node that a layer can be written as: its cell is one, and nothing was added to it."""
    if layer.variant.projected or layer.variant.zoneout or layer.also:
        return None
    return match(layer.cell)


def write(
    graph: Graph, layer: Layer, found: Match, x: str, states: Mapping[str, str], lengths: str
) -> tuple[str, dict[str, str]]:
    """One node: x [T, B, I], the states [B, H], lengths [B] or "" → y [T, B, H], the last states.

    A sequence of no steps keeps its states.
    """
    cell, form = layer.cell, found.form
    H = layer.weights["weight_hh"].shape[0] // len(cell.recurrent_gates)
    W, R, B, P = (graph.constant(weights[None]) for weights in _packed(layer, found, H))
    initial = [graph.unsqueeze(states[name], 0) for name in cell.state]
    # A node wants one step at least; what it makes of an empty sequence is thrown away below.
    steps = graph.cast(graph.op("Max", lengths, graph.integers(1)), INT32) if lengths else ""
    inputs = [x, W, R, B, steps, *initial, *([P] if form.peepholes else [])]
    attributes = {**form.attributes, "hidden_size": H}
    if "Affine" in attributes.get("activations", ()):  # α x + β
        attributes |= {"activation_alpha": [1.0], "activation_beta": [0.0]}
    y, *finals = graph.ops(form.node, inputs, 1 + len(cell.state), attributes)
    if lengths:
        some = graph.unsqueeze(graph.op("Greater", lengths, graph.constant(0, np.int64)), 1)  # [B, 1]
        y = graph.op("Mul", y, graph.cast(some, FLOAT))
        finals = [graph.where(some, new, old) for new, old in zip(finals, initial, strict=True)]
    ends = {s: graph.squeeze(final, 0) for s, final in zip(cell.state, finals, strict=True)}
    return graph.squeeze(y, 1), ends


def _packed(layer: Layer, found: Match, H: int) -> tuple[Array, Array, Array, Array]:
    """W [gates · H, I], R [gates · H, H], both biases, and the peepholes, in the node's order."""
    cell, form = layer.cell, found.form
    numbers = {name: tensor.detach().cpu().float().numpy() for name, tensor in layer.weights.items()}
    blocks = {
        "ih": _blocks(numbers["weight_ih"], cell.input_gates, H),
        "hh": _blocks(numbers["weight_hh"], cell.recurrent_gates, H),
        "bias_ih": _blocks(numbers.get("bias_ih"), cell.input_gates, H),
        "bias_hh": _blocks(numbers.get("bias_hh"), cell.recurrent_gates, H),
    }
    if "candidate" in found.names:  # the product behind a reset gate
        blocks["hh"][found.names["n"]] = numbers[f"weight_{found.names['candidate']}"]

    def rows(kind: str, width: int | None) -> Array:
        shape = (H,) if width is None else (H, width)
        parts = []
        for gate in form.gates:
            sign, name = (-1, gate[1:]) if gate.startswith("-") else (1, gate)
            parts.append(sign * blocks[kind].get(found.names.get(name, ""), np.zeros(shape, np.float32)))
        return np.concatenate(parts).astype(np.float32)

    zeros = np.zeros(H, np.float32)
    peepholes = [numbers[found.names[name]] if name else zeros for name in form.peepholes] or [zeros]
    bias = np.concatenate([rows("bias_ih", None), rows("bias_hh", None)])
    I = numbers["weight_ih"].shape[1]
    return rows("ih", I), rows("hh", H), bias, np.concatenate(peepholes)


def _blocks(rows: Array | None, gates: Sequence[str], H: int) -> dict[str, Array]:
    """The rows of each gate."""
    if rows is None:
        return {}
    return {gate: rows[k * H : (k + 1) * H] for k, gate in enumerate(gates)}
