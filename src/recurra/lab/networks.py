"""Layers as the experiments start them."""

from __future__ import annotations

from typing import Any

import torch

from recurra.errors import ConfigError
from recurra.nn import Recurrent

CELLS = ("rnn-tanh", "irnn", "gru", "lstm", "layer-norm-lstm")
"""Those compared where none are named."""


def layer(cell: str, inputs: int, hidden: int, *, forget: float = 0.0, **options: Any) -> Recurrent:
    """One layer of a cell at its start, with `forget` added to the bias of its forget gate, if it has one.

    A positive one starts the gate open (Gers, Schmidhuber & Cummins 2000; Jozefowicz et al. 2015). A cell without a
    gate called f is left as it is; it raises `ConfigError` where a bias is asked for that it does not have.
    """
    made = Recurrent(cell, inputs, hidden, **options)
    if not forget or "f" not in made.cell.input_gates:
        return made
    parameters = dict(made.named_parameters())
    with torch.no_grad():
        if "bias_ih_l0" in parameters:
            start = made.cell.input_gates.index("f") * hidden
            parameters["bias_ih_l0"][start : start + hidden].add_(forget)
        elif "shift_f_l0" in parameters:
            parameters["shift_f_l0"].add_(forget)
        else:
            raise ConfigError(f"the forget gate of cell {cell!r} has no bias to start at {forget}: set it to 0.")
    return made
