"""The gated recurrent unit in both placements of the reset gate, and normalised. Gate order as in torch: r z n."""

from __future__ import annotations

from recurra.equations.language import Expression, Gate, cell, layer_norm, project, sigmoid, tanh, unit
from recurra.registry import part

E = Expression
LETTERS = {
    "r": "reset gate",
    "z": "update gate, how much of the old state is kept",
    "n": "candidate, what may be written",
    "h": "state and output",
}


@part("cell", "gru")
@cell(
    gates="r z n",
    state="h",
    source="Cho et al. 2014, arXiv:1406.1078v1, whose later versions reset before the product; as torch.nn.GRU",
    letters=LETTERS,
)
def gru(r: E, z: E, n: Gate, h: E) -> E:
    """The GRU with the reset after the recurrent product; z keeps the old state."""
    r, z = sigmoid(r), sigmoid(z)
    new = tanh(n.input + r * n.recurrent)
    return (1 - z) * new + z * h


@part("cell", "gru-reset-before")
@cell(
    name="gru-reset-before",
    gates="r z n",
    state="h",
    source="Cho et al. 2014, arXiv:1406.1078v3, eq. 5-8",
    letters=LETTERS,
)
def gru_reset_before(r: E, z: E, n: Gate, h: E) -> E:
    """The GRU with the reset before the recurrent product; z keeps the old state."""
    r, z = sigmoid(r), sigmoid(z)
    new = tanh(n.input + project(r * h, "candidate"))
    return (1 - z) * new + z * h


@part("cell", "layer-norm-gru")
@cell(
    name="layer-norm-gru",
    gates="r z n",
    state="h",
    bias=False,
    source="Ba, Kiros & Hinton 2016, supplementary material, the layer-normalised GRU",
    letters=LETTERS,
)
def layer_norm_gru(r: Gate, z: Gate, n: Gate, h: E) -> E:
    """The GRU with its products normalised, those of the gates and those of the candidate as rows of their own."""
    gates_in, gates_rec = layer_norm(r.input, z.input), layer_norm(r.recurrent, z.recurrent)
    read, write = (
        sigmoid(unit(f"gain_ih_{k}", 1.0) * x + unit(f"gain_hh_{k}", 1.0) * y + unit(f"shift_{k}", 0.0))
        for k, x, y in zip("rz", gates_in, gates_rec, strict=True)
    )
    seen = unit("gain_ih_n", 1.0) * layer_norm(n.input) + unit("shift_n", 0.0)
    recurrent = unit("gain_hh_n", 1.0) * layer_norm(n.recurrent) + unit("shift_hh_n", 0.0)
    return (1 - write) * h + write * tanh(seen + read * recurrent)
