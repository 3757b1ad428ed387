"""Decoders as ONNX: their first state from an encoder, and one step of the target."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from recurra.export import recurrent, transformer
from recurra.export.graph import BOOL, FLOAT, Graph
from recurra.export.scan import step
from recurra.export.slots import Slot

OWN = ("state_own_keys", "state_own_values")
"""Of a decoder that attends to its own steps: what it keeps of them."""


class Source(NamedTuple):
    """What an encoder gave: y [T, B, S], the lengths [B], and a recurrent core's last states, or None."""

    y: str
    lengths: str
    states: Sequence[str] | None
    halves: bool
    """Whether y is what was read forwards beside what was read backwards, and states come by turns of the two."""


class Step(NamedTuple):
    """What a step gives: h [B, H'], what each state is next (those of the source stay), α [B, T] or None."""

    h: str
    states: dict[str, str]
    alpha: str | None


@dataclass(frozen=True)
class DecoderForm:
    """How a decoder is written: `start(graph, decoder, source)` gives the values of its `slots`, in torch's order, and
    `step(graph, decoder, x, states)` takes x [B, D] and those by name."""

    slots: Callable[[Any, int], tuple[Slot, ...]]
    start: Callable[[Graph, Any, Source], list[str]]
    step: Callable[[Graph, Any, str, dict[str, str]], Step]


def _recurrent_slots(decoder: Any, S: int) -> tuple[Slot, ...]:
    H = decoder.hidden_size
    slots: list[Slot] = []
    if decoder.vector is not None:
        slots.append(Slot("source_vector", ("batch", H)))
    elif decoder.attend is not None:
        slots.append(Slot("source_memory", ("source", "batch", S)))
        if decoder.attend.kind == "additive":
            slots.append(Slot("source_keys", ("source", "batch", decoder.attend.keys.out_features)))
        slots.append(Slot("source_mask", ("source", "batch", 1), BOOL))
    for k in range(decoder.num_layers):
        slots += [Slot(f"state_{s}_{k}", ("batch", H)) for s in decoder.cell.state]
    if decoder.feeding == "input":
        slots.append(Slot("state_fed", ("batch", decoder.output_size)))
    if decoder.own is not None:
        slots += [Slot(name, ("past", "batch", H)) for name in OWN]
    return tuple(slots)


def _recurrent_start(graph: Graph, decoder: Any, source: Source) -> list[str]:
    vector = _summary(graph, source)
    found: list[str] = []
    if decoder.vector is not None:
        vector = graph.op("Tanh", graph.linear(vector, decoder.vector))
        found.append(vector)
    elif decoder.attend is not None:
        there = graph.there(source.lengths, source.y)
        memory = graph.where(there, source.y, graph.constant(0.0))
        found.append(memory)
        if decoder.attend.kind == "additive":
            found.append(graph.matmul(memory, decoder.attend.keys.weight))
        found.append(transformer.remembered(graph, there))
    layers, count = decoder.num_layers, len(decoder.cell.state)
    if decoder.first.kind == "copy":
        states = _copied(graph, source)
        found += [graph.at(states[s], k) for k in range(layers) for s in range(count)]
    else:
        found += graph.split(graph.op("Tanh", graph.linear(vector, decoder.first.dense)), layers * count)
    if decoder.feeding == "input":
        found.append(graph.zeros(vector, 0, decoder.output_size))
    if decoder.own is not None:
        found += [_no_steps(graph, graph.size(vector, 0), decoder.hidden_size)] * len(OWN)
    return found


def _no_steps(graph: Graph, batch: str, size: int) -> str:
    """Keys or values of no step [0, B, H]."""
    return graph.op("Expand", graph.constant(0.0), graph.concat([graph.integers(0), batch, graph.integers(size)], 0))


