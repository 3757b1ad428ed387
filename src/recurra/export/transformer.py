"""The Transformer's layers as ONNX."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.export.graph import FLOAT, INT64, Graph
from recurra.export.slots import Slot

Turn = tuple[str, str] | None
"""Cosines and sines of rotary positions, [T, ·, 1, d / 2]."""


def slots(core: Any) -> tuple[Slot, ...]:
    """Keys and values of the steps before these, layer by layer, and how many steps were seen."""
    if not core.causal:
        return ()
    of_layers = [
        Slot(f"state_{what}_{k}", ("past", "batch", core.hidden_size))
        for k in range(core.num_layers)
        for what in ("keys", "values")
    ]
    return (*of_layers, Slot("state_seen", (1, "batch", 1), INT64))


def core(
    graph: Graph, core: Any, x: str, lengths: str | None, states: Sequence[str] | None, one_step: bool
) -> tuple[str, list[str]]:
    """x [T, B, D] → y [T, B, H] and what `slots` names."""
    there = None if lengths is None else graph.there(lengths, x)
    rows = x if there is None else graph.where(there, x, graph.constant(0.0))
    T = graph.size(x, 0)
    steps = graph.unsqueeze(graph.arange(T), 1)  # [T, 1]
    seen = None
    if states is not None:
        seen = states[-1]
        steps = graph.op("Add", steps, graph.squeeze(seen, 2))
    h, turn = enter(graph, core.enter, rows, steps, core.heads)
    mask: str | None = None
    if core.causal:
        mask = _band(graph, T, states, core.span)
    elif there is not None:
        mask = sources(graph, there)
    kept: list[str] = []
    for k, layer in enumerate(core.layers):
        past = None if states is None else (states[2 * k], states[2 * k + 1])
        h, keys, values = _layer(graph, layer, h, past, mask, turn)
        kept += [keys, values]
    y = norm(graph, core.norm, h)
    if there is not None:
        y = graph.where(there, y, graph.constant(0.0))
    if not core.causal or states is None or seen is None:
        return y, []
    read = T if lengths is None else graph.unsqueeze(lengths, 1)
    now = graph.op("Add", seen, read)
    return y, [*_last(graph, kept, states[0], lengths, now, core.span), now]


def _layer(
    graph: Graph, layer: Any, x: str, past: tuple[str, str] | None, mask: str | None, turn: Turn
) -> tuple[str, str, str]:
    z = norm(graph, layer.norm, x)
    keys, values = read(graph, layer.attention, z, turn)
    if past is not None:
        keys, values = graph.concat([past[0], keys], 0), graph.concat([past[1], values], 0)
    found, _ = attention(graph, layer.attention, z, keys, values, mask, turn)
    x = graph.op("Add", x, found)
    return graph.op("Add", x, relu_layer(graph, layer.relu, x)), keys, values


def _band(graph: Graph, T: str, states: Sequence[str] | None, span: int) -> str:
    """What a step sees, [B or 1, 1, T, n + T]: the last `span` steps that there were."""
    queries = graph.unsqueeze(graph.arange(T), 1)
    n = graph.integers(0) if states is None else graph.size(states[0], 0)
    keys = graph.arange(T, graph.op("Neg", n))
    near = graph.op(
        "And",
        graph.op("LessOrEqual", keys, queries),
        graph.op("Greater", keys, graph.op("Sub", queries, graph.integers(span))),
    )  # [T, n + T]
    if states is None:
        return graph.unsqueeze(near, 0, 1)
    was = graph.op("GreaterOrEqual", keys, graph.op("Neg", graph.at(states[-1], 0)))  # [B, n + T]
    return graph.op("And", graph.unsqueeze(near, 0, 1), graph.unsqueeze(was, 1, 2))


def _last(graph: Graph, kept: Sequence[str], before: str, lengths: str | None, seen: str, span: int) -> list[str]:
    """The newest span − 1 keys and values of each sequence, as of its own end; `seen` [1, B, 1] counts its steps."""
    total = graph.size(kept[0], 0)
    count = graph.op("Min", total, graph.integers(span - 1))
    if lengths is None:
        first = graph.op("Sub", total, count)
        return [graph.slice(each, first, total, 0) for each in kept]
    row = graph.unsqueeze(graph.arange(count), 1)  # [count, 1]
    ends = graph.op("Sub", graph.op("Add", graph.size(before, 0), lengths), count)  # [B]
    index = graph.op("Max", graph.op("Add", row, ends), graph.constant(0, np.int64))
    never = graph.op("Less", graph.unsqueeze(row, 2), graph.op("Sub", count, seen))  # [count, B, 1]
    return [graph.where(never, graph.constant(0.0), graph.pick(each, index)) for each in kept]


def enter(graph: Graph, layer: Any, x: str, steps: str, heads: int) -> tuple[str, Turn]:
    """x [T, B, D] at its steps [T, ·] → [T, B, H], and the turn of rotary positions."""
    h = graph.op("Mul", x, graph.constant(layer.scale))
    if isinstance(layer.projection, torch.nn.Linear):
        h = graph.linear(h, layer.projection)
        size = layer.projection.out_features
    else:
        size = round(layer.scale**2)
    if layer.positions == "sinusoidal":
        angles = _angles(graph, steps, size + size % 2)
        both = graph.concat([graph.op("Sin", angles), graph.op("Cos", angles)], -1)
        return graph.op("Add", h, graph.slice(both, 0, size, 2)), None
    return h, rotation(graph, steps, size // heads)


def rotation(graph: Graph, steps: str, size: int) -> tuple[str, str]:
    """Cosines and sines that turn heads of `size` entries at steps [T, ·]: [T, ·, 1, size / 2]."""
    angles = graph.unsqueeze(_angles(graph, steps, size), 2)
    return graph.op("Cos", angles), graph.op("Sin", angles)


def look_back(graph: Graph, layer: Any, x: str, past: tuple[str, str]) -> tuple[str, tuple[str, str]]:
    """A `LookBack` over one step x [1, B, H] and the keys and values before it [n, B, H]; with those of the step."""
    here = graph.unsqueeze(graph.size(past[0], 0), 1)  # [1, 1]
    turn = rotation(graph, here, layer.attention.query.out_features // layer.attention.heads)
    z = norm(graph, layer.norm, x)
    pair = read(graph, layer.attention, z, turn)
    keys, values = (graph.concat([before, new], 0) for before, new in zip(past, pair, strict=True))
    found, _ = attention(graph, layer.attention, z, keys, values, None, turn)
    return graph.op("Add", x, found), (keys, values)


def _angles(graph: Graph, steps: str, size: int) -> str:
    """t / 10000^(2i / size), [T, ·, size / 2]."""
    return graph.op("Mul", graph.cast(graph.unsqueeze(steps, 2), FLOAT), graph.weight(_rates(size)))


def _rates(size: int) -> Tensor:
    return torch.pow(torch.tensor(10000.0), -torch.arange(0, size, 2, dtype=torch.float32) / size)


def norm(graph: Graph, layer: Any, x: str) -> str:
    """A torch.nn.LayerNorm."""
    attributes = {"axis": -1, "epsilon": layer.eps}
    return graph.op(
        "LayerNormalization", x, graph.weight(layer.weight), graph.weight(layer.bias), attributes=attributes
    )


def relu_layer(graph: Graph, layer: Any, x: str) -> str:
    """W₂ relu(W₁ norm(x) + b₁) + b₂."""
    return graph.linear(graph.op("Relu", graph.linear(norm(graph, layer.norm, x), layer.inner)), layer.outer)


def read(graph: Graph, layer: Any, memory: str, turn: Turn = None) -> tuple[str, str]:
    """Keys and values [T, B, S] of what a `MultiHead` attends to."""
    keys = graph.matmul(memory, layer.keys.weight)
    return _turned(graph, keys, turn, layer.heads), graph.linear(memory, layer.values)


def attention(
    graph: Graph, layer: Any, x: str, keys: str, values: str, mask: str | None, turn: Turn = None
) -> tuple[str, str]:
    """A `MultiHead`: x [U, B, H] → [U, B, H], α [B, heads, U, T]."""
    query = _turned(graph, graph.linear(x, layer.query), turn, layer.heads)
    q, k, v = (_by_heads(graph, each, layer.heads) for each in (query, keys, values))
    size = layer.query.out_features // layer.heads
    scores = graph.op("MatMul", q, graph.transpose(k, 0, 1, 3, 2))
    scores = graph.op("Mul", scores, graph.constant(1 / math.sqrt(size)))
    if mask is not None:
        scores = graph.where(mask, scores, graph.constant(-math.inf))
    alpha = graph.softmax(scores)
    c = graph.transpose(graph.op("MatMul", alpha, v), 2, 0, 1, 3)
    return graph.linear(graph.reshape(c, 0, 0, layer.query.out_features), layer.output), alpha


def _by_heads(graph: Graph, x: str, heads: int) -> str:
    """[T, B, H] → [B, heads, T, d]."""
    return graph.transpose(graph.reshape(x, 0, 0, heads, -1), 1, 2, 0, 3)


def _turned(graph: Graph, x: str, turn: Turn, heads: int) -> str:
    """x [T, B, H] with the pairs of each head's entries turned by their angles."""
    if turn is None:
        return x
    cos, sin = turn
    a, b = graph.split(graph.reshape(x, 0, 0, heads, -1), 2)

    def times(one: str, other: str) -> str:
        return graph.op("Mul", one, other)

    first = graph.op("Sub", times(a, cos), times(b, sin))
    second = graph.op("Add", times(a, sin), times(b, cos))
    return graph.reshape(graph.concat([first, second], 3), 0, 0, -1)


def sources(graph: Graph, there: str) -> str:
    """Which steps are attended to, [B, 1, 1, T]; all of an empty sequence. there [T, B, 1]."""
    return graph.unsqueeze(graph.transpose(remembered(graph, there), 1, 2, 0), 1)


def remembered(graph: Graph, there: str) -> str:
    """Which places of a source count [T, B, 1]; all of an empty one, whose rows are zeros."""
    return graph.op("Or", there, graph.op("Not", graph.slice(there, 0, 1, 0)))
