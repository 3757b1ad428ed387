"""Tensors of any type, stride, view and length: every engine says what the reference says, or all refuse alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.func import functional_call
from torch.nn.utils.rnn import pack_padded_sequence

from recurra.engine import Layer, Time, aten, demands, run
from recurra.engine.native import build
from recurra.errors import ConfigError, WrongTensor, WrongValue
from recurra.nn import Recurrent, Step
from recurra.registry import find

CELLS = ("lstm", "gru", "rnn-relu", "peephole-lstm", "layer-norm-lstm", "indrnn", "mgu", "fast-grnn")
ENGINES = ("reference", "torch", "native", "auto")
native = pytest.mark.skipif(build.no_compiler() is not None, reason=str(build.no_compiler()))


def _expanded(t: Tensor) -> Tensor:
    return t[:1].expand(t.shape)


def _strided(t: Tensor) -> Tensor:
    return torch.stack((t, t + 7), -1)[..., 0]


def _behind(t: Tensor) -> Tensor:
    return torch.cat((t.new_ones(3), t.reshape(-1)))[3:].view(t.shape)


def _turned(t: Tensor) -> Tensor:
    return t.transpose(0, -1).contiguous().transpose(0, -1)


def _negative(t: Tensor) -> Tensor:
    return torch.complex(torch.zeros_like(t), -t).conj().imag


VIEWS: dict[str, Callable[[Tensor], Tensor]] = {
    "as it is": torch.clone,
    "expanded": _expanded,
    "strided": _strided,
    "behind others": _behind,
    "transposed": _turned,
    "negative": _negative,
}


@st.composite
def cases(draw: Any) -> dict[str, Any]:
    steps, batch = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    ragged = draw(st.booleans())
    return {
        "cell": draw(st.sampled_from(CELLS)),
        "sizes": (draw(st.sampled_from((1, 3, 9))), draw(st.sampled_from((1, 5)))),
        "shape": (steps, batch),
        "lengths": draw(st.lists(st.integers(0, steps), min_size=batch, max_size=batch)) if ragged else None,
        "packed": draw(st.booleans()),
        "layers": draw(st.integers(1, 2)),
        "dtype": draw(st.sampled_from((torch.float32, torch.float64))),
        "views": draw(st.lists(st.sampled_from(list(VIEWS)), min_size=9, max_size=9)),
        "seed": draw(st.integers(0, 99)),
    }


def _outcome(case: dict[str, Any], backend: str) -> list[Tensor]:
    """y, final states and all gradients; each tensor given, and each gradient arriving, is a view of its own kind."""
    torch.manual_seed(case["seed"])
    (inputs, hidden), (steps, batch), dtype = case["sizes"], case["shape"], case["dtype"]
    layer = Recurrent(case["cell"], inputs, hidden, case["layers"], backend=backend, dtype=dtype)
    leaves = [torch.randn(steps, batch, inputs, dtype=dtype)]
    leaves += [torch.randn(case["layers"], batch, hidden, dtype=dtype) for _ in layer.cell.state]
    leaves += [p.detach() + torch.randn_like(p) * 0.3 for p in layer.parameters()]
    for leaf in leaves:
        leaf.requires_grad_()

    def view(k: int, t: Tensor) -> Tensor:
        return VIEWS[case["views"][k % len(case["views"])]](t)

    x, *rest = (view(k, leaf) for k, leaf in enumerate(leaves))
    count = len(layer.cell.state)
    weights = dict(zip((n for n, _ in layer.named_parameters()), rest[count:], strict=True))
    state: Any = rest[0] if count == 1 else tuple(rest[:count])
    lengths = None if case["lengths"] is None else torch.tensor(case["lengths"])
    if case["packed"] and lengths is not None and min(case["lengths"]) > 0:
        y, finals = functional_call(layer, weights, (pack_padded_sequence(x, lengths, enforce_sorted=False), state))
        y = y.data
    else:
        y, finals = functional_call(layer, weights, (x, state, lengths))
    outputs = [y, *(finals if isinstance(finals, tuple) else (finals,))]
    arriving = [view(k + 4, torch.randn_like(o)) for k, o in enumerate(outputs)]
    pairs = [(o, g) for o, g in zip(outputs, arriving, strict=True) if o.requires_grad]  # no step, no y to learn from
    grads = torch.autograd.grad([o for o, _ in pairs], leaves, [g for _, g in pairs], allow_unused=True)
    return [*outputs, *(torch.zeros_like(t) if g is None else g for t, g in zip(leaves, grads, strict=True))]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(cases())
def test_views_are_what_they_say(case: dict[str, Any]) -> None:
    oracle = _outcome(case, "reference")
    engines = ["torch", *(["native"] if build.no_compiler() is None else [])]
    cell = find("cell", case["cell"])
    if aten.refuses(Layer(cell, Time.full(1, 1))) is None:
        engines.append("aten")
    for engine in engines:
        for k, (found, expected) in enumerate(zip(_outcome(case, engine), oracle, strict=True)):
            torch.testing.assert_close(found, expected, msg=lambda m, k=k, engine=engine: f"{engine}, tensor {k}: {m}")


def _given(cell: str, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """What one layer of I = 2, H = 3 in four steps of two sequences is run on, by name."""
    layer = Recurrent(cell, 2, 3, dtype=dtype)
    out = {"x": torch.randn(8, 2, dtype=dtype)}
    out |= {f"state {s}": torch.randn(2, 3, dtype=dtype) for s in layer.cell.state}
    out |= {n.removesuffix("_l0"): p.detach().clone() for n, p in layer.named_parameters()}
    return out | {"mask_zoneout_h": torch.ones(8, 3, dtype=dtype)}


def _run(cell: str, tensors: dict[str, Tensor], backend: str) -> Tensor:
    found = find("cell", cell)
    variant = replace(Layer(found, Time.full(4, 2)).variant, zoneout=("h",))
    layer = Layer(found, Time.full(4, 2), variant)
    state = tuple(t for n, t in tensors.items() if n.startswith("state"))
    masks = {n: t for n, t in tensors.items() if n.startswith("mask")}
    weights = {n: t for n, t in tensors.items() if n not in masks and n != "x" and not n.startswith("state")}
    return run(layer, tensors["x"], state, weights, masks, backend)[0]


NAMES = list(_given("peephole-lstm"))


@pytest.mark.parametrize("backend", ENGINES)
@pytest.mark.parametrize("name", NAMES)
def test_one_tensor_of_another_type_is_refused_by_all(name: str, backend: str) -> None:
    for dtype, other in ((torch.float32, torch.float64), (torch.float64, torch.float32), (torch.float32, torch.int64)):
        tensors = _given("peephole-lstm", dtype)
        assert _run("peephole-lstm", tensors, backend).isfinite().all()
        with pytest.raises(WrongValue, match=r"one type is expected|expected floating"):
            _run("peephole-lstm", tensors | {name: tensors[name].to(other)}, backend)


@pytest.mark.parametrize("backend", ENGINES)
@pytest.mark.parametrize("name", NAMES)
def test_one_tensor_of_another_shape_is_refused_by_all(name: str, backend: str) -> None:
    tensors = _given("peephole-lstm")
    t = tensors[name]
    for other in (t[:-1], t[..., :-1], t.repeat_interleave(2, 0), t.flatten(), t[None], t[..., :1]):
        if other.shape != t.shape:
            with pytest.raises(WrongTensor, match="shape"):
                _run("peephole-lstm", tensors | {name: other}, backend)


@pytest.mark.parametrize("backend", ENGINES)
def test_what_has_no_memory_or_lies_elsewhere(backend: str) -> None:
    tensors = _given("gru")
    for name in ("x", "state h", "bias_hh", "mask_zoneout_h"):
        with pytest.raises(WrongTensor, match=r"on meta, the layer's weights are on cpu|on cpu"):
            _run("gru", tensors | {name: tensors[name].to("meta")}, backend)
    with pytest.raises(WrongTensor, match=r"weight_hh is torch.sparse_coo, expected a dense tensor"):
        _run("gru", tensors | {"weight_hh": tensors["weight_hh"].to_sparse()}, backend)


@pytest.mark.parametrize("backend", ENGINES)
def test_weights_that_are_missing_or_unknown(backend: str) -> None:
    tensors = _given("gru")
    with pytest.raises(WrongTensor, match=r"needs weight_hh of shape \(9, 3\)"):
        _run("gru", {n: t for n, t in tensors.items() if n != "weight_hh"}, backend)
    with pytest.raises(WrongTensor, match=r"weight_no is no weight of cell 'gru', which has weight_ih, "):
        _run("gru", tensors | {"weight_no": tensors["weight_hh"]}, backend)
    with pytest.raises(WrongTensor, match=r"reads mask_zoneout_h, which is not given"):
        _run("gru", {n: t for n, t in tensors.items() if not n.startswith("mask")}, backend)
    for state in ((), (tensors["state h"],) * 2, (tensors["state h"][0],)):
        plain = Layer(find("cell", "gru"), Time.full(4, 2))
        weights = {n: t for n, t in tensors.items() if n.startswith(("weight", "bias"))}
        with pytest.raises(WrongTensor, match="states of 'gru' have shapes"):
            run(plain, tensors["x"], state, weights, {}, backend)


@pytest.mark.parametrize("cell", ["lstm", "peephole-lstm", "gru"])
@pytest.mark.parametrize("inputs", [1, 2, 12])
def test_numbers_of_numpy_are_refused_by_a_layer_of_float32(cell: str, inputs: int) -> None:
    layer = Recurrent(cell, inputs, 5)
    with pytest.raises(ConfigError, match=r"torch\.float64.*torch\.float32") as caught:
        layer(torch.randn(4, 2, inputs, dtype=torch.float64))
    assert isinstance(caught.value, ValueError)
    with pytest.raises(ConfigError, match=r"torch\.float32.*torch\.float64"):
        layer.double()(torch.randn(4, 2, inputs))


@pytest.mark.parametrize("backend", ["torch", "native", "reference"])
def test_a_replaced_parameter_is_checked(backend: str) -> None:
    layer = Recurrent("gru", 3, 4, backend=backend)
    x = torch.randn(5, 2, 3)
    for name, other in (("bias_ih_l0", torch.zeros(5)), ("weight_hh_l0", torch.zeros(12, 3))):
        with pytest.raises(WrongTensor, match=rf"{name[:-3]} of cell 'gru' has shape"):
            functional_call(layer, {name: other}, (x,))
    with pytest.raises(WrongValue, match=r"bias_hh is torch.float64"):
        functional_call(layer, {"bias_hh_l0": torch.zeros(12, dtype=torch.float64)}, (x,))
    layer.bias_ih_l0 = torch.nn.Parameter(torch.zeros(5))
    with pytest.raises(WrongTensor, match=r"expected \(12,\)"):
        layer(x)


def test_autocast_mixes_what_it_may() -> None:
    layer, x = Recurrent("gru", 3, 4), torch.randn(5, 2, 3)
    expected = layer(x)[0]
    with torch.autocast("cpu", torch.bfloat16):
        for backend in ("torch", "reference", *(["native"] if build.no_compiler() is None else [])):
            layer.backend = backend
            given = x if backend == "native" else x.bfloat16()
            torch.testing.assert_close(layer(given)[0].float(), expected, atol=0.03, rtol=0.03)
            with pytest.raises(WrongValue, match=r"torch\.float64"):
                functional_call(layer, {"bias_hh_l0": torch.zeros(12, dtype=torch.float64)}, (x,))


def test_second_derivatives_of_short_inputs() -> None:
    layer = Recurrent("gru", 3, 4)
    found = []
    for engine in ("torch", "reference"):
        layer.backend = engine
        x = torch.linspace(-1, 1, 30).view(5, 2, 3).bfloat16().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            y = layer(x)[0].float()
        (grad,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        found += torch.autograd.grad(grad.float().square().sum(), x)
    assert found[1].any()
    torch.testing.assert_close(found[0].float(), found[1].float(), atol=0.05 * float(found[1].abs().max()), rtol=0.05)


@native
@pytest.mark.parametrize("view", VIEWS)
def test_a_step_reads_weights_as_they_are(view: str) -> None:
    torch.manual_seed(0)
    layer = Recurrent("peephole-lstm", 3, 5)
    x = torch.randn(6, 2, 3)
    for name, parameter in list(layer.named_parameters()):
        delattr(layer, name)
        setattr(layer, name, VIEWS[view](parameter.detach() + torch.randn_like(parameter) * 0.3))
    layer.register_parameter("_some", torch.nn.Parameter(torch.zeros(1)))
    layer.backend = "reference"
    expected = layer(x)[0]
    step = Step(layer, 2)
    state, found = step.start(), []
    for row in x:
        y, state = step(row, state)
        found.append(y)
    torch.testing.assert_close(torch.stack(found), expected)


@native
def test_a_steps_output_is_its_own() -> None:
    step = Step(Recurrent("lstm", 3, 4, num_layers=2), 2)
    x = torch.randn(2, 3)
    y, state = step(x, step.start())
    kept = state.clone()
    y.fill_(9)
    assert torch.equal(state, kept)
    other, _ = step(x, state)
    state.fill_(7)
    assert not other.eq(7).any()


@native
def test_a_step_refuses_what_it_cannot_read() -> None:
    layer = Recurrent("lstm", 1, 4)
    step = Step(layer)
    good, state = torch.ones(1, 1), step.start()
    turned = torch.complex(good, good).conj().imag
    assert turned.is_contiguous() and turned.is_neg()
    for x in (turned, good.double(), good.to("meta"), good.view(1), good.to_sparse()):
        with pytest.raises(WrongTensor, match=r"expected \[1, 1\] of torch.float32, contiguous"):
            step(x, state)
    for s in (state[1:], state.double(), torch.stack((state, state), 1)[:, 0], state.to("meta")):
        with pytest.raises(WrongTensor, match="none of this step's"):
            step(good, s)
    with pytest.raises(WrongTensor, match=r"expected \[1, 1\]"):
        torch.vmap(step, (0, None))(good[None], state)
    layer.bias_ih_l0 = torch.nn.Parameter(torch.zeros(5))
    with pytest.raises(WrongTensor, match=r"bias_ih of cell 'lstm' has shape \(5,\), expected \(16,\)"):
        Step(layer)
    layer.bias_ih_l0 = torch.nn.Parameter(torch.zeros(16, dtype=torch.float64))
    with pytest.raises(WrongValue, match=r"torch.float64"):
        Step(layer)


def test_tensors_with_memory() -> None:
    t = torch.randn(3, 2)
    assert all(map(demands.stored, (t, t[1:], t.t(), t[:0], torch.nn.Parameter(t), t.expand(2, 3, 2))))
    assert not any(map(demands.stored, (t.to("meta"), t[:0].to("meta"), t.to_sparse())))
    seen = []
    torch.func.grad(lambda v: (seen.append(demands.stored(v)), v.sum())[1])(t)
    torch.vmap(lambda v: (seen.append(demands.stored(v)), v.sum())[1])(t)
    with torch._subclasses.FakeTensorMode():
        seen.append(demands.stored(torch.randn(3)))
    assert seen == [False] * 3
