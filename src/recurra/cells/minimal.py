"""minGRU and minLSTM: gates see the input only, so no product is left inside the time loop."""

from __future__ import annotations

from recurra.equations.language import Expression, Gate, cell, sigmoid
from recurra.registry import part

SOURCE = "Feng et al. 2024, Were RNNs all we needed?"
E = Expression


@part("cell", "min-gru")
@cell(
    name="min-gru",
    gates="z n",
    state="h",
    source=f"{SOURCE}, section 3.1.3",
    letters={"z": "update gate, how much of the candidate is written", "h": "state and output"},
)
def min_gru(z: Gate, n: Gate, h: E) -> E:
    """The GRU without reset and without recurrent weights; z writes the new state."""
    write = sigmoid(z.input)
    return (1 - write) * h + write * n.input


@part("cell", "min-lstm")
@cell(
    name="min-lstm",
    gates="f i n",
    state="h",
    source=f"{SOURCE}, section 3.2.4",
    letters={"f": "forget gate", "i": "input gate", "h": "state and output"},
)
def min_lstm(f: Gate, i: Gate, n: Gate, h: E) -> E:
    """The LSTM without recurrent weights and output gate; forget and input gate are scaled to sum to one."""
    keep, write = sigmoid(f.input), sigmoid(i.input)
    return keep / (keep + write) * h + write / (keep + write) * n.input
