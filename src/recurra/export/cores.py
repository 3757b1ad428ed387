"""Cores as ONNX: x [T, B, D] to y [T, B, H], and the state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recurra.export import recurrent, transformer
from recurra.export.graph import Graph
from recurra.export.slots import Slot

Written = tuple[str, list[str]]
"""y, and the state's values in the order of the slots."""


@dataclass(frozen=True)
class CoreForm:
    """How a core is written: `write(graph, core, x, lengths, states, one_step)`; without lengths all are full, without
    states they are zeros. `slots` are those of its state in the order of torch's, none where it cannot go on."""

    slots: Callable[[Any], tuple[Slot, ...]]
    write: Callable[[Graph, Any, str, str | None, Sequence[str] | None, bool], Written]


def _recurrent_slots(core: Any) -> tuple[Slot, ...]:
    layers = core.layers
    widths = dict.fromkeys(layers.cell.state, layers.hidden_size)
    widths[layers.cell.state[0]] = layers.proj_size or layers.hidden_size
    if layers.bidirectional:
        return ()
    return tuple(Slot(f"state_{s}", (layers.num_layers, "batch", width)) for s, width in widths.items())


def _recurrent(
    graph: Graph, core: Any, x: str, lengths: str | None, states: Sequence[str] | None, one_step: bool
) -> Written:
    layers = core.layers
    if states is None:
        given = recurrent.zeros(graph, layers, x)
    else:
        given = dict(zip(layers.cell.state, states, strict=True))
    y, final = recurrent.stack(graph, layers, x, given, lengths, one_step)
    return y, [final[s] for s in layers.cell.state]


def _both_ways(
    graph: Graph, core: Any, x: str, lengths: str | None, states: Sequence[str] | None, one_step: bool
) -> Written:
    assert lengths is not None and states is None, "reads the whole of a sequence"
    y, last = recurrent.stack(graph, core.forwards, x, recurrent.zeros(graph, core.forwards, x), lengths)
    turned = _turned(graph, x, lengths)
    z, first = recurrent.stack(graph, core.backwards, turned, recurrent.zeros(graph, core.backwards, x), lengths)
    return graph.concat([y, _turned(graph, z, lengths)], 2), [*last.values(), *first.values()]


def _turned(graph: Graph, x: str, lengths: str) -> str:
    """x [T, B, D] with every sequence from its own end to its begin."""
    t = graph.unsqueeze(graph.arange(graph.size(x, 0)), 1)
    from_end = graph.op("Sub", graph.op("Sub", lengths, graph.constant(1, np.int64)), t)  # [T, B]
    return graph.pick(x, graph.where(graph.op("Less", t, lengths), from_end, t))


def _tdnn_slots(core: Any) -> tuple[Slot, ...]:
    if not core.causal:
        return ()
    widths = [getattr(core, f"weight_l{k}").shape[1] for k in range(core.num_layers)]
    return tuple(Slot(f"state_{k}", (core.delays * core.dilation**k, "batch", width)) for k, width in enumerate(widths))


def _tdnn(
    graph: Graph, core: Any, x: str, lengths: str | None, states: Sequence[str] | None, one_step: bool
) -> Written:
    there = None if lengths is None else graph.there(lengths, x)
    rows, kept = _masked(graph, x, there), []
    for k in range(core.num_layers):
        weight, bias = getattr(core, f"weight_l{k}"), getattr(core, f"bias_l{k}")
        stride, width = core.dilation**k, weight.shape[1]
        count = core.delays * stride
        if states is None:
            shape = graph.concat([graph.integers(count), graph.size(x, 1), graph.integers(width)], 0)
            before = graph.op("Expand", graph.constant(0.0), shape)
        else:
            before = states[k]
        window = graph.concat([before, rows] if core.causal else [before, rows, before], 0)
        if core.causal:
            kept.append(_last(graph, window, count, lengths))
        T, z = graph.size(rows, 0), graph.weight(bias)
        for tap in range(len(weight)):
            first = (len(weight) - 1 - tap) * stride
            end = graph.op("Add", T, graph.integers(first))
            shifted = graph.slice(window, first, end, 0)
            z = graph.op("Add", graph.matmul(shifted, weight[tap].detach().t()), z)
        rows = _masked(graph, graph.op("Tanh" if core.activation == "tanh" else "Relu", z), there)
    return rows, kept


def _last(graph: Graph, window: str, count: int, lengths: str | None) -> str:
    """The last `count` inputs of each sequence before its own end; window [count + T, B, D]."""
    if lengths is None:
        T = graph.op("Sub", graph.size(window, 0), graph.integers(count))
        return graph.slice(window, T, np.iinfo(np.int64).max, 0)
    steps = graph.op("Add", lengths, graph.constant(np.arange(count)[:, None], np.int64))
    return graph.pick(window, steps)


def _masked(graph: Graph, rows: str, there: str | None) -> str:
    return rows if there is None else graph.where(there, rows, graph.constant(0.0))


def _identity(
    graph: Graph, core: Any, x: str, lengths: str | None, states: Sequence[str] | None, one_step: bool
) -> Written:
    return _masked(graph, x, None if lengths is None else graph.there(lengths, x)), []


CORES: dict[str, CoreForm] = {
    "recurrent": CoreForm(_recurrent_slots, _recurrent),
    "both-ways": CoreForm(lambda core: (), _both_ways),
    "tdnn": CoreForm(_tdnn_slots, _tdnn),
    "identity": CoreForm(lambda core: (), _identity),
    "transformer": CoreForm(transformer.slots, transformer.core),
}
"""By kind."""
