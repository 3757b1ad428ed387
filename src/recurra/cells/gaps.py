"""Cells of series with gaps and steps of any length: their equations read `dt`, `seen` and `since` beside x."""

from __future__ import annotations

from recurra.equations.language import (
    Expression,
    Gate,
    cell,
    dt,
    exp,
    project,
    raw_input,
    relu,
    seen,
    sigmoid,
    since,
    tanh,
    unit,
)
from recurra.registry import part

E = Expression
LETTERS = {
    "r": "reset gate",
    "z": "update gate, how much of the old state is kept",
    "n": "candidate, what may be written",
    "h": "state and output",
}


@part("cell", "gru-decay")
@cell(
    name="gru-decay",
    gates="r z n",
    state="h",
    source="Rubanova, Chen & Duvenaud 2019, Latent ODEs for irregularly-sampled time series, section 2, RNN-Decay, "
    "with a rate for each unit; over the usual step nothing decays, so that with dt = 1 it is a GRU",
    letters={
        **LETTERS,
        "relu(dt)": "what the time beyond the usual step comes to at the unit's rate",
        "exp(relu(dt))": "share of the old state that is left after that time",
    },
)
def gru_decay(r: Gate, z: Gate, n: Gate, h: E) -> E:
    """The GRU whose state decays exponentially with the time beyond the usual step; z keeps the old state."""
    h = exp(-relu(unit("rate", 0.1) * (dt - 1))) * h
    r_h, z_h, n_h = project(h, "hidden", 3)
    reset, keep = sigmoid(r.input + r_h), sigmoid(z.input + z_h)
    new = tanh(n.input + reset * (n_h + unit("shift_n")))
    return (1 - keep) * new + keep * h


@part("cell", "gru-d")
@cell(
    name="gru-d",
    gates="",
    state="h",
    source="Che, Purushotham, Cho, Sontag & Liu 2018, Recurrent neural networks for multivariate time series with "
    "missing values, eq. 10-18; x is the value last seen where none is, and 0 its mean; the decays are of since - 1 "
    "without a bias and the mask is 1 - seen, so that with nothing missing it is a GRU; z keeps the old state",
    letters={
        **LETTERS,
        "relu(since)": "what the time since a value was seen comes to at the value's rate",
        "exp(relu(since))": "share of the value last seen that is left",
        "rates": "what the times since all values were seen come to at the unit's rates",
        "exp(rates)": "share of the old state that is left after these times",
    },
)
def gru_d(h: E) -> E:
    """The GRU of series with missing values: what was last seen decays towards its mean, the state towards 0."""
    gap, x = since - 1, raw_input()
    x = seen * x + (1 - seen) * (exp(-relu(unit("rate", 0.1, "input") * gap)) * x)
    h = exp(-relu(project(gap, "rates"))) * h
    r_x, z_x, n_x = project(x, "input", 3)
    r_m, z_m, n_m = project(1 - seen, "missing", 3)
    r_h, z_h = project(h, "hidden", 2)
    r, z = sigmoid(r_x + r_h + r_m + unit("shift_r")), sigmoid(z_x + z_h + z_m + unit("shift_z"))
    new = tanh(n_x + project(r * h, "candidate") + n_m + unit("shift_n"))
    return (1 - z) * new + z * h


@part("cell", "cfc")
@cell(
    gates="a b p q",
    state="h",
    source="Hasani, Lechner, Amini, Liebenwein, Ray, Tschaikowski, Teschl & Rus 2022, Closed-form continuous-time "
    "neural networks, eq. 5 and the gate of its code, σ(a dt + b), over one layer instead of a backbone",
    letters={
        "a": "how fast the second value takes the place of the first",
        "b": "how much of the second value there is at once",
        "p": "the value at once",
        "q": "the value later",
        "h": "state and output",
    },
)
def cfc(a: E, b: E, p: E, q: E, h: E) -> E:
    """The closed-form continuous-time cell: between two values of the step, the further the longer the step was."""
    later = sigmoid(a * dt + b)
    return (1 - later) * tanh(p) + later * tanh(q)
