"""Cells over trees: a node's state of its own input and of its children's states (see recurra.equations.children).

Where a node has no children, theirs are 0. `mask("candidate")` is recurrent dropout without loss of memory (Semeniuta,
Severyn & Barth 2016): what is written is masked, what is remembered is not; outside training it is 1.
"""

from __future__ import annotations

from recurra.equations.language import Expression, cell, mask, sigmoid, tanh, total
from recurra.registry import part

E = Expression
SOURCE = "Tai, Socher & Manning 2015, Improved semantic representations from tree-structured LSTM networks"
LETTERS = {"s": "the new state", "h": "state and output"}
GATES = {
    "i": "input gate",
    "g": "candidate, what may be written",
    "o": "output gate",
    "c": "memory",
    "h": "output",
}


@part("tree-cell", "tree-rnn")
@cell(
    name="tree-rnn",
    gates="s",
    state="h",
    children="left right",
    source="Socher et al. 2011, Parsing natural scenes and natural language with recursive neural networks",
    letters=LETTERS,
)
def tree_rnn(s: E, h_left: E, h_right: E) -> E:
    """The plain recursive network: h = tanh(W x + U_left h_left + U_right h_right + b)."""
    return tanh(s)


@part("tree-cell", "child-sum-rnn")
@cell(name="child-sum-rnn", gates="s", state="h", children="each", source=f"{SOURCE}, eq. 2, alone", letters=LETTERS)
def child_sum_rnn(s: E, h: E) -> E:
    """The plain recursive network of any number of children: h = tanh(W x + U Σ_k h_k + b)."""
    return tanh(s)


@part("tree-cell", "tree-lstm")
@cell(
    name="tree-lstm",
    gates="f_left f_right i o g",
    state="h c",
    children="left right",
    source=f"{SOURCE}, eq. 9-14, with two children",
    start={"bias_ih": {"f_left": 1.0, "f_right": 1.0, "i": 0.0, "o": 0.0, "g": 0.0}},
    letters={**GATES, "f_left": "forget gate of the left child", "f_right": "forget gate of the right child"},
)
def tree_lstm(f_left: E, f_right: E, i: E, o: E, g: E, h_left: E, c_left: E, h_right: E, c_right: E) -> tuple[E, E]:
    """The binary Tree-LSTM: every gate sees both children, each child has a forget gate."""
    f_left, f_right, i, o = sigmoid(f_left), sigmoid(f_right), sigmoid(i), sigmoid(o)
    g = tanh(g) * mask("candidate")
    c = f_left * c_left + f_right * c_right + i * g
    h = o * tanh(c)
    return h, c


@part("tree-cell", "child-sum-lstm")
@cell(
    name="child-sum-lstm",
    gates="f i o g",
    state="h c",
    children="each",
    source=f"{SOURCE}, eq. 2-8",
    start={"bias_ih": {"f": 1.0, "i": 0.0, "o": 0.0, "g": 0.0}},
    letters={**GATES, "f": "forget gate, one of every child's"},
)
def child_sum_lstm(f: E, i: E, o: E, g: E, h: E, c: E) -> tuple[E, E]:
    """The child-sum Tree-LSTM: any number of children in no order, a forget gate each; of one child it is the LSTM."""
    i, o = sigmoid(i), sigmoid(o)
    g = tanh(g) * mask("candidate")
    c = total(sigmoid(f) * c) + i * g
    h = o * tanh(c)
    return h, c
