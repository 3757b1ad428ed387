"""Which code runs behind a convolution over pictures: native, or torch's own operations where that cannot be."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from recurra.engine.native import build, pictures
from recurra.nn import pictures as written
from recurra.nn.columns import ColumnEmbedder
from recurra.types import Batch, Lengths, Sizes

ENDS = torch.tensor([6, 3])


def tensors(dtype: torch.dtype = torch.float64, seed: int = 3) -> list[Tensor]:
    """x, weight, bias, added."""
    torch.manual_seed(seed)
    return [torch.randn(s, dtype=dtype) for s in ((2, 3, 6, 4), (3,), (3,), (2, 3, 6, 4))]


def normed(x: Tensor, weight: Tensor, bias: Tensor, added: Tensor) -> Tensor:
    return written.normed(x, ENDS, weight, bias, 1e-5, (2, 2), added)


def in_torch(x: Tensor, weight: Tensor, bias: Tensor, added: Tensor) -> Tensor:
    return written.rectified(written._norm(x, ENDS, weight, bias, 1e-5), ENDS, (2, 2), added)


@pytest.fixture
def native(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls of native code."""
    if (reason := build.no_compiler()) is not None:
        pytest.skip(reason)
    calls: list[str] = []

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any) -> Any:
            calls.append(call.__name__)
            return call(*given)

        return run

    for call in (pictures.forward, pictures.backward):
        monkeypatch.setattr(pictures, call.__name__, counted(call))
    return calls


def test_first_and_second_derivatives(native: list[str]) -> None:
    leaves = [t.requires_grad_() for t in tensors()]
    assert torch.autograd.gradcheck(normed, leaves, fast_mode=True)
    assert torch.autograd.gradgradcheck(normed, leaves, fast_mode=True)
    assert {*native} == {"forward", "backward"}


@pytest.mark.parametrize("ends", [(6, 3), (5, 1), (0, 6)])
def test_what_was_added_may_be_below_what_stands_behind_the_end(
    ends: tuple[int, int], native: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The largest of pixels that are there and of others, which are 0."""
    monkeypatch.setattr(sys.modules[__name__], "ENDS", torch.tensor(ends))
    for seed in range(10):
        leaves = [t.requires_grad_() for t in tensors(seed=seed)]
        with torch.no_grad():
            leaves[3].sub_(1)
        mine, theirs = normed(*leaves), in_torch(*leaves)
        assert torch.allclose(mine, theirs, rtol=1e-12, atol=1e-12)
        arriving = torch.randn_like(mine)
        for found, expected in zip(
            torch.autograd.grad(mine, leaves, arriving), torch.autograd.grad(theirs, leaves, arriving), strict=True
        ):
            assert torch.allclose(found, expected, rtol=1e-9, atol=1e-10)
    assert native


@pytest.mark.parametrize("learnt", [(0,), (1, 2), (3,)])
def test_gradients_of_some(learnt: tuple[int, ...], native: list[str]) -> None:
    leaves = [t.requires_grad_(k in learnt) for k, t in enumerate(tensors())]
    wanted = [leaves[k] for k in learnt]
    for mine, theirs in zip(
        torch.autograd.grad(normed(*leaves).square().sum(), wanted),
        torch.autograd.grad(in_torch(*leaves).square().sum(), wanted),
        strict=True,
    ):
        assert torch.allclose(mine, theirs, atol=1e-12)
    again = torch.autograd.grad(normed(*leaves).square().sum(), wanted, create_graph=True)
    assert all(grad.requires_grad for grad in again) and native == ["forward", "backward", "forward"]


def test_many_gradients_at_once_and_the_transforms_of_torch(native: list[str]) -> None:
    leaves = [t.requires_grad_() for t in tensors()]
    y = normed(*leaves)
    arriving = torch.randn(5, *y.shape, dtype=y.dtype)
    found = torch.autograd.grad(y, leaves, arriving, is_grads_batched=True)
    for k in range(5):
        expected = torch.autograd.grad(in_torch(*leaves), leaves, arriving[k])
        assert all(torch.allclose(f[k], e, atol=1e-12) for f, e in zip(found, expected, strict=True))
    jacobian = torch.func.jacrev(normed)(*leaves)
    assert torch.allclose(jacobian, torch.func.jacrev(in_torch)(*leaves), atol=1e-12)
    assert native == ["forward"]


def test_what_it_gives_may_be_changed_in_place(native: list[str]) -> None:
    leaves = [t.requires_grad_() for t in tensors()]
    found, expected = (torch.autograd.grad(run(*leaves).mul_(2).sum(), leaves) for run in (normed, in_torch))
    assert all(torch.allclose(f, e, atol=1e-12) for f, e in zip(found, expected, strict=True)) and native


def test_types_that_native_code_has_not(native: list[str]) -> None:
    given = tensors(torch.bfloat16)
    assert torch.equal(normed(*given), in_torch(*given)) and normed(*given).dtype == torch.bfloat16
    meta = written.normed(*(t.to("meta") for t in (given[0], ENDS, *given[1:3])), 1e-5, (1, 2))
    assert meta.shape == (2, 3, 6, 2) and not native


def test_without_native_code_it_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sentences: list[str] = []
    monkeypatch.setattr(build, "notify", sentences.append)
    given = tensors()
    with monkeypatch.context() as patch:
        build.notify_once.cache_clear()
        patch.setattr(build, "no_compiler", lambda: "there is no C++ compiler (g++)")
        assert torch.equal(normed(*given), in_torch(*given)) and torch.equal(normed(*given), in_torch(*given))
    with monkeypatch.context() as patch:
        patch.setattr(build, "no_compiler", lambda: None)

        def fails(*_: Any, **__: Any) -> None:
            raise build.BuildError("g++ could not compile pictures-float.so (exit code 1)\nmore")

        patch.setattr(build, "library", fails)
        pictures.library.cache_clear()
        assert torch.equal(normed(*given), in_torch(*given))
    build.notify_once.cache_clear()
    slower = "; nets over columns run on torch's operations, which is slower"
    assert sentences == [
        f"there is no C++ compiler (g++){slower}",
        f"g++ could not compile pictures-float.so (exit code 1){slower}",
    ]


def test_a_program_is_made_of_torchs_operations(native: list[str]) -> None:
    torch.manual_seed(0)
    embedder = ColumnEmbedder(channels=(4, 6), depth=2, size=5).build(Sizes(width=9)).eval()

    class Read(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedder = embedder

        def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
            return self.embedder(Batch({"input": x}, Lengths(lengths)))[0]

    x, lengths = torch.rand(2, 8, 9), torch.tensor([8, 5])
    expected = Read()(x, lengths)
    assert native == ["forward"] * 4
    exported = torch.export.export(Read(), (x, lengths)).module()
    for program in (exported, torch.jit.trace(Read(), (x, lengths), check_trace=False)):
        assert torch.allclose(program(x, lengths), expected, atol=1e-5)
    assert native == ["forward"] * 4