def _summary(graph: Graph, source: Source) -> str:
    """One vector of a source [B, S]: the last h of a recurrent core's directions, else the mean of y."""
    one = graph.constant(1, np.int64)
    if source.states is None:
        there = graph.there(source.lengths, source.y)
        total = graph.reduce("ReduceSum", graph.where(there, source.y, graph.constant(0.0)), 0)
        count = graph.cast(graph.op("Max", source.lengths, one), FLOAT)
        return graph.op("Div", total, graph.unsqueeze(count, 1))
    if source.halves:
        h = source.states[0]
        return graph.concat([graph.at(h, -2), graph.at(h, -1)], 1)
    ends = graph.op("Max", graph.op("Sub", source.lengths, one), graph.constant(0, np.int64))
    last = graph.squeeze(graph.pick(source.y, graph.unsqueeze(ends, 0)), 0)
    some = graph.unsqueeze(graph.op("Greater", source.lengths, graph.constant(0, np.int64)), 1)
    return graph.where(some, last, graph.constant(0.0))


def _copied(graph: Graph, source: Source) -> list[str]:
    """The encoder's own states [layers, B, H], those of two directions side by side."""
    assert source.states is not None
    if not source.halves:
        return list(source.states)
    all_ = (graph.integers(np.iinfo(np.int64).max), graph.integers(0), graph.integers(2))
    return [
        graph.concat([graph.op("Slice", value, graph.integers(first), *all_) for first in (0, 1)], 2)
        for value in source.states
    ]


def _recurrent_step(graph: Graph, decoder: Any, x: str, states: dict[str, str]) -> Step:
    fed = states.get("state_fed")
    c = alpha = None
    if decoder.context == "every-step":
        c = states["source_vector"]
        below = graph.concat([x, c], 1)
    elif decoder.feeding == "context":
        upmost = f"state_{decoder.cell.state[0]}_{decoder.num_layers - 1}"
        c, alpha = _attend(graph, decoder.attend, states[upmost], states)
        below = graph.concat([x, c], 1)
    else:
        below = x if fed is None else graph.concat([x, fed], 1)
    h, after = _run(graph, decoder, 0, below, states)
    if decoder.attend is not None and decoder.feeding == "none":
        c, alpha = _attend(graph, decoder.attend, h, states)
    for k in range(1, decoder.num_layers):
        read = [h, c] if c is not None and decoder.aligns and decoder.feeding == "none" else [h]
        more, now = _run(graph, decoder, k, graph.concat(read, 1), states)
        h = graph.op("Add", h, more)
        after |= now
    if fed is not None:
        c, alpha = _attend(graph, decoder.attend, h, states)
    if decoder.own is not None:
        past = states[OWN[0]], states[OWN[1]]
        rows, pair = transformer.look_back(graph, decoder.own, graph.unsqueeze(h, 0), past)
        h = graph.squeeze(rows, 0)
        after |= dict(zip(OWN, pair, strict=True))
    h = _read(graph, decoder, h, x, c)
    if fed is not None:
        after["state_fed"] = h
    return Step(h, after, alpha)


