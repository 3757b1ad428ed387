"""Any cell over time as an ONNX `Scan` of its equations, or as one step of them without a loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from recurra.engine.program import Program, program
from recurra.engine.writer import reads
from recurra.equations.derive import Variant
from recurra.equations.language import Cell
from recurra.equations.statements import Statement, names_out
from recurra.export import pointwise
from recurra.export.graph import BOOL, FLOAT, Graph


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer as it is outside training, where the recurrent mask is 1."""

    cell: Cell
    variant: Variant
    weights: Mapping[str, Tensor]
    """By the cell's own names: `weight_ih`, `bias_ih`, …, and its parameters."""
    also: tuple[str, ...] = ()
    """States besides the first that are wanted at every step."""

    @property
    def program(self) -> Program:
        return program(self.cell, replace(self.variant, recurrent_mask=False))


Values = Mapping[str, str]
"""What else a step reads, by name: `lower_<state>`, that state of the layer below at every step, `given_<name>`, what
comes beside x, and `mask_zoneout_<state>`, which is the same at all of them."""


def step(graph: Graph, layer: Layer, x: str, states: Mapping[str, str], others: Values) -> dict[str, str]:
    """One step: x [B, I], states [B, ·] by name → the new states."""
    made = layer.program
    values = {"x": x, **_parameters(graph, layer), **others, **{f"{s}_prev": v for s, v in states.items()}}
    pointwise.write(graph, (*made.forward.before, *made.forward.step), values, layer.weights)
    return {s: values[s] for s in layer.cell.state}


def scan(
    graph: Graph, layer: Layer, x: str, states: Mapping[str, str], there: str, others: Values
) -> tuple[dict[str, str], dict[str, str]]:
    """All steps: x [T, B, I], states [B, ·], there [T, B, 1] → states at every step [T, B, ·], and the last ones.

    A state stays as it is at steps behind the end of its sequence, where what is given of it is 0.
    """
    made = layer.program
    values = {"x": x, **_parameters(graph, layer), **others}
    pointwise.write(graph, made.forward.before, values, layer.weights)
    rows = sorted(name for name in _needed(made.forward.step) if name in values and not _is_constant(made, name))
    body = Graph(graph.fresh("step"), inside=graph)
    old = {s: body.input(body.fresh(f"{s}_prev"), FLOAT, None) for s in layer.cell.state}
    inner = dict(values)
    inner |= {name: body.input(body.fresh(name), FLOAT, None) for name in rows}
    alive = body.input(body.fresh("there"), BOOL, None)
    inner |= {f"{s}_prev": old[s] for s in layer.cell.state}
    pointwise.write(body, made.forward.step, inner, layer.weights)
    new = {s: body.where(alive, inner[s], old[s]) for s in layer.cell.state}
    for s in layer.cell.state:
        body.output(body.fresh(s), new[s], FLOAT, None)
    kept = (layer.cell.state[0], *layer.also)
    for s in kept:
        body.output(body.fresh(s), body.where(alive, inner[s], body.constant(0.0)), FLOAT, None)
    outputs = graph.ops(
        "Scan",
        [*(states[s] for s in layer.cell.state), *(values[name] for name in rows), there],
        len(old) + len(kept),
        {"body": body.body(), "num_scan_inputs": len(rows) + 1},
    )
    return dict(zip(kept, outputs[len(old) :], strict=True)), dict(zip(layer.cell.state, outputs, strict=False))


def _parameters(graph: Graph, layer: Layer) -> dict[str, str]:
    return {name: graph.weight(layer.weights[name]) for name in layer.cell.parameters}


def _is_constant(made: Program, name: str) -> bool:
    return name in made.constants or name.startswith("mask_")


def _needed(statements: Iterable[Statement]) -> set[str]:
    """What the statements read and do not make."""
    statements = list(statements)
    return reads(statements) - {name for st in statements for name in names_out(st)}
