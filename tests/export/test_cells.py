"""Every registered cell as ONNX beside torch: over ragged lengths, and one step alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from recurra import registry
from recurra.equations.parse import parse
from recurra.export import layer, nodes
from recurra.export.check import TOLERANCE, distance, session
from recurra.export.graph import FLOAT, INT64, Graph
from recurra.nn import Recurrent
from recurra.testing.cells import draw_given

SIZES = ((1, 1), (3, 5), (4, 7))
H = 4


def layer_of(cell: str, **options: object) -> Recurrent:
    """A layer with random weights of no special size."""
    torch.manual_seed(len(cell))
    found = registry.find("cell", cell)
    made = Recurrent(found, H if found.ties_input else 3, H, backend="reference", **options)  # type: ignore[arg-type]
    for parameter in made.parameters():
        torch.nn.init.uniform_(parameter, -0.7, 0.7)
    return made.eval()


def written(layers: Recurrent, one_step: bool = False) -> Graph:
    graph = Graph("layer")
    x = graph.input("x", FLOAT, ("T", "B", layers.input_size))
    lengths = "" if one_step else graph.input("lengths", INT64, ("B",))
    cell = layers.cell.lowest
    states = {s: graph.input(s, FLOAT, ("B", f"H_{s}")) for s in cell.state}
    weights = {name.removesuffix("_l0"): weight for name, weight in layers.named_parameters()}
    masks = {f"mask_zoneout_{s}": graph.constant(1 - layers.zoneout) for s in layers.variant.zoneout}
    masks |= {f"given_{n}": graph.input(f"given_{n}", FLOAT, ("T", "B", f"W_{n}")) for n in cell.given}
    found = layer.Layer(cell, layers.variant, weights)
    y, last = layer.write(graph, found, x, states, lengths, masks, one_step)
    graph.output("y", y, FLOAT, ("T", "B", "Y"))
    for s, value in zip(cell.state, last, strict=True):
        graph.output(f"{s}_next", value, FLOAT, ("B", f"H_{s}"))
    return graph


@torch.no_grad()
def apart(layers: Recurrent, graph: Graph, sizes: tuple[tuple[int, int], ...], ragged: bool = True) -> float:
    """The largest difference between onnxruntime and torch."""
    opened, worst = session(graph.model({}).SerializeToString()), 0.0
    names = [output.name for output in opened.get_outputs()]
    for B, T in sizes:
        x = torch.randn(T, B, layers.input_size)
        states = tuple(torch.randn(1, B, H if k else layers.proj_size or H) for k in range(len(layers.cell.state)))
        lengths = torch.tensor([T, *np.random.default_rng(B).integers(0, T, B - 1)])
        beside = {name: value for name, value in draw_given(layers.cell, x).items() if name in layers.cell.given}
        y, final = layers(x, states if len(states) > 1 else states[0], lengths if ragged else None, **beside)
        finals = (final,) if isinstance(final, Tensor) else final
        feeds: dict[str, Tensor] = {"x": x, **{s: v[0] for s, v in zip(layers.cell.state, states, strict=True)}}
        feeds |= {f"given_{name}": v if v.ndim == 3 else v[..., None].expand(T, B, H) for name, v in beside.items()}
        given = {name: value.numpy() for name, value in feeds.items()} | (
            {"lengths": lengths.numpy()} if ragged else {}
        )
        said = dict(zip(names, opened.run(None, given), strict=True))
        expected = {"y": y, **{f"{s}_next": f[0] for s, f in zip(layers.cell.state, finals, strict=True)}}
        worst = max(worst, distance(said, expected))
    return worst


@pytest.mark.parametrize("cell", registry.names("cell"))
def test_a_cell_in_onnx_is_the_cell_in_torch(cell: str) -> None:
    made = layer_of(cell)
    assert apart(made, written(made), SIZES) <= TOLERANCE
    assert apart(made, written(made, one_step=True), ((1, 1), (3, 1)), ragged=False) <= TOLERANCE


@pytest.mark.parametrize("cell", ["lstm", "gru-reset-before", "ran"])
def test_what_is_added_to_a_cell_is_in_onnx_too(cell: str) -> None:
    moved = layer_of(cell, zoneout=0.3, recurrent_dropout=0.2)
    assert apart(moved, written(moved), SIZES) <= TOLERANCE
    if cell == "lstm":
        narrow = layer_of(cell, proj_size=2)
        assert apart(narrow, written(narrow), SIZES) <= TOLERANCE
        free = layer_of(cell, bias=False)
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