def _run(graph: Graph, decoder: Any, k: int, x: str, states: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Layer k: one step of its equations."""
    fit = decoder.fit[k]
    x = graph.linear(x, fit) if hasattr(fit, "weight") else x
    (layer,) = recurrent.directions(decoder.layers[k], 0)
    new = step(graph, layer, x, {s: states[f"state_{s}_{k}"] for s in layer.cell.state}, {})
    return new[layer.cell.state[0]], {f"state_{s}_{k}": value for s, value in new.items()}


def _attend(graph: Graph, layer: Any, query: str, states: dict[str, str]) -> tuple[str, str]:
    """c [B, S] and α [B, T] of queries [B, Q]."""
    memory = graph.transpose(states["source_memory"], 1, 0, 2)  # [B, T, S]
    if layer.kind == "additive":
        terms = graph.op("Add", graph.matmul(query, layer.query.weight), states["source_keys"])  # [T, B, A]
        scores = graph.op("MatMul", graph.op("Tanh", terms), graph.weight(layer.v))  # [T, B]
        scores = graph.transpose(scores, 1, 0)
    else:
        if layer.kind == "general":
            query = graph.matmul(query, layer.query.weight)
        scores = graph.squeeze(graph.op("MatMul", memory, graph.unsqueeze(query, 2)), 2)  # [B, T]
        if layer.kind == "dot":
            width = graph.op("Sqrt", graph.cast(graph.size(memory, 2), FLOAT))
            scores = graph.op("Div", scores, width)
    mask = graph.transpose(graph.squeeze(states["source_mask"], 2), 1, 0)
    alpha = graph.softmax(graph.where(mask, scores, graph.constant(-math.inf)))
    c = graph.squeeze(graph.op("MatMul", graph.unsqueeze(alpha, 1), memory), 1)
    return c, alpha


def _read(graph: Graph, decoder: Any, h: str, x: str, c: str | None) -> str:
    """The output of a step."""
    if decoder.readout is None:
        return h
    if c is None:
        return graph.op("Tanh", graph.linear(h, decoder.readout))
    if decoder.context == "every-step" or decoder.feeding == "context":
        return graph.op("Max", *graph.split(graph.linear(graph.concat([h, x, c], 1), decoder.readout), 2))
    return graph.op("Tanh", graph.linear(graph.concat([c, h], 1), decoder.readout))


def _transformer_slots(decoder: Any, S: int) -> tuple[Slot, ...]:
    H, layers = decoder.hidden_size, range(decoder.num_layers)
    pairs = [(k, what) for k in layers for what in ("keys", "values")]
    return (
        *(Slot(f"source_{what}_{k}", ("source", "batch", H)) for k, what in pairs),
        Slot("source_mask", ("source", "batch", 1), BOOL),
        *(Slot(f"state_{what}_{k}", ("past", "batch", H)) for k, what in pairs),
    )


def _transformer_start(graph: Graph, decoder: Any, source: Source) -> list[str]:
    there = graph.there(source.lengths, source.y)
    memory = graph.where(there, source.y, graph.constant(0.0))
    found = [value for layer in decoder.layers for value in transformer.read(graph, layer.across, memory)]
    found.append(transformer.remembered(graph, there))
    return found + [_no_steps(graph, graph.size(memory, 1), decoder.hidden_size)] * (2 * decoder.num_layers)


def _transformer_step(graph: Graph, decoder: Any, x: str, states: dict[str, str]) -> Step:
    here = graph.unsqueeze(graph.size(states["state_keys_0"], 0), 1)  # [1, 1]
    h, turn = transformer.enter(graph, decoder.enter, graph.unsqueeze(x, 0), here, decoder.heads)
    mask = graph.unsqueeze(graph.transpose(states["source_mask"], 1, 2, 0), 1)  # [B, 1, 1, T]
    aligning, alpha = max(0, decoder.num_layers - 2), None
    after: dict[str, str] = {}
    for k, layer in enumerate(decoder.layers):
        z = transformer.norm(graph, layer.norm, h)
        pair = transformer.read(graph, layer.attention, z, turn)
        names = f"state_keys_{k}", f"state_values_{k}"
        keys, values = (graph.concat([states[n], new], 0) for n, new in zip(names, pair, strict=True))
        after |= dict(zip(names, (keys, values), strict=True))
        found, _ = transformer.attention(graph, layer.attention, z, keys, values, None, turn)
        h = graph.op("Add", h, found)
        across = states[f"source_keys_{k}"], states[f"source_values_{k}"]
        z = transformer.norm(graph, layer.norm_across, h)
        found, weights = transformer.attention(graph, layer.across, z, *across, mask)
        if k == aligning:
            alpha = graph.squeeze(graph.reduce("ReduceMean", weights, 1), 1)  # [B, T]
        h = graph.op("Add", h, found)
        h = graph.op("Add", h, transformer.relu_layer(graph, layer.relu, h))
    return Step(graph.squeeze(transformer.norm(graph, decoder.norm, h), 0), after, alpha)


DECODERS: dict[str, DecoderForm] = {
    "recurrent": DecoderForm(_recurrent_slots, _recurrent_start, _recurrent_step),
    "transformer": DecoderForm(_transformer_slots, _transformer_start, _transformer_step),
}
"""By kind."""
