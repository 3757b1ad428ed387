"""Cells that read the layer below: the depth-gated LSTM by its paper, the lowest layer, both directions, gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from recurra.equations.language import Expression, Gate, cell, lower, project, sigmoid, tanh, unit
from recurra.errors import ConfigError
from recurra.nn import Recurrent
from recurra.testing.cells import relative

D = torch.float64
BACKENDS = ["reference", "torch"]


def random_layer(name: str, layers: int, **options: bool) -> Recurrent:
    torch.manual_seed(layers)
    layer = Recurrent(name, 3, 4, layers, dtype=D, **options)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.6)
    return layer


def depth_gated(layer: Recurrent, x: Tensor, end: str = "") -> tuple[Tensor, list[Tensor]]:
    """Yao et al. 2015: all layers at one step, then the next step; the lowest layer has no depth gate."""
    H, B = layer.hidden_size, x.shape[1]
    h = [x.new_zeros(B, H) for _ in range(layer.num_layers)]
    c = [x.new_zeros(B, H) for _ in range(layer.num_layers)]
    outputs = []
    for step in x:
        seen = step
        for k in range(layer.num_layers):
            w = {n.removesuffix(f"_l{k}{end}"): p for n, p in layer.named_parameters() if n.endswith(f"_l{k}{end}")}
            inputs = seen @ w["weight_ih"].T + w["bias_ih"]
            recurrents = h[k] @ w["weight_hh"].T + w["bias_hh"]
            i, f, g, o = (inputs[:, : 4 * H] + recurrents).chunk(4, 1)
            i = torch.sigmoid(i + w["peephole_i"] * c[k])
            f = torch.sigmoid(f + w["peephole_f"] * c[k])
            memory = f * c[k] + i * torch.tanh(g)
            if k:
                d = torch.sigmoid(inputs[:, 4 * H :] + w["peephole_d"] * c[k] + w["from_below_d"] * c[k - 1])
                memory = memory + d * c[k - 1]
            c[k] = memory
            h[k] = torch.sigmoid(o + w["peephole_o"] * memory) * torch.tanh(memory)
            seen = h[k]
        outputs.append(seen)
    return torch.stack(outputs), c


@pytest.mark.parametrize("backend", BACKENDS)
def test_depth_gated_lstm_by_its_equations(backend: str) -> None:
    layer = random_layer("depth-gated-lstm", 3)
    layer.backend = backend
    x = torch.randn(6, 2, 3, dtype=D, requires_grad=True)
    leaves = [x, *layer.parameters()]
    y, (_, c) = layer(x)
    expected, memories = depth_gated(layer, x)
    found = [y, c, *torch.autograd.grad(y.sin().sum() + c.square().sum(), leaves)]
    last = torch.stack(memories)
    oracle = [expected, last, *torch.autograd.grad(expected.sin().sum() + last.square().sum(), leaves)]
    for a, b in zip(found, oracle, strict=True):
        assert relative(a, b) <= 1e-12


@pytest.mark.parametrize("backend", BACKENDS)
def test_each_direction_sees_the_layer_below_in_its_own_direction(backend: str) -> None:
    """With the upper layer's products of x at zero, the memory from below is all that it gets."""
    layer = random_layer("depth-gated-lstm", 2, bidirectional=True)
    layer.backend = backend
    with torch.no_grad():
        for end in ("", "_reverse"):
            layer.get_parameter(f"weight_ih_l1{end}").zero_()
    x = torch.randn(5, 2, 3, dtype=D)
    y, _ = layer(x)
    H = layer.hidden_size

    class One:  # the layer as its forward or backward half, whose upper layer sees no x
        def __init__(self, end: str) -> None:
            self.end, self.hidden_size, self.num_layers = end, H, 2

        def named_parameters(self) -> list[tuple[str, Tensor]]:
            width = {f"weight_ih_l1{self.end}": H}
            return [(n, p[:, : width[n]] if n in width else p) for n, p in layer.named_parameters()]

    with torch.no_grad():
        forward, _ = depth_gated(One(""), x)  # type: ignore[arg-type]
        backward, _ = depth_gated(One("_reverse"), x.flip(0), "_reverse")  # type: ignore[arg-type]
    assert relative(y[..., :H], forward) <= 1e-12
    assert relative(y[..., H:], backward.flip(0)) <= 1e-12


