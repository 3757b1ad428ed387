"""What stands above a core, as ONNX: pooling, softmax over symbols, full or adaptive."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from recurra.export.graph import FLOAT, Graph
from recurra.nn.emissions.adaptive import AdaptiveSoftmax
from recurra.nn.emissions.categorical import Categorical


def log_probabilities(graph: Graph, y: str, weight: Tensor, bias: Tensor) -> str:
    """log softmax(V y + c) over the last axis."""
    return graph.softmax(graph.matmul(y, weight, bias), log=True)


def categorical(graph: Graph, y: str, softmax: Any, tied_to: Tensor | None) -> str:
    """The log-probabilities of all symbols by a `Categorical`, perhaps of another's matrix."""
    return log_probabilities(graph, y, softmax.weight if tied_to is None else tied_to, softmax.bias)


def adaptive(graph: Graph, y: str, softmax: Any, tied_to: None) -> str:
    """The log-probabilities of all symbols by an `AdaptiveSoftmax`."""
    first = softmax.cutoffs[0]
    head = log_probabilities(graph, y, softmax.head, softmax.bias)
    parts = [graph.slice(head, 0, first, -1)]
    for i, (down, up) in enumerate(zip(softmax.down, softmax.up, strict=True)):
        tail = graph.softmax(graph.matmul(graph.matmul(y, down), up), log=True)
        parts.append(graph.op("Add", tail, graph.slice(head, first + i, first + i + 1, -1)))
    return graph.concat(parts, -1)


EMISSIONS: dict[type, Callable[[Graph, str, Any, Any], str]] = {Categorical: categorical, AdaptiveSoftmax: adaptive}
"""What a step's symbol is drawn from: the graph, y, the emission, and the matrix that it is tied to, if it is."""


def pooled(graph: Graph, layer: Any, y: str, lengths: str, both: bool) -> str:
    """A `Pooling` of y [T, B, H] → [B, H]; an empty sequence gives 0. `both`: "last" takes two halves."""
    there = graph.there(lengths, y)  # [T, B, 1]
    zero = graph.constant(0, np.int64)
    if layer.kind == "last":
        ends = graph.op("Max", graph.op("Sub", lengths, graph.constant(1, np.int64)), zero)
        found = graph.squeeze(graph.pick(y, graph.unsqueeze(ends, 0)), 0)
        if both:
            begun = graph.at(y, 0)
            found = graph.concat([graph.split(found, 2)[0], graph.split(begun, 2)[1]], 1)
    elif layer.kind == "mean":
        total = graph.reduce("ReduceSum", graph.where(there, y, graph.constant(0.0)), 0)
        count = graph.cast(graph.op("Max", lengths, graph.constant(1, np.int64)), FLOAT)
        found = graph.op("Div", total, graph.unsqueeze(count, 1))
    elif layer.kind == "max":
        found = graph.reduce("ReduceMax", graph.where(there, y, graph.constant(-math.inf)), 0)
    else:
        y = graph.where(there, y, graph.constant(0.0))
        asked = graph.op("Tanh", graph.linear(y, layer.projection))
        scores = graph.op("MatMul", asked, graph.weight(layer.question[:, None]))  # [T, B, 1]
        none = graph.op("Not", graph.slice(there, 0, 1, 0))
        counts = graph.op("Or", there, none)  # an empty sequence attends to zeros
        alpha = graph.softmax(graph.where(counts, scores, graph.constant(-math.inf)), 0)
        found = graph.reduce("ReduceSum", graph.op("Mul", alpha, y), 0)
    some = graph.unsqueeze(graph.op("Greater", lengths, zero), 1)
    return graph.where(some, found, graph.constant(0.0))


def label(graph: Graph, layer: Any, y: str, lengths: str, core: Any) -> str:
    """A `LabelLayer`: y [T, B, H] → [B, L], not normalised."""
    both = layer.pooling.kind == "last" and bool(core.halves)
    return graph.linear(pooled(graph, layer.pooling, y, lengths, both), layer.linear)
