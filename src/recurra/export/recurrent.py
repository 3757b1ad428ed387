"""Stacks of layers of any cell as ONNX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from recurra.export import nodes
from recurra.export.graph import Graph
from recurra.export.scan import Direction, scan, step

States = Mapping[str, str]
"""State of the cell → its values [layers · directions, B, ·]."""


def directions(layers: Any, k: int) -> list[Direction]:
    """Layer k of a `Recurrent` in its directions, as they are outside training."""
    also = layers.cell.reads_below if k < layers.num_layers - 1 else ()
    cell = layers.cell if k else layers.cell.lowest
    found = []
    for reverse in (False, True) if layers.bidirectional else (False,):
        end = f"_l{k}{'_reverse' if reverse else ''}"
        own = {n.removesuffix(end): p for n, p in layers.named_parameters() if n.endswith(end)}
        others = tuple(s for s in also if s != cell.state[0])
        found.append(Direction(cell, own, reverse, layers.proj_size > 0, layers.zoneout, others))
    return found


def stack(
    graph: Graph, layers: Any, x: str, states: States, lengths: str | None, one_step: bool = False
) -> tuple[str, dict[str, str]]:
    """A `Recurrent` over x [T, B, I] from its states → y [T, B, H'], the last states.

    `lengths` [B], None: all full. `one_step`: x is [1, B, I], and no loop is written.
    """
    finals: list[dict[str, str]] = []
    below: list[dict[str, str]] = [{}, {}]
    there = None
    for k in range(layers.num_layers):
        ways = directions(layers, k)
        given = [{s: graph.at(value, len(finals) + d) for s, value in states.items()} for d in range(len(ways))]
        read = layers.cell.reads_below if k < layers.num_layers - 1 else ()
        if all(nodes.fits(way) for way in ways) and not read:
            ys, ends = nodes.write(graph, ways, x, given, lengths)
        elif one_step:
            inner = [{n: graph.squeeze(v, 0) for n, v in b.items()} for b in below]
            row = graph.squeeze(x, 0)
            ends = [step(graph, way, row, own, b) for way, own, b in zip(ways, given, inner, strict=False)]
            all_steps = [{s: graph.unsqueeze(v, 0) for s, v in end.items()} for end in ends]
            ys = [each[layers.cell.state[0]] for each in all_steps]
            below = [{f"lower_{s}": each[s] for s in read} for each in all_steps]
        else:
            there = there or _there(graph, x, lengths)
            ys, ends, below_next = [], [], []
            for way, own, b in zip(ways, given, below, strict=False):
                values, last = scan(graph, way, x, own, there, b)
                ys.append(values[layers.cell.state[0]])
                ends.append(last)
                below_next.append({f"lower_{s}": values[s] for s in read})
            below = below_next
        finals += ends
        x = joined(graph, ys, layers.merge)
    return x, {s: graph.concat([graph.unsqueeze(f[s], 0) for f in finals], 0) for s in layers.cell.state}


def _there(graph: Graph, x: str, lengths: str | None) -> str:
    if lengths is None:
        T = graph.size(x, 0)
        lengths = graph.op("Expand", T, graph.size(x, 1))
    return graph.there(lengths, x)


def joined(graph: Graph, directions: Sequence[str], merge: str) -> str:
    """What the directions of a layer make together."""
    if len(directions) == 1:
        return directions[0]
    return graph.op("Add", *directions) if merge == "sum" else graph.concat(directions, -1)


def zeros(graph: Graph, layers: Any, x: str) -> dict[str, str]:
    """The states to start from, for x [T, B, I]."""
    count = layers.num_layers * (2 if layers.bidirectional else 1)
    widths = dict.fromkeys(layers.cell.state, layers.hidden_size)
    widths[layers.cell.state[0]] = layers.proj_size or layers.hidden_size
    found = {}
    for s, width in widths.items():
        shape = graph.concat([graph.integers(count), graph.size(x, 1), graph.integers(width)], 0)
        found[s] = graph.op("Expand", graph.constant(0.0), shape)
    return found
