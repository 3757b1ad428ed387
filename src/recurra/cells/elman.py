"""Elman's simple recurrent network: h = φ(W_ih x + b_ih + W_hh h + b_hh)."""

from __future__ import annotations

from recurra.equations.language import Expression, cell, relu, tanh
from recurra.equations.starts import normal
from recurra.registry import part

LETTERS = {"s": "the new state", "h": "state and output"}
SOURCE = "Elman 1990, Finding structure in time"


@part("cell", "rnn-tanh")
@cell(name="rnn-tanh", gates="s", state="h", source=SOURCE, letters=LETTERS)
def rnn_tanh(s: Expression, h: Expression) -> Expression:
    """The vanilla recurrent network."""
    return tanh(s)


@part("cell", "rnn-relu")
@cell(name="rnn-relu", gates="s", state="h", source=f"{SOURCE}; relu as in Le, Jaitly & Hinton 2015", letters=LETTERS)
def rnn_relu(s: Expression, h: Expression) -> Expression:
    """The vanilla recurrent network with rectified units."""
    return relu(s)


@part("cell", "rnn-identity")
@cell(
    name="rnn-identity", gates="s", state="h", source=f"{SOURCE}; φ(s) = s, the textbook's linear case", letters=LETTERS
)
def rnn_identity(s: Expression, h: Expression) -> Expression:
    """The linear recurrent network, whose gradient over k steps is exactly the k-th power of W_hh."""
    return s


@part("cell", "irnn")
@cell(
    gates="s",
    state="h",
    source="Le, Jaitly & Hinton 2015, A simple way to initialize recurrent networks of rectified linear units",
    start={"weight_hh": "identity", "weight_ih": normal(0, 0.001), "bias_ih": 0.0, "bias_hh": 0.0},
    letters=LETTERS,
)
def irnn(s: Expression, h: Expression) -> Expression:
    """Rectified units that start by adding up a little of their input: W_hh is 1, W_ih from N(0, 0.001²), biases 0."""
    return relu(s)
