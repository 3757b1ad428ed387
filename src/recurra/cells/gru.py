"""The gated recurrent unit in both placements of the reset gate. Gate order as in torch: r z n."""

from __future__ import annotations

from recurra.equations.language import Expression, Gate, cell, project, sigmoid, tanh
from recurra.registry import part

E = Expression


@part("cell", "gru")
@cell(gates="r z n", state="h", source="Cho et al. 2014, v3; reset after the product as in torch.nn.GRU and cuDNN")
def gru(r: E, z: E, n: Gate, h: E) -> E:
    """The GRU with the reset after the recurrent product; z keeps the old state."""
    r, z = sigmoid(r), sigmoid(z)
    new = tanh(n.input + r * n.recurrent)
    return (1 - z) * new + z * h


@part("cell", "gru-reset-before")
@cell(name="gru-reset-before", gates="r z n", state="h", source="Cho et al. 2014, eq. 5-8")
def gru_reset_before(r: E, z: E, n: Gate, h: E) -> E:
    """The GRU with the reset before the recurrent product; z keeps the old state."""
    r, z = sigmoid(r), sigmoid(z)
    new = tanh(n.input + project(r * h, "candidate"))
    return (1 - z) * new + z * h
