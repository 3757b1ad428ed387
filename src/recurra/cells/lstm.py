"""Long short-term memory; its peephole, coupled-gate and layer-normalised variants. Gate order as in torch: i f g o.

The LSTM with projection (Sak, Senior & Beaufays 2014) is no cell of its own: `proj_size` multiplies any cell's h by a
matrix after the step, wherever the equations do not read h unit by unit.
"""

from __future__ import annotations

from recurra.equations.language import Expression, Gate, cell, layer_norm, sigmoid, tanh, unit
from recurra.registry import part

E = Expression
LETTERS = {
    "i": "input gate",
    "f": "forget gate",
    "g": "candidate, what may be written",
    "o": "output gate",
    "c": "memory",
    "h": "output",
}


@part("cell", "lstm")
@cell(
    gates="i f g o",
    state="h c",
    source="Hochreiter & Schmidhuber 1997; forget gate: Gers, Schmidhuber & Cummins 2000",
    letters=LETTERS,
)
def lstm(i: E, f: E, g: E, o: E, h: E, c: E) -> tuple[E, E]:
    """The LSTM without peepholes, as torch.nn.LSTM."""
    i, f, o = sigmoid(i), sigmoid(f), sigmoid(o)
    g = tanh(g)
    c = f * c + i * g
    h = o * tanh(c)
    return h, c


@part("cell", "peephole-lstm")
@cell(
    name="peephole-lstm",
    gates="i f g o",
    state="h c",
    source="Gers & Schmidhuber 2000; Graves 2013, eq. 7-11",
    letters=LETTERS,
)
def peephole_lstm(i: E, f: E, g: E, o: E, h: E, c: E) -> tuple[E, E]:
    """The LSTM whose gates see the memory: input and forget gate the old one, the output gate the new one."""
    i = sigmoid(i + unit("peephole_i") * c)
    f = sigmoid(f + unit("peephole_f") * c)
    g = tanh(g)
    c = f * c + i * g
    o = sigmoid(o + unit("peephole_o") * c)
    h = o * tanh(c)
    return h, c


@part("cell", "coupled-lstm")
@cell(name="coupled-lstm", gates="f g o", state="h c", source="Greff et al. 2017, CIFG: i = 1 - f", letters=LETTERS)
def coupled_lstm(f: E, g: E, o: E, h: E, c: E) -> tuple[E, E]:
    """The LSTM that writes exactly as much as it forgets."""
    f, o = sigmoid(f), sigmoid(o)
    g = tanh(g)
    c = f * c + (1 - f) * g
    h = o * tanh(c)
    return h, c


@part("cell", "layer-norm-lstm")
@cell(
    name="layer-norm-lstm",
    gates="i f g o",
    state="h c",
    bias=False,
    source="Ba, Kiros & Hinton 2016, eq. 20-22",
    letters={**LETTERS, "tanh(c)": "memory, normalised and squashed"},
)
def layer_norm_lstm(i: Gate, f: Gate, g: Gate, o: Gate, h: E, c: E) -> tuple[E, E]:
    """The LSTM with input product, recurrent product and memory each normalised over its row."""
    inputs = layer_norm(i.input, f.input, g.input, o.input)
    recurrents = layer_norm(i.recurrent, f.recurrent, g.recurrent, o.recurrent)
    a_i, a_f, a_g, a_o = (
        unit(f"gain_ih_{k}", 1.0) * x + unit(f"gain_hh_{k}", 1.0) * r + unit(f"shift_{k}", 0.0)
        for k, x, r in zip("ifgo", inputs, recurrents, strict=True)
    )
    c = sigmoid(a_f) * c + sigmoid(a_i) * tanh(a_g)
    h = sigmoid(a_o) * tanh(unit("gain_c", 1.0) * layer_norm(c) + unit("shift_c", 0.0))
    return h, c
