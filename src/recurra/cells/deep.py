"""Cells with depth of their own: several layers within one step, or a memory that reaches up from the layer below."""

from __future__ import annotations

from recurra.cells.lstm import LETTERS
from recurra.equations.language import Expression, Gate, cell, lower, project, sigmoid, tanh, unit
from recurra.registry import part

E = Expression
TRANSFORM = -2.0
"""Where transform gates' biases start: nearly shut, as in the paper's experiments, so that a step keeps most of h."""


@part("cell", "rhn")
@cell(
    gates="n t",
    state="h",
    source="Zilly, Srivastava, Koutník & Schmidhuber 2017, Recurrent highway networks, eq. 6-9; depth 3, c = 1 - t",
    start={"bias_ih": {"t": TRANSFORM}, "bias_hh": {"t": 0.0}},
    letters={
        "n": "candidate of the first layer",
        "t": "transform gate of the first layer, how much of its candidate replaces the state",
        "n2": "candidate of the second layer",
        "t2": "transform gate of the second layer",
        "n3": "candidate of the third layer",
        "t3": "transform gate of the third layer",
        "h": "state and output",
    },
)
def rhn(n: E, t: E, h: E) -> E:
    """The recurrent highway network of depth three: x enters the first highway layer of a step, h runs through all."""
    for layer in (1, 2, 3):
        if layer > 1:
            n, t = project(h, f"layer{layer}", 2)
            n, t = n + unit(f"shift_n{layer}"), t + unit(f"shift_t{layer}", TRANSFORM)
        t = sigmoid(t)
        h = t * tanh(n) + (1 - t) * h
    return h


@part("cell", "depth-gated-lstm")
@cell(
    name="depth-gated-lstm",
    gates="i f g o d",
    state="h c",
    source="Yao, Cohn, Vylomova, Duh & Dyer 2015, Depth-gated recurrent neural networks, section 3",
    letters={**LETTERS, "d": "depth gate, how much of the memory of the layer below is taken in"},
)
def depth_gated_lstm(i: E, f: E, g: E, o: E, d: Gate, h: E, c: E) -> tuple[E, E]:
    """The peephole LSTM whose memory takes in that of the layer below through a gate; the lowest layer has none."""
    below = lower("c")
    i = sigmoid(i + unit("peephole_i") * c)
    f = sigmoid(f + unit("peephole_f") * c)
    depth = sigmoid(d.input + unit("peephole_d") * c + unit("from_below_d") * below)
    c = depth * below + f * c + i * tanh(g)
    o = sigmoid(o + unit("peephole_o") * c)
    return o * tanh(c), c
