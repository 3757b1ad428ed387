"""Gated cells with fewer parts than an LSTM or GRU: one gate, or no gate that sees the candidate."""

from __future__ import annotations

from recurra.equations.language import Expression, Gate, cell, project, scalar, sigmoid, tanh, unit
from recurra.equations.starts import log_uniform
from recurra.registry import part

E = Expression


@part("cell", "mgu")
@cell(
    gates="f n",
    state="h",
    source="Zhou, Wu, Zhang & Zhou 2016, Minimal gated unit for recurrent neural networks",
    letters={
        "f": "forget gate, how much of the state the candidate sees and how much of it the candidate replaces",
        "n": "candidate, what may be written",
        "h": "state and output",
    },
)
def mgu(f: E, n: Gate, h: E) -> E:
    """The minimal gated unit: one gate resets h for the candidate and lets the candidate in."""
    f = sigmoid(f)
    new = tanh(n.input + project(f * h, "candidate"))
    return (1 - f) * h + f * new


@part("cell", "ugrnn")
@cell(
    gates="n g",
    state="h",
    source="Collins, Sohl-Dickstein & Sussillo 2017, Capacity and trainability, the UGRNN",
    letters={
        "n": "candidate, what may be written",
        "g": "update gate, how much of the old state is kept",
        "h": "state and output",
    },
)
def ugrnn(n: E, g: E, h: E) -> E:
    """The update-gate network: one gate between the old state and an Elman network's new one."""
    g = sigmoid(g)
    return g * h + (1 - g) * tanh(n)


@part("cell", "janet")
@cell(
    gates="f g",
    state="h",
    source="van der Westhuizen & Lasenby 2018, The unreasonable effectiveness of the forget gate; beta = 1; the forget "
    "gate's bias starts as in Tallec & Ollivier 2018, Can recurrent neural networks warp time?, for up to 784 steps",
    start={"bias_ih": {"f": log_uniform(1, 783), "g": 0.0}, "bias_hh": 0.0},
    letters={
        "f": "forget gate, how much of the old state is kept",
        "f_2": "what is let in of the candidate is 1 − f_2",
        "g": "candidate, what may be written",
        "h": "state and output",
    },
)
def janet(f: E, g: E, h: E) -> E:
    """Just another network: the LSTM with its forget gate alone, which lets in a little more than it forgets."""
    # The start gives an input gate the negative of the forget gate's bias; here it comes with 1 − σ.
    return sigmoid(f) * h + (1 - sigmoid(f - 1)) * tanh(g)


@part("cell", "ran")
@cell(
    gates="i f n",
    state="h c",
    bias=False,
    source="Lee, Levy & Zettlemoyer 2017, Recurrent additive networks",
    letters={"i": "input gate", "f": "forget gate", "c": "memory", "h": "output"},
)
def ran(i: E, f: E, n: Gate, h: E, c: E) -> tuple[E, E]:
    """The recurrent additive network: the memory is a gated sum of linear images of the inputs."""
    i = sigmoid(i + unit("shift_i"))
    f = sigmoid(f + unit("shift_f"))
    c = i * n.input + f * c
    return tanh(c), c


@part("cell", "fast-grnn")
@cell(
    name="fast-grnn",
    gates="s",
    state="h",
    bias=False,
    source="Kusupati et al. 2018, FastGRNN, section 3.2; zeta, nu and the biases start as in the authors' code",
    letters={
        "z": "update gate, how much of the old state is kept",
        "n": "candidate, what may be written",
        "h": "state and output",
    },
)
def fast_grnn(s: E, h: E) -> E:
    """The gated network whose gate and candidate share their matrices; two numbers weigh what is written."""
    z = sigmoid(s + unit("shift_z", 1.0))
    new = tanh(s + unit("shift_n", 1.0))
    return (sigmoid(scalar("zeta", 1.0)) * (1 - z) + sigmoid(scalar("nu", -4.0))) * new + z * h
