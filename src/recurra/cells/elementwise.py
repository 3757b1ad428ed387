"""Cells whose recurrence goes unit by unit: every product leaves the time loop."""

from __future__ import annotations

from recurra.equations.language import Expression, Gate, cell, project, raw_input, relu, sigmoid, tanh, unit
from recurra.registry import part

E = Expression


@part("cell", "indrnn")
@cell(
    letters={"s": "the new state", "h": "state and output"},
    gates="s",
    state="h",
    source="Li, Li, Cook, Zhu & Gao 2018, Independently recurrent neural network, eq. 2",
)
def indrnn(s: Gate, h: E) -> E:
    """The independently recurrent network: each unit sees its own past only, through a weight that starts at 1."""
    return relu(s.input + unit("recurrent", 1.0) * h)


@part("cell", "sru")
@cell(
    gates="f r n",
    state="h c",
    bias=False,
    source="Lei, Zhang, Wang, Dai & Artzi 2018, Simple recurrent units, eq. 1-4",
    letters={
        "f": "forget gate, how much of the memory is kept",
        "r": "reset gate, how much of the memory is let out; the rest is the input itself",
        "c": "memory",
        "h": "output",
    },
)
def sru(f: Gate, r: Gate, n: Gate, h: E, c: E) -> tuple[E, E]:
    """The simple recurrent unit: gates see the old memory unit by unit, x itself passes by (input = hidden size)."""
    keep = sigmoid(f.input + unit("peephole_f") * c + unit("shift_f"))
    carry = sigmoid(r.input + unit("peephole_r") * c + unit("shift_r"))
    c = keep * c + (1 - keep) * n.input
    return carry * c + (1 - carry) * raw_input(), c


@part("cell", "qrnn")
@cell(
    gates="z f o",
    state="h c pz pf po",
    source="Bradbury, Merity, Xiong & Socher 2017, Quasi-recurrent neural networks, eq. 2 and 4: width 2, fo-pooling",
    letters={
        "z": "candidate, what may be written",
        "f": "forget gate, how much of the memory is kept",
        "o": "output gate",
        "c": "memory",
        "h": "output",
        "pz": "what the input adds to the next step's candidate",
        "pf": "what the input adds to the next step's forget gate",
        "po": "what the input adds to the next step's output gate",
    },
)
def qrnn(z: Gate, f: Gate, o: Gate, h: E, c: E, pz: E, pf: E, po: E) -> tuple[E, E, E, E, E]:
    """The quasi-recurrent network: gates see x and the x before it, whose part is kept in the states pz pf po."""
    keep = sigmoid(f.input + pf)
    c = keep * c + (1 - keep) * tanh(z.input + pz)
    return sigmoid(o.input + po) * c, c, *project(raw_input(), "before", 3)
