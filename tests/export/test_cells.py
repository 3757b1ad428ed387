"""Every registered cell as ONNX beside torch: both directions, two layers, ragged lengths, and one step alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from recurra import registry
from recurra.equations.parse import parse
from recurra.export import nodes, recurrent
from recurra.export.check import TOLERANCE, distance, session
from recurra.export.graph import FLOAT, INT64, Graph
from recurra.nn import Recurrent

SIZES = ((1, 1), (3, 5), (4, 7))
H = 4


def layers_of(cell: str, **options: object) -> Recurrent:
    """Two layers with random weights of no special size."""
    torch.manual_seed(len(cell))
    found = registry.find("cell", cell)
    made = Recurrent(found, H if found.ties_input else 3, H, num_layers=2, backend="reference", **options)  # type: ignore[arg-type]
    for parameter in made.parameters():
        torch.nn.init.uniform_(parameter, -0.7, 0.7)
    return made.eval()


def written(layers: Recurrent, one_step: bool = False) -> Graph:
    graph = Graph("layers")
    x = graph.input("x", FLOAT, ("T", "B", layers.input_size))
    lengths = None if one_step else graph.input("lengths", INT64, ("B",))
    states = {s: graph.input(s, FLOAT, ("layers", "B", f"H_{s}")) for s in layers.cell.state}
    y, final = recurrent.stack(graph, layers, x, states, lengths, one_step)
    graph.output("y", y, FLOAT, ("T", "B", "Y"))
    for s, value in final.items():
        graph.output(f"{s}_next", value, FLOAT, ("layers", "B", f"H_{s}"))
    return graph


@torch.no_grad()
def apart(layers: Recurrent, graph: Graph, sizes: tuple[tuple[int, int], ...], ragged: bool = True) -> float:
    """The largest difference between onnxruntime and torch."""
    opened, worst = session(graph.model({}).SerializeToString()), 0.0
    names = [output.name for output in opened.get_outputs()]
    count = layers.num_layers * (2 if layers.bidirectional else 1)
    for B, T in sizes:
        x = torch.randn(T, B, layers.input_size)
        states = tuple(torch.randn(count, B, H if k else layers.proj_size or H) for k in range(len(layers.cell.state)))
        lengths = torch.tensor([T, *np.random.default_rng(B).integers(0, T, B - 1)])
        y, final = layers(x, states if len(states) > 1 else states[0], lengths if ragged else None)
        finals = (final,) if isinstance(final, Tensor) else final
        feeds: Mapping[str, Tensor] = {"x": x, **dict(zip(layers.cell.state, states, strict=True))}
        given = {name: value.numpy() for name, value in feeds.items()} | (
            {"lengths": lengths.numpy()} if ragged else {}
        )
        said = dict(zip(names, opened.run(None, given), strict=True))
        expected = {"y": y, **{f"{s}_next": f for s, f in zip(layers.cell.state, finals, strict=True)}}
        worst = max(worst, distance(said, expected))
    return worst


@pytest.mark.parametrize("cell", registry.names("cell"))
def test_a_cell_in_onnx_is_the_cell_in_torch(cell: str) -> None:
    merge = "sum" if registry.find("cell", cell).ties_input else "concat"
    both = layers_of(cell, bidirectional=True, merge=merge)
    assert apart(both, written(both), SIZES) <= TOLERANCE
    alone = layers_of(cell)
    assert apart(alone, written(alone, one_step=True), ((1, 1), (3, 1)), ragged=False) <= TOLERANCE


@pytest.mark.parametrize("cell", ["lstm", "gru-reset-before", "ran"])
def test_what_is_added_to_a_cell_is_in_onnx_too(cell: str) -> None:
    moved = layers_of(cell, zoneout=0.3, recurrent_dropout=0.2)
    assert apart(moved, written(moved), SIZES) <= TOLERANCE
    if cell == "lstm":
        narrow = layers_of(cell, proj_size=2, bidirectional=True)
        assert apart(narrow, written(narrow), SIZES) <= TOLERANCE
        free = layers_of(cell, bias=False)
        assert apart(free, written(free), SIZES) <= TOLERANCE


NODES = {
    **dict.fromkeys(("lstm", "peephole-lstm", "coupled-lstm", "coupled-peephole-lstm"), "LSTM"),
    **dict.fromkeys(("no-input-activation-lstm", "no-output-activation-lstm"), "LSTM"),
    **dict.fromkeys(("gru", "gru-reset-before"), "GRU"),
    **dict.fromkeys(("rnn-tanh", "rnn-relu", "rnn-identity", "irnn"), "RNN"),
}


@pytest.mark.parametrize("cell", registry.names("cell"))
def test_cells_that_are_a_node_are_written_as_it_and_others_as_a_scan(cell: str) -> None:
    found = nodes.match(registry.find("cell", cell))
    assert (found.form.node if found else None) == NODES.get(cell)


def test_equations_of_other_names_are_the_same_node() -> None:
    step = "gates: w k n\nstate: y\nk = sigmoid(k)\nw = sigmoid(w)\nnew = tanh(n.input + w * n.recurrent)\n"
    found = nodes.match(parse(step + "y = (1 - k) * new + k * y"))
    assert found is not None and found.form.node == "GRU"
    assert [found.names[name] for name in "rzn"] == ["w", "k", "n"]
    assert nodes.match(parse(step + "y = (1 - k) * y + k * new")) is None
