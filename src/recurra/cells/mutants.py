"""The three cells that an evolutionary search found best, all close to the GRU."""

from __future__ import annotations

from recurra.equations.language import Expression, Gate, cell, project, raw_input, sigmoid, tanh, unit
from recurra.registry import part

SOURCE = "Jozefowicz, Zaremba & Sutskever 2015, An empirical exploration of recurrent network architectures, section 5"
LETTERS = {
    "z": "update gate, how much of the candidate is written",
    "r": "reset gate",
    "n": "candidate, what may be written",
    "h": "state and output",
}
E = Expression


@part("cell", "mut1")
@cell(gates="z r", state="h", source=f"{SOURCE}, MUT1", letters=LETTERS)
def mut1(z: Gate, r: E, h: E) -> E:
    """The GRU whose update gate sees x alone and whose candidate adds tanh of x itself (input = hidden size)."""
    write, r = sigmoid(z.input), sigmoid(r)
    new = tanh(project(r * h, "candidate") + tanh(raw_input()) + unit("shift_n"))
    return write * new + (1 - write) * h


@part("cell", "mut2")
@cell(gates="z r n", state="h", source=f"{SOURCE}, MUT2", letters=LETTERS)
def mut2(z: E, r: Gate, n: Gate, h: E) -> E:
    """The GRU whose reset gate adds x itself (input = hidden size)."""
    z, reset = sigmoid(z), sigmoid(raw_input() + r.recurrent)
    new = tanh(project(reset * h, "candidate") + n.input)
    return z * new + (1 - z) * h


@part("cell", "mut3")
@cell(gates="z r n", state="h", source=f"{SOURCE}, MUT3", letters={**LETTERS, "tanh(h)": "old state, squashed"})
def mut3(z: Gate, r: E, n: Gate, h: E) -> E:
    """The GRU whose update gate sees tanh(h)."""
    write, r = sigmoid(z.input + project(tanh(h), "update")), sigmoid(r)
    new = tanh(project(r * h, "candidate") + n.input)
    return write * new + (1 - write) * h
