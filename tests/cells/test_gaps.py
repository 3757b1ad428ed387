"""Cells that read dt, seen and since: against their papers' equations, from the end, in stacks, in steps, recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence

from recurra.engine.native import build
from recurra.equations import show
from recurra.equations.language import cell, dt, raw_input, seen, since, tanh, unit
from recurra.equations.letters import letters
from recurra.equations.parse import parse
from recurra.errors import ConfigError, WrongTensor, WrongType, WrongValue
from recurra.nn import Recurrent, Step
from recurra.registry import find
from recurra.testing.cells import CONFIGURATIONS, check_equal, check_finite_differences, draw_given, relative

D = torch.float64
T, B, I, H = 6, 3, 3, 4
CELLS = ("gru-d", "gru-decay", "cfc")
Row = Callable[[Mapping[str, Tensor], Tensor, Mapping[str, Tensor], Tensor], Tensor]


def gru_d(w: Mapping[str, Tensor], x: Tensor, given: Mapping[str, Tensor], h: Tensor) -> Tensor:
    """Che et al. 2018, eq. 10-18, with the mean at 0 and gaps counted from the usual step."""
    gap, m = given["since"] - 1, given["seen"]
    x = torch.where(m > 0, x, torch.exp(-torch.relu(w["rate"] * gap)) * x)
    h = torch.exp(-torch.relu(gap @ w["weight_rates"].T)) * h
    x_r, x_z, x_n = (x @ matrix.T for matrix in w["weight_input"].chunk(3))
    m_r, m_z, m_n = ((1 - m) @ matrix.T for matrix in w["weight_missing"].chunk(3))
    h_r, h_z = (h @ matrix.T for matrix in w["weight_hidden"].chunk(2))
    r = torch.sigmoid(x_r + h_r + m_r + w["shift_r"])
    z = torch.sigmoid(x_z + h_z + m_z + w["shift_z"])
    new = torch.tanh(x_n + (r * h) @ w["weight_candidate"].T + m_n + w["shift_n"])
    return z * h + (1 - z) * new


def gru_decay(w: Mapping[str, Tensor], x: Tensor, given: Mapping[str, Tensor], h: Tensor) -> Tensor:
    """torch.nn.GRUCell on a state that has decayed."""
    decayed = h * torch.exp(-torch.relu((given["dt"][:, None] - 1) * w["rate"]))
    gru = torch.nn.GRUCell(I, H, dtype=D)
    zeros = torch.zeros(2 * H, dtype=D)
    weights = (w["weight_ih"], w["weight_hidden"], w["bias_ih"], torch.cat((zeros, w["shift_n"])))
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return torch.func.functional_call(gru, dict(zip(names, weights, strict=True)), (x, decayed))


def cfc(w: Mapping[str, Tensor], x: Tensor, given: Mapping[str, Tensor], h: Tensor) -> Tensor:
    """Hasani et al. 2022: new = ff1 (1 - t) + t ff2, t = σ(t_a Δ + t_b)."""
    sums = x @ w["weight_ih"].T + w["bias_ih"] + h @ w["weight_hh"].T + w["bias_hh"]
    t_a, t_b, one, two = sums.chunk(4, -1)
    t = torch.sigmoid(t_a * given["dt"][:, None] + t_b)
    return torch.tanh(one) * (1 - t) + t * torch.tanh(two)


BY_HAND: dict[str, Row] = {"gru-d": gru_d, "gru-decay": gru_decay, "cfc": cfc}


def made(name: str, layers: int = 1, **options: object) -> tuple[Recurrent, Tensor, dict[str, Tensor]]:
    """A layer with random weights, x [T, B, I] and what comes beside it."""
    torch.manual_seed(len(name))
    layer = Recurrent(find("cell", name), I, H, layers, dtype=D, **options)  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.7)
    x = torch.randn(T, B, I, dtype=D)
    return layer, x, draw_given(layer.cell, x)


def by_hand(name: str, w: Mapping[str, Tensor], x: Tensor, given: Mapping[str, Tensor]) -> Tensor:
    h, rows = x.new_zeros(x.shape[1], H), []
    for t, frame in enumerate(x):
        h = BY_HAND[name](w, frame, {key: value[t] for key, value in given.items()}, h)
        rows.append(h)
    return torch.stack(rows)


def weights_of(layer: Recurrent, ending: str) -> dict[str, Tensor]:
    return {name.removesuffix(ending): p for name, p in layer.named_parameters() if name.endswith(ending)}


@pytest.mark.parametrize("backend", ["reference", "torch"])
@pytest.mark.parametrize("name", CELLS)
def test_cell_is_its_paper_s(name: str, backend: str) -> None:
    layer, x, given = made(name)
    layer.backend = backend
    times = [given[key].requires_grad_() for key in ("dt", "since") if key in layer.cell.given]
    leaves = [x.requires_grad_(), *times, *layer.parameters()]
    y, oracle = layer(x, **given)[0], by_hand(name, weights_of(layer, "_l0"), x, given)
    weight = torch.randn(y.shape, generator=torch.Generator().manual_seed(7), dtype=D)
    assert relative(y, oracle) < 1e-13
    pairs = zip(
        torch.autograd.grad((y * weight).sum(), leaves),
        torch.autograd.grad((oracle * weight).sum(), leaves),
        strict=True,
    )
    for found, expected in pairs:
        assert expected.abs().max() > 0 and relative(found, expected) < 1e-12


@pytest.mark.parametrize("name", CELLS)
def test_from_the_end_a_step_is_as_long_as_the_one_behind_it_was(name: str) -> None:
    layer, x, given = made(name, bidirectional=True)
    lengths = torch.tensor([T, 2, 4])
    y = layer(x, None, lengths, **given)[0]
    for b, n in enumerate(lengths.tolist()):
        turned = {key: value[:n, b : b + 1].flip(0) for key, value in given.items()}
        if "dt" in turned:
            turned["dt"] = torch.cat((torch.ones(1, 1, dtype=D), turned["dt"][:-1]))
        oracle = by_hand(name, weights_of(layer, "_l0_reverse"), x[:n, b : b + 1].flip(0), turned)
        assert relative(y[:n, b : b + 1, H:].flip(0), oracle) < 1e-13


def test_upper_layers_miss_nothing_and_have_no_weights_for_it() -> None:
    layer, x, given = made("gru-d", layers=2)
    names = {name for name, _ in layer.named_parameters() if name.endswith("_l1")}
    assert "weight_rates_l1" in names and not names & {"weight_missing_l1", "rate_l1"}
    between = by_hand("gru-d", weights_of(layer, "_l0"), x, given)
    w = weights_of(layer, "_l1") | {"weight_missing": torch.zeros(3 * H, H, dtype=D), "rate": torch.zeros(H, dtype=D)}
    above = {"seen": torch.ones_like(between), "since": given["dt"][..., None].expand_as(between)}
    assert relative(layer(x, **given)[0], by_hand("gru-d", w, between, above)) < 1e-13


@pytest.mark.parametrize("name", CELLS)
def test_single_steps_are_the_whole(name: str) -> None:
    if (reason := build.no_compiler()) is not None:
        pytest.skip(reason)
    layer, x, given = made(name, layers=2)
    step, usual = Step(layer, B), layer(x)[0]
    with torch.no_grad():
        y = layer(x, **given)[0]
    for beside, oracle in ((given, y), ({}, usual)):  # what was given at a step is not taken for the next
        state = step.start()
        for t in range(T):
            out, state = step(x[t], state, **{key: value[t] for key, value in beside.items()})
            assert relative(out, oracle[t]) < 1e-12
    with pytest.raises(WrongTensor, match=r"has shape \(6, 3"):
        step(x[0], state, **given)


@pytest.mark.parametrize("name", CELLS)
def test_a_recorded_layer_takes_them_too(name: str) -> None:
    layer, x, given = made(name, layers=2, bidirectional=True, batch_first=True)
    x, given = x.transpose(0, 1), {key: value.transpose(0, 1) for key, value in given.items()}
    lengths = torch.tensor([T, 1, 4])
    program = torch.export.export(layer, (x, None, lengths), given, strict=False)
    assert relative(program.module()(x, None, lengths, **given)[0], layer(x, None, lengths, **given)[0]) < 1e-13


TEXTS = {
    "decay": 'h = exp(-relu(unit("decay", 0.5) * dt)) * h\ns = sigmoid(s)\nh = h + s * tanh(n)',
    "gates of the mask": """
        gates: s
        gap = seen * log(since + 1)
        h = tanh(s + project(gap, "gap")) * (2 - project(seen))
    """,
    "input width": """
        gates: s
        v = unit("scale", 1.0, width="input") * x + scalar("b") * since
        h = tanh(s + project(v * v))
    """,
    "input beside units": "h = sigmoid(s) * h * dt + (1 - seen) * x / (1 + since)",
}


@pytest.mark.parametrize("text", TEXTS)
def test_equations_as_text(text: str) -> None:
    found = parse(TEXTS[text], name=text)
    for configuration in CONFIGURATIONS[:1] + CONFIGURATIONS[8:9]:
        check_equal(found, configuration)
    check_finite_differences(found)


def test_without_what_is_missing_equations_fold() -> None:
    @cell(gates="s", state="h", source="a test")
    def folding(s, h):  # type: ignore[no-untyped-def]
        """Everything but tanh(s + x) comes to nothing where steps are usual ones."""
        gone = (seen - 1) * unit("a", width="input") + (dt - 1) / since
        return seen * tanh(s + raw_input() + gone) + (0 - (since - seen))

    plain = folding.regular
    assert "a" not in plain.parameters and plain.given == () and folding.given == ("dt", "seen", "since")
    assert plain.lowest is plain and plain.regular is plain and folding.lowest is folding
    assert [node.op for node in plain.nodes] == ["gate", "x", "add", "function"]


def test_what_is_printed_of_them() -> None:
    found = find("cell", "gru-decay")
    assert "v_t = rate·(dt - 1)" in show.text(found) and "δdt = δv_t·rate" in show.text(found)
    assert r"\mathrm{dt}_t" in show.latex(found)
    said = {one.name: one.equation for one in letters(found)}
    assert said["exp(relu(dt))"] == "exp(relu(dt)) = exp(0 − relu(dt))"


def test_what_cannot_be_is_refused() -> None:
    layer, x, given = made("gru-d")
    with pytest.raises(WrongValue, match=r"dt is given, but the cell 'lstm' takes nothing beside x. Leave it out"):
        Recurrent("lstm", I, H, dtype=D)(x, dt=given["dt"])
    with pytest.raises(WrongValue, match="seen is given, but the cell 'cfc' takes dt beside x"):
        made("cfc")[0](x, seen=given["seen"])
    with pytest.raises(WrongTensor, match=r"since has shape \(6, 3\), expected \(6, 3, 3\) as the input has"):
        layer(x, since=given["dt"])
    with pytest.raises(WrongTensor, match="seen is on meta, the layer's weights are on cpu"):
        layer(x, seen=given["seen"].to("meta"))
    with pytest.raises(WrongType, match="dt is a float, expected a tensor"):
        layer(x, dt=2.0)  # type: ignore[arg-type]
    packed = pack_padded_sequence(x, torch.tensor([6, 4, 2]))
    assert layer(packed)[0].data.isfinite().all()
    with pytest.raises(WrongValue, match="input is a PackedSequence, and seen, since beside it"):
        layer(packed, seen=given["seen"], since=given["since"])
    with pytest.raises(ConfigError, match="'a' is one vector of two widths, units and input"):
        assert _two_widths.nodes
    bare = layer(x[:, 0], dt=given["dt"][:, 0], seen=given["seen"][:, 0] > 0, since=given["since"][:, 0])[0]
    assert relative(bare, layer(x, **given)[0][:, 0]) < 1e-13


@cell(gates="s", state="h", source="a test")
def _two_widths(s, h):  # type: ignore[no-untyped-def]
    return tanh(s + unit("a") + unit("a", width="input") * raw_input())
