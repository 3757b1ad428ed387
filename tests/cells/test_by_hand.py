"""Cells against their papers' equations written out in plain torch: outputs, states and all gradients.

Nothing is shared with the package but the tensors: a step takes the layer's weights by name, x and the old states, and
is written in the paper's order and with its products, one matrix a gate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor
from torch.nn.functional import layer_norm

from recurra.nn import Recurrent
from recurra.registry import find, names
from recurra.testing.cells import relative

D = torch.float64
W = Mapping[str, Tensor]
Step = Callable[[W, Tensor, tuple[Tensor, ...]], tuple[Tensor, ...]]
STEPS: dict[str, Step] = {}
sig, tanh = torch.sigmoid, torch.tanh


def by_hand(name: str) -> Callable[[Step], Step]:
    return lambda step: STEPS.setdefault(name, step)


def images(w: W, name: str, gates: str, v: Tensor) -> dict[str, Tensor]:
    """Gate → its product with v, and its bias where there is one."""
    matrix, bias = w[f"weight_{name}"], w.get(f"bias_{name}")
    H = len(matrix) // len(gates)
    rows = {g: slice(k * H, (k + 1) * H) for k, g in enumerate(gates)}
    return {g: v @ matrix[r].T + (0 if bias is None else bias[r]) for g, r in rows.items()}


def sums(w: W, gates: str, x: Tensor, h: Tensor) -> dict[str, Tensor]:
    inputs, recurrents = images(w, "ih", gates, x), images(w, "hh", gates, h)
    return {g: inputs[g] + recurrents[g] for g in gates}


def _odyssey(gates: str, linear_in: bool = False, linear_out: bool = False, coupled: bool = False) -> Step:
    """Greff et al. 2017, section II-A, with the changes of section III: a gate that is missing is 1."""

    def step(w: W, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        y, c, *activations = state
        one = torch.ones_like(c)
        a = sums(w, gates, x, y)
        for k, seen in enumerate(activations):  # FGR: R_ki etc., from the k-th gate to i, f and o
            for to, more in images(w, f"from_{'ifo'[k]}", "ifo", seen).items():
                a[to] = a[to] + more
        z = a["g"] if linear_in else tanh(a["g"])
        i = sig(a["i"] + w["peephole_i"] * c) if "i" in gates else one
        f = 1 - i if coupled else sig(a["f"] + w["peephole_f"] * c) if "f" in gates else one
        c = z * i + c * f
        o = sig(a["o"] + w["peephole_o"] * c) if "o" in gates else one
        return (c if linear_out else tanh(c)) * o, c, *((i, f, o) if activations else ())

    return step


STEPS |= {
    "peephole-lstm": _odyssey("ifgo"),
    "no-input-gate-lstm": _odyssey("fgo"),
    "no-forget-gate-lstm": _odyssey("igo"),
    "no-output-gate-lstm": _odyssey("ifg"),
    "no-input-activation-lstm": _odyssey("ifgo", linear_in=True),
    "no-output-activation-lstm": _odyssey("ifgo", linear_out=True),
    "coupled-peephole-lstm": _odyssey("igo", coupled=True),
    "full-gate-recurrence-lstm": _odyssey("ifgo"),
    "depth-gated-lstm": _odyssey("ifgo"),  # its lowest layer; the ones above: test_layers_below.py
}


@by_hand("layer-norm-gru")
def _(w: W, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    (h,) = state
    H = h.shape[1]
    told, seen = h @ w["weight_hh"].T, x @ w["weight_ih"].T

    def norm(v: Tensor, gain: str, shift: Tensor | None = None) -> Tensor:
        gains = torch.cat([w[f"{gain}_{k}"] for k in ("rz" if v.shape[1] == 2 * H else "n")])
        return layer_norm(v, v.shape[1:], gains, shift)

    shift = torch.cat([w["shift_r"], w["shift_z"]])
    r, z = sig(norm(told[:, : 2 * H], "gain_hh") + norm(seen[:, : 2 * H], "gain_ih", shift)).chunk(2, 1)
    new = tanh(norm(seen[:, 2 * H :], "gain_ih", w["shift_n"]) + r * norm(told[:, 2 * H :], "gain_hh", w["shift_hh_n"]))
    return ((1 - z) * h + z * new,)


@by_hand("irnn")
def _(w: W, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (torch.relu(sums(w, "s", x, state[0])["s"]),)


@by_hand("mgu")
def _(w: W, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    (h,) = state
    seen = images(w, "ih", "fn", x)
    f = sig(seen["f"] + images(w, "hh", "f", h)["f"])
    new = tanh(seen["n"] + (f * h) @ w["weight_candidate"].T)
    return ((1 - f) * h + f * new,)


@by_hand("ugrnn")
def _(w: W, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    (h,) = state
    a = sums(w, "cg", x, h)
    c, g = tanh(a["c"]), sig(a["g"])
    return (g * h + (1 - g) * c,)


@by_hand("janet")
def _(w: W, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    (c,) = state
    a = sums(w, "sc", x, c)
    beta = 1.0
    return (sig(a["s"]) * c + (1 - sig(a["s"] - beta)) * tanh(a["c"]),)


@by_hand("ran")
def _(w: W, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    h, c = state
    seen, told = images(w, "ih", "ifc", x), images(w, "hh", "if", h)
    i = sig(told["i"] + seen["i"] + w["shift_i"])
    f = sig(told["f"] + seen["f"] + w["shift_f"])
    c = i * seen["c"] + f * c
    return tanh(c), c


@by_hand("fast-grnn")
def _(w: W, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    (h,) = state
    shared = x @ w["weight_ih"].T + h @ w["weight_hh"].T
    z, new = sig(shared + w["shift_z"]), tanh(shared + w["shift_n"])
    return ((sig(w["zeta"]) * (1 - z) + sig(w["nu"])) * new + z * h,)


@by_hand("mut1")
def _(w: W, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    (h,) = state
    seen = images(w, "ih", "zr", x)
    z = sig(seen["z"])
    r = sig(seen["r"] + images(w, "hh", "r", h)["r"])
    return (tanh((r * h) @ w["weight_candidate"].T + tanh(x) + w["shift_n"]) * z + h * (1 - z),)


@by_hand("mut2")
def _(w: W, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    (h,) = state
    seen, told = images(w, "ih", "zh", x), images(w, "hh", "zr", h)
    z = sig(seen["z"] + told["z"])
    r = sig(x + told["r"])
    return (tanh((r * h) @ w["weight_candidate"].T + seen["h"]) * z + h * (1 - z),)


@by_hand("mut3")
def _(w: W, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    (h,) = state
    seen, told = images(w, "ih", "zrh", x), images(w, "hh", "r", h)
    z = sig(seen["z"] + tanh(h) @ w["weight_update"].T)
    r = sig(seen["r"] + told["r"])
    return (tanh((r * h) @ w["weight_candidate"].T + seen["h"]) * z + h * (1 - z),)


@by_hand("indrnn")
def _(w: W, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (torch.relu(x @ w["weight_ih"].T + w["recurrent"] * state[0] + w["bias_ih"]),)


@by_hand("sru")
def _(w: W, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    _, c = state
    seen = images(w, "ih", "frw", x)
    f = sig(seen["f"] + w["peephole_f"] * c + w["shift_f"])
    r = sig(seen["r"] + w["peephole_r"] * c + w["shift_r"])
    c = f * c + (1 - f) * seen["w"]
    return r * c + (1 - r) * x, c


@by_hand("multiplicative-lstm")
def _(w: W, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    h, c = state
    seen = images(w, "ih", "mifho", x)
    m = seen["m"] * images(w, "hh", "m", h)["m"]
    a = {g: seen[g] + v for g, v in images(w, "mixed", "ifho", m).items()}
    c = sig(a["f"]) * c + sig(a["i"]) * tanh(a["h"])
    return tanh(c) * sig(a["o"]), c


@by_hand("multiplicative-lstm-2016")
def _(w: W, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Krause et al. 2016: c = f ⊙ c + i ⊙ ĥ and h = tanh(c ⊙ o), nothing squashed before the gate."""
    h, c = state
    seen = images(w, "ih", "mifho", x)
    m = seen["m"] * images(w, "hh", "m", h)["m"]
    a = {g: seen[g] + v for g, v in images(w, "mixed", "ifho", m).items()}
    c = sig(a["f"]) * c + sig(a["i"]) * a["h"]
    return tanh(c * sig(a["o"])), c


