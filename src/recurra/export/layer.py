"""A recurrent layer of a recorded program as ONNX: a node of ONNX's own where there is one, else a `Scan`.

While a program is recorded, `as_node` takes the place of the engine's operator: it leaves a node that is no ONNX yet,
and holds what the operator would have been told. `written` puts the layer in the stead of every such node.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor

from recurra.engine import operator
from recurra.export import nodes
from recurra.export.graph import Graph
from recurra.export.scan import Layer, scan, step

DOMAIN, NODE = "recurra", "Layer"


def as_node(
    x: Tensor, lengths: Tensor | None, state: Sequence[Tensor], tensors: Sequence[Tensor], words: str, truncate: int
) -> list[Tensor]:
    """What `operator.recorder` takes: the operator's arguments, y [T, B, ·] and the last states [B, ·]."""
    said = operator.read(words)
    width = sum(state[said.cell.state.index(s)].shape[1] for s in (said.cell.state[0], *said.also))
    shapes = [(*x.shape[:2], width), *(s.shape for s in state)]
    made = torch.onnx.ops.symbolic_multi_out(
        f"{DOMAIN}::{NODE}",
        [x, lengths, *state, *tensors],
        {"words": words, "one": int(isinstance(x.shape[0], int) and x.shape[0] == 1)},
        dtypes=[x.dtype] * len(shapes),
        shapes=shapes,
        version=1,
    )
    return list(made)


def written(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The nodes of a model with its layers in ONNX; their weights are added to the model's."""
    graph, given = Graph(DOMAIN), {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.domain == DOMAIN:
            _write(graph, node, given)
        else:
            graph.nodes.append(node)
    model.graph.initializer.extend(graph.tensors)
    return graph.nodes


def _write(graph: Graph, node: onnx.NodeProto, given: dict[str, onnx.TensorProto]) -> None:
    attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    said = operator.read(attributes["words"].decode())
    x, lengths, *rest = node.input
    states, rest = rest[: len(said.cell.state)], rest[len(said.cell.state) :]
    tensors = [torch.from_numpy(numpy_helper.to_array(given[name]).copy()) for name in rest[: len(said.own)]]
    others = {
        name: graph.slice(value, 0, 1, 0) if name.startswith("mask_") else value  # a mask's rows are all alike
        for name, value in zip(said.masks, rest[len(said.own) :], strict=True)
    }
    layer = Layer(said.cell, said.variant, dict(zip(said.own, tensors, strict=True)), said.also)
    before = dict(zip(said.cell.state, states, strict=True))
    y, last = write(graph, layer, x, before, lengths, others, attributes["one"])
    for name, value in zip(node.output, (y, *last), strict=False):
        graph.nodes.append(helper.make_node("Identity", [value], [name]))


def write(
    graph: Graph, layer: Layer, x: str, states: dict[str, str], lengths: str, others: dict[str, str], one: bool = False
) -> tuple[str, list[str]]:
    """x [T, B, I], states [B, ·], lengths [B], "" where all are full → y [T, B, ·], the last states.

    `others` are the masks of zoneout, the states of the layer below, and what comes beside x. `one`: T is 1, and no
    loop is written.
    """
    found, kept = nodes.fits(layer), (layer.cell.state[0], *layer.also)
    if found is not None:
        y, last = nodes.write(graph, layer, found, x, states, lengths)
    elif one:
        row = {name: v if name.startswith("mask_") else graph.squeeze(v, 0) for name, v in others.items()}
        last = step(graph, layer, graph.squeeze(x, 0), states, row)
        y = graph.concat([graph.unsqueeze(last[s], 0) for s in kept], -1)
    else:
        ends = lengths or graph.op("Expand", graph.size(x, 0), graph.size(x, 1))
        values, last = scan(graph, layer, x, states, graph.there(ends, x), others)
        y = graph.concat([values[s] for s in kept], -1)
    return y, [last[s] for s in layer.cell.state]
