"""LSTMs in which x and h act on each other before the gates see them."""

from __future__ import annotations

from recurra.cells.lstm import LETTERS
from recurra.equations.language import Expression, Gate, cell, project, raw_input, sigmoid, tanh, unit
from recurra.registry import part

E = Expression


@part("cell", "multiplicative-lstm")
@cell(
    name="multiplicative-lstm",
    gates="m i f g o",
    state="h c",
    source="Krause, Lu, Murray & Renals 2016, Multiplicative LSTM for sequence modelling, section 3, with the LSTM's "
    "own squashing as in Radford, Jozefowicz & Sutskever 2017, Learning to generate reviews",
    letters=LETTERS,
)
def multiplicative_lstm(m: Gate, i: Gate, f: Gate, g: Gate, o: Gate, h: E, c: E) -> tuple[E, E]:
    """The LSTM whose gates see, in h's place, the products of x and of h multiplied unit by unit."""
    a_i, a_f, a_g, a_o = project(m.input * m.recurrent, "mixed", 4)
    c = sigmoid(f.input + a_f) * c + sigmoid(i.input + a_i) * tanh(g.input + a_g)
    return sigmoid(o.input + a_o) * tanh(c), c


@part("cell", "multiplicative-lstm-2016")
@cell(
    name="multiplicative-lstm-2016",
    gates="m i f g o",
    state="h c",
    source="Krause, Lu, Murray & Renals 2016, Multiplicative LSTM for sequence modelling, eq. 15-16",
    letters={**LETTERS, "tanh(c)": "memory behind the output gate, squashed"},
)
def multiplicative_lstm_2016(m: Gate, i: Gate, f: Gate, g: Gate, o: Gate, h: E, c: E) -> tuple[E, E]:
    """The multiplicative LSTM whose candidate enters the memory as it is; its output is squashed behind the gate."""
    a_i, a_f, a_g, a_o = project(m.input * m.recurrent, "mixed", 4)
    c = sigmoid(f.input + a_f) * c + sigmoid(i.input + a_i) * (g.input + a_g)
    return tanh(c * sigmoid(o.input + a_o)), c


@part("cell", "mogrifier-lstm")
@cell(
    name="mogrifier-lstm",
    gates="",
    state="h c",
    source="Melis, Kočiský & Blunsom 2020, Mogrifier LSTM, eq. 1-2, five rounds",
    letters={
        **LETTERS,
        "q1": "first gate of the input, by the state",
        "r2": "first gate of the state, by the input",
        "q3": "second gate of the input",
        "r4": "second gate of the state",
        "q5": "third gate of the input",
    },
)
def mogrifier_lstm(h: E, c: E) -> tuple[E, E]:
    """The LSTM before whose step x and the old h gate each other in turn, five times."""
    x = raw_input()
    for turn in (1, 2, 3, 4, 5):
        if turn % 2:
            x = 2 * sigmoid(project(h, f"q{turn}", width="input")) * x
        else:
            h = 2 * sigmoid(project(x, f"r{turn}")) * h
    sums = zip("ifgo", project(x, "gates_x", 4), project(h, "gates_h", 4), strict=True)
    i, f, g, o = (a + b + unit(f"shift_{k}") for k, a, b in sums)
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(c), c