@by_hand("mogrifier-lstm")
def _(w: W, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    h, c = state
    x = 2 * sig(h @ w["weight_q1"].T) * x
    h = 2 * sig(x @ w["weight_r2"].T) * h
    x = 2 * sig(h @ w["weight_q3"].T) * x
    h = 2 * sig(x @ w["weight_r4"].T) * h
    x = 2 * sig(h @ w["weight_q5"].T) * x
    seen, told = images(w, "gates_x", "ifjo", x), images(w, "gates_h", "ifjo", h)
    i, f, j, o = (seen[k] + told[k] + w[f"shift_{g}"] for k, g in zip("ifjo", "ifgo", strict=True))
    c = sig(f) * c + sig(i) * tanh(j)
    return sig(o) * tanh(c), c


@by_hand("rhn")
def _(w: W, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    (s,) = state
    a = sums(w, "ht", x, s)
    for depth in (1, 2, 3):
        if depth > 1:
            a = images(w, f"layer{depth}", "ht", s)
            a = {"h": a["h"] + w[f"shift_n{depth}"], "t": a["t"] + w[f"shift_t{depth}"]}
        h, t = tanh(a["h"]), sig(a["t"])
        s = h * t + s * (1 - t)
    return (s,)


def weights_of(layer: Recurrent, k: int = 0) -> dict[str, Tensor]:
    return {n.removesuffix(f"_l{k}"): p for n, p in layer.named_parameters() if n.endswith(f"_l{k}")}


def layer_and_data(name: str, T: int = 6, B: int = 3, I: int = 3, H: int = 4) -> tuple[Recurrent, Tensor, list[Tensor]]:
    """A layer with random weights, x and an initial state."""
    torch.manual_seed(len(name))
    cell = find("cell", name)
    layer = Recurrent(cell, H if cell.ties_input else I, H, dtype=D)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.7)
    x = torch.randn(T, B, layer.input_size, dtype=D, requires_grad=True)
    return layer, x, [torch.randn(1, B, H, dtype=D, requires_grad=True) for _ in cell.state]


def results(outputs: list[Tensor], leaves: list[Tensor]) -> list[Tensor]:
    """Outputs, and gradients of a loss that weighs them all differently."""
    generator = torch.Generator().manual_seed(7)
    loss = sum((o * torch.randn(o.shape, generator=generator, dtype=D)).sum() for o in outputs)
    grads = torch.autograd.grad(loss, leaves, allow_unused=True)
    return [*outputs, *(torch.zeros_like(v) if g is None else g for v, g in zip(leaves, grads, strict=True))]


@pytest.mark.parametrize("backend", ["reference", "torch"])
@pytest.mark.parametrize("name", STEPS)
def test_cell_is_its_paper_s(name: str, backend: str) -> None:
    layer, x, states = layer_and_data(name)
    layer.backend = backend
    leaves = [x, *states, *layer.parameters()]
    y, finals = layer(x, states[0] if len(states) == 1 else tuple(states))
    found = results([y, *(finals if isinstance(finals, tuple) else (finals,))], leaves)
    state, outputs = tuple(s[0] for s in states), []
    for step in x:
        state = STEPS[name](weights_of(layer), step, state)
        outputs.append(state[0])
    expected = results([torch.stack(outputs), *(s[None] for s in state)], leaves)
    for k, (value, oracle) in enumerate(zip(found, expected, strict=True)):
        assert relative(value, oracle) <= 1e-12, f"{name}, {backend}: tensor {k} of shape {tuple(oracle.shape)}"


@pytest.mark.parametrize("backend", ["reference", "torch"])
def test_qrnn_is_a_causal_convolution_and_a_pooling(backend: str) -> None:
    """Bradbury et al. 2017, eq. 1 and 4, with torch's convolution; each state but c starts from nothing, as its x."""
    layer, x, (_, c, *_) = layer_and_data("qrnn")
    layer.backend = backend
    w, H = weights_of(layer), layer.hidden_size
    blank = [torch.zeros_like(c) for _ in range(3)]
    leaves = [x, c, *layer.parameters()]
    y, (_, last, *_) = layer(x, (torch.zeros_like(c), c, *blank))
    kernel = torch.stack((w["weight_before"], w["weight_ih"]), 2)  # [3H, I, 2]
    padded = torch.nn.functional.pad(x.permute(1, 2, 0), (1, 0))
    a = torch.nn.functional.conv1d(padded, kernel, w["bias_ih"]).permute(2, 0, 1)
    Z, F, O = tanh(a[..., :H]), sig(a[..., H : 2 * H]), sig(a[..., 2 * H :])
    memory, outputs = c[0], []
    for z, f, o in zip(Z, F, O, strict=True):
        memory = f * memory + (1 - f) * z
        outputs.append(o * memory)
    found, expected = results([y, last], leaves), results([torch.stack(outputs), memory[None]], leaves)
    for value, oracle in zip(found, expected, strict=True):
        assert relative(value, oracle) <= 1e-12


def test_every_cell_has_a_test_of_its_equations() -> None:
    elsewhere = {
        "lstm", "gru", "rnn-tanh", "rnn-relu",  # torch.nn: tests/nn/test_torch_like.py
        "coupled-lstm", "gru-reset-before", "layer-norm-lstm", "min-gru", "min-lstm",  # test_forms.py
        "rnn-identity",  # tests/engine/test_lecture.py
        "qrnn",  # above
        "cfc", "gru-d", "gru-decay",  # test_gaps.py
    }  # fmt: skip
    assert {*STEPS, *elsewhere} == set(names("cell"))
