"""LSTMs in which x and h act on each other before the gates see them."""

from __future__ import annotations

from recurra.equations.language import Expression, Gate, cell, project, sigmoid, tanh
from recurra.registry import part

E = Expression


@part("cell", "multiplicative-lstm")
@cell(
    name="multiplicative-lstm",
    gates="m i f g o",
    state="h c",
    source="Krause, Lu, Murray & Renals 2016, Multiplicative LSTM for sequence modelling, section 3",
)
def multiplicative_lstm(m: Gate, i: Gate, f: Gate, g: Gate, o: Gate, h: E, c: E) -> tuple[E, E]:
    """The LSTM whose gates see, in h's place, the products of x and of h multiplied unit by unit."""
    a_i, a_f, a_g, a_o = project(m.input * m.recurrent, "mixed", 4)
    c = sigmoid(f.input + a_f) * c + sigmoid(i.input + a_i) * tanh(g.input + a_g)
    return sigmoid(o.input + a_o) * tanh(c), c
