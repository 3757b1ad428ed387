"""Products of factors rounded to bfloat16, whatever the processor multiplies by itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from recurra.engine import short
from recurra.engine.native import products
from recurra.nn import Recurrent
from recurra.nn.softmax import linear_cross_entropy
from recurra.testing.cells import relative

CPU = torch.device("cpu")
PRODUCTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "linear": lambda a, b: F.linear(a, b.t()),
    "matmul": lambda a, b: a @ b,
    "mm": torch.mm,
    "method": lambda a, b: a.mm(b),
    "bmm": lambda a, b: torch.bmm(a[None], b[None])[0],
    "addmm": lambda a, b: torch.addmm(torch.zeros(b.shape[1]), a, b),
    "einsum": lambda a, b: torch.einsum("ij,jk->ik", a, b),
    "convolution": lambda a, b: F.conv1d(a.t()[None], b.t()[:, :, None])[0].t(),
}


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that has no products of bfloat16."""
    monkeypatch.setattr(short, "multiplies", lambda device: False)


@pytest.mark.parametrize("limit", ["SSE41", "AVX2", "avx2", "AVX512_CORE"])
def test_what_takes_instructions_away_from_onednn_is_heeded(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    monkeypatch.delenv("DNNL_MAX_CPU_ISA", raising=False)
    assert short.multiplies(CPU)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    assert not short.multiplies(CPU)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")
    assert short.multiplies(CPU)


@pytest.mark.parametrize("name", PRODUCTS)
def test_torchs_products_are_made_of_rounded_factors_in_float32(name: str, without: None) -> None:
    torch.manual_seed(0)
    a, b = torch.randn(5, 7, requires_grad=True), torch.randn(7, 3, requires_grad=True)
    context = short.autocast(CPU)
    for _ in range(2):  # it can be entered again
        with context:
            assert torch.is_autocast_enabled("cpu")
            found = PRODUCTS[name](a, b)
            with torch.autocast("cpu", enabled=False):
                assert torch.equal(PRODUCTS[name](a, b), PRODUCTS[name](a.detach(), b.detach()))
    assert not torch.is_autocast_enabled("cpu")
    left, right = (t.detach().bfloat16().double() for t in (a, b))
    assert found.dtype == torch.float32 and relative(found, left @ right) < 1e-6
    g = torch.randn_like(found)
    grad_a, grad_b = torch.autograd.grad(found, (a, b), g)
    assert relative(grad_a, g.double() @ right.t()) < 5e-3 and relative(grad_b, left.t() @ g.double()) < 5e-3


def test_a_weight_is_rounded_once_and_anew_after_it_has_changed(without: None) -> None:
    layer, x = torch.nn.Linear(3, 2, bias=False), torch.eye(3)
    context = short.autocast(CPU)
    for _ in range(2):
        with context:
            with torch.no_grad():
                layer(x)
            y = layer(x)
            assert torch.equal(y, layer.weight.t().bfloat16().float())
        y.sum().backward()  # what was rounded without gradients is not taken for it
        with torch.no_grad():
            layer.weight.add_(1)
    assert layer.weight.grad is not None


@pytest.mark.parametrize("layer", [torch.nn.LSTM(3, 4), torch.nn.GRU(3, 4), torch.nn.RNN(3, 4)])
def test_torchs_own_layers_run_in_float32(layer: torch.nn.Module, without: None) -> None:
    x = torch.randn(5, 2, 3)
    with short.autocast(CPU):
        y = layer(x)[0]
    assert y.dtype == torch.float32 and torch.equal(y, layer(x.bfloat16().float())[0])


def test_attention(without: None) -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 1, 2, 5, 4).unbind()
    with short.autocast(CPU):
        found = F.scaled_dot_product_attention(q, k, v)
    assert found.dtype == torch.float32
    exact = F.scaled_dot_product_attention(*(t.bfloat16().double() for t in (q, k, v)))
    assert relative(found, exact) < 1e-6


@pytest.mark.parametrize("backend", ["torch", "native"])
@pytest.mark.parametrize("batch", [2, 9])
def test_a_layer_means_the_same_with_and_without_such_instructions(
    backend: Any, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    layer, x = Recurrent("gru", 12, 70, backend=backend), torch.randn(30, batch, 12, requires_grad=True)
    g = torch.randn(30, batch, 70)

    def found() -> list[Tensor]:
        with torch.autocast("cpu", torch.bfloat16):
            y = layer(x)[0]
        return [y, *torch.autograd.grad((y.float() * g).sum(), (x, *layer.parameters()))]

    own = found()
    for module in (short, products):
        monkeypatch.setattr(module, "multiplies", lambda device: False)
    for a, b in zip(found(), own, strict=True):
        assert relative(a.float(), b.float()) < 2e-2


def test_the_softmax_rounds_as_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    x, weight, bias = (torch.randn(*shape, requires_grad=True) for shape in ((9, 6), (11, 6), (11,)))
    target = torch.randint(11, (9,))

    def found() -> list[Tensor]:
        with torch.autocast("cpu", torch.bfloat16):
            loss = linear_cross_entropy(x, weight, bias, target, chunk=4)
        return [loss, *torch.autograd.grad(loss, (x, weight, bias))]

    own = found()
    monkeypatch.setattr(short, "multiplies", lambda device: False)
    rounded = [t.detach().bfloat16().double().requires_grad_() for t in (x, weight)]
    exact = F.cross_entropy(F.linear(*rounded, bias.double()), target, reduction="sum")
    for a, b in zip(found(), own, strict=True):
        assert relative(a, b) < 2e-2
    assert math.isclose(float(found()[0].detach()), float(exact.detach()), rel_tol=1e-6)