@pytest.mark.parametrize("lengths", [None, (2, 0, 4)])
def test_finite_differences_through_the_memory_between_layers(lengths: tuple[int, ...] | None) -> None:
    layer = random_layer("depth-gated-lstm", 2)
    layer.backend = "torch"
    names = [n for n, _ in layer.named_parameters()]
    bound = None if lengths is None else torch.tensor(lengths)

    def call(x: Tensor, h: Tensor, c: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        y, finals = torch.func.functional_call(layer, dict(zip(names, weights, strict=True)), (x, (h, c), bound))
        return (y, *finals)

    leaves = [torch.randn(4, 3, 3, dtype=D), *(torch.randn(2, 3, 4, dtype=D) for _ in "hc"), *layer.parameters()]
    leaves = [v.detach().clone().requires_grad_() for v in leaves]
    torch.autograd.gradcheck(call, leaves, fast_mode=True)
    torch.autograd.gradgradcheck(call, leaves, fast_mode=True)


def test_truncation_and_masks_with_a_memory_from_below() -> None:
    found = []
    for backend in BACKENDS:
        torch.manual_seed(0)
        layer = Recurrent(
            "depth-gated-lstm", 3, 4, 2, truncate=2, recurrent_dropout=0.3, zoneout=0.2, dtype=D, backend=backend
        )
        x = torch.randn(7, 3, 3, dtype=D, requires_grad=True)
        y, _ = layer(x, None, torch.tensor([7, 3, 4]))
        found.append((y, *torch.autograd.grad(y.square().sum(), [x, *layer.parameters()])))
    for a, b in zip(*found, strict=True):
        assert relative(b, a) <= 1e-12


def test_a_single_layer_is_a_peephole_lstm() -> None:
    """What only served the layer below is not there: no depth gate and no parameter of it."""
    layer, plain = random_layer("depth-gated-lstm", 1), Recurrent("peephole-lstm", 3, 4, dtype=D)
    assert {n: p.shape for n, p in layer.named_parameters()} == {n: p.shape for n, p in plain.named_parameters()}
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(5, 2, 3, dtype=D)
    assert torch.equal(layer(x)[0], plain(x)[0])


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_steps_at_all(backend: str) -> None:
    layer = random_layer("depth-gated-lstm", 2)
    layer.backend = backend
    y, (h, _) = layer(torch.zeros(3, 2, 3, dtype=D), None, torch.tensor([0, 0]))
    assert not y.any() and not h.any()


def test_what_is_multiplied_by_the_layer_below_is_gone_from_the_lowest() -> None:
    @cell(gates="g d", state="h c", source="test")
    def reaching(g: Expression, d: Gate, h: Expression, c: Expression) -> tuple[Expression, Expression]:
        below = lower("h") + lower("c") * 2
        c = sigmoid(g) * c + project(below, "up") * tanh(d) - below / 3 + 0.5 * unit("bend")
        return tanh(c), c

    lowest = reaching.lowest
    assert lowest.input_gates == ("g",) and not lowest.products and set(lowest.parameters) == {"bend"}
    assert reaching.reads_below == ("h", "c") and lowest.reads_below == ()
    found = []
    for backend in BACKENDS:
        torch.manual_seed(1)
        layer = Recurrent(reaching, 3, 4, 2, dtype=D, backend=backend)
        assert "weight_up_l1" in layer.state_dict() and "weight_up_l0" not in layer.state_dict()
        x = torch.randn(5, 2, 3, dtype=D, requires_grad=True)
        y, _ = layer(x)
        found.append((y, *torch.autograd.grad(y.square().sum(), [x, *layer.parameters()])))
    for a, b in zip(*found, strict=True):
        assert relative(b, a) <= 1e-12


def test_the_layer_below_must_have_that_state() -> None:
    @cell(gates="g", state="h", source="test")
    def strays(g: Expression, h: Expression) -> Expression:
        return tanh(g) + lower("m")

    with pytest.raises(ConfigError, match=r"reads lower\('m'\), which is no state of the layer below. States: h"):
        Recurrent(strays, 3, 4)
