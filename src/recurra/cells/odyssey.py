"""The LSTM variants of Greff et al. 2017, each one change away from the LSTM with peepholes. Gate order: i f g o."""

from __future__ import annotations

from recurra.cells.lstm import LETTERS
from recurra.equations.language import Expression, cell, project, sigmoid, tanh, unit
from recurra.registry import part

SOURCE = "Greff, Srivastava, Koutník, Steunebrink & Schmidhuber 2017, LSTM: A search space odyssey, sections II and III"
E = Expression


@part("cell", "no-input-gate-lstm")
@cell(name="no-input-gate-lstm", gates="f g o", state="h c", source=f"{SOURCE}, NIG: i = 1", letters=LETTERS)
def no_input_gate_lstm(f: E, g: E, o: E, h: E, c: E) -> tuple[E, E]:
    """The peephole LSTM that writes every candidate in full."""
    f = sigmoid(f + unit("peephole_f") * c)
    c = f * c + tanh(g)
    o = sigmoid(o + unit("peephole_o") * c)
    return o * tanh(c), c


@part("cell", "no-forget-gate-lstm")
@cell(name="no-forget-gate-lstm", gates="i g o", state="h c", source=f"{SOURCE}, NFG: f = 1", letters=LETTERS)
def no_forget_gate_lstm(i: E, g: E, o: E, h: E, c: E) -> tuple[E, E]:
    """The peephole LSTM that forgets nothing, as the LSTM of 1997."""
    i = sigmoid(i + unit("peephole_i") * c)
    c = c + i * tanh(g)
    o = sigmoid(o + unit("peephole_o") * c)
    return o * tanh(c), c


@part("cell", "no-output-gate-lstm")
@cell(name="no-output-gate-lstm", gates="i f g", state="h c", source=f"{SOURCE}, NOG: o = 1", letters=LETTERS)
def no_output_gate_lstm(i: E, f: E, g: E, h: E, c: E) -> tuple[E, E]:
    """The peephole LSTM whose memory is always seen."""
    i = sigmoid(i + unit("peephole_i") * c)
    f = sigmoid(f + unit("peephole_f") * c)
    c = f * c + i * tanh(g)
    return tanh(c), c


@part("cell", "no-input-activation-lstm")
@cell(
    name="no-input-activation-lstm", gates="i f g o", state="h c", source=f"{SOURCE}, NIAF: g(x) = x", letters=LETTERS
)
def no_input_activation_lstm(i: E, f: E, g: E, o: E, h: E, c: E) -> tuple[E, E]:
    """The peephole LSTM whose candidate is linear."""
    i = sigmoid(i + unit("peephole_i") * c)
    f = sigmoid(f + unit("peephole_f") * c)
    c = f * c + i * g
    o = sigmoid(o + unit("peephole_o") * c)
    return o * tanh(c), c


@part("cell", "no-output-activation-lstm")
@cell(
    name="no-output-activation-lstm", gates="i f g o", state="h c", source=f"{SOURCE}, NOAF: h(x) = x", letters=LETTERS
)
def no_output_activation_lstm(i: E, f: E, g: E, o: E, h: E, c: E) -> tuple[E, E]:
    """The peephole LSTM whose memory is not squashed on its way out."""
    i = sigmoid(i + unit("peephole_i") * c)
    f = sigmoid(f + unit("peephole_f") * c)
    c = f * c + i * tanh(g)
    o = sigmoid(o + unit("peephole_o") * c)
    return o * c, c


@part("cell", "coupled-peephole-lstm")
@cell(name="coupled-peephole-lstm", gates="i g o", state="h c", source=f"{SOURCE}, CIFG: f = 1 - i", letters=LETTERS)
def coupled_peephole_lstm(i: E, g: E, o: E, h: E, c: E) -> tuple[E, E]:
    """The peephole LSTM that forgets exactly as much as it writes; `coupled-lstm` is the same without peepholes."""
    i = sigmoid(i + unit("peephole_i") * c)
    c = (1 - i) * c + i * tanh(g)
    o = sigmoid(o + unit("peephole_o") * c)
    return o * tanh(c), c


@part("cell", "full-gate-recurrence-lstm")
@cell(
    name="full-gate-recurrence-lstm",
    gates="i f g o",
    state="h c ri rf ro",
    source=f"{SOURCE}, FGR: the gates see each other's last activations",
    letters={
        **LETTERS,
        "ri": "input gate of the step before",
        "rf": "forget gate of the step before",
        "ro": "output gate of the step before",
    },
)
def full_gate_recurrence_lstm(i: E, f: E, g: E, o: E, h: E, c: E, ri: E, rf: E, ro: E) -> tuple[E, E, E, E, E]:
    """The peephole LSTM whose gates of the step before, states ri rf ro, reach all three gates through matrices."""
    i_from_i, f_from_i, o_from_i = project(ri, "from_i", 3)
    i_from_f, f_from_f, o_from_f = project(rf, "from_f", 3)
    i_from_o, f_from_o, o_from_o = project(ro, "from_o", 3)
    i = sigmoid(i + unit("peephole_i") * c + i_from_i + i_from_f + i_from_o)
    f = sigmoid(f + unit("peephole_f") * c + f_from_i + f_from_f + f_from_o)
    c = f * c + i * tanh(g)
    o = sigmoid(o + unit("peephole_o") * c + o_from_i + o_from_f + o_from_o)
    return o * tanh(c), c, i, f, o
