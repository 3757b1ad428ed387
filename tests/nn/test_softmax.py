"""The fused softmax loss against torch's own linear layer and cross-entropy."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from recurra.errors import ConfigError
from recurra.nn import softmax
from recurra.nn.softmax import linear_cross_entropy, linear_log_probability
from recurra.types import IGNORED

N, H, V = 13, 5, 11
CHUNKS = [1, 4, 5, N, N + 10, None]
Case = tuple[Tensor, Tensor, Tensor, Tensor]


def case(seed: int = 0, dtype: torch.dtype = torch.float64, n: int = N, h: int = H, v: int = V) -> Case:
    generator = torch.Generator().manual_seed(seed)
    shapes: list[tuple[int, ...]] = [(n, h), (v, h), (v,)]
    x, weight, bias = (torch.randn(s, generator=generator, dtype=torch.float64).to(dtype) for s in shapes)
    leaves = [t.requires_grad_() for t in (x, weight, bias)]
    return leaves[0], leaves[1], leaves[2], torch.randint(v, (n,), generator=generator)


def torchs(x: Tensor, weight: Tensor, bias: Tensor, target: Tensor, chunk: int | None = None) -> Tensor:
    return F.cross_entropy(F.linear(x, weight, bias), target, reduction="sum")


def grads(function: Any, arguments: Case, chunk: int | None = None, scale: float = 1.0) -> list[Tensor]:
    loss = function(*arguments, chunk=chunk)
    return [loss.detach(), *torch.autograd.grad(loss * scale, arguments[:3])]


def assert_close(found: list[Tensor], expected: list[Tensor], tolerance: float) -> None:
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        assert (a - b).abs().max() <= tolerance * b.abs().max()


@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("scale", [1.0, -0.37])
def test_loss_and_gradients_are_torchs(chunk: int | None, scale: float) -> None:
    arguments = case()
    assert_close(grads(linear_cross_entropy, arguments, chunk, scale), grads(torchs, arguments, None, scale), 1e-12)


@pytest.mark.parametrize(("n", "h", "v"), [(1, 1, 2), (1, 3, 1), (70, 17, 131), (3, 2, 2000)])
def test_odd_sizes(n: int, h: int, v: int) -> None:
    arguments = case(1, n=n, h=h, v=v)
    expected = grads(torchs, arguments)
    for chunk in (None, 2):
        for a, b in zip(grads(linear_cross_entropy, arguments, chunk), expected, strict=True):
            assert (a - b).abs().max() <= 1e-12 * max(1.0, float(b.abs().max()))


@pytest.mark.parametrize("chunk", CHUNKS)
def test_ignored_targets_count_for_nothing(chunk: int | None) -> None:
    x, weight, bias, target = case(2)
    target[[0, 3, 4, 12]] = IGNORED
    arguments = (x, weight, bias, target)
    found = grads(linear_cross_entropy, arguments, chunk)
    assert_close(found, grads(torchs, arguments), 1e-12)
    assert not found[1][[0, 3, 4, 12]].any()


@pytest.mark.parametrize("n", [0, 3])
def test_without_a_target_loss_and_gradients_are_zero(n: int) -> None:
    x, weight, bias, _ = case(3, n=n)
    found = grads(linear_cross_entropy, (x, weight, bias, torch.full((n,), IGNORED)))
    assert [t.shape for t in found[1:]] == [x.shape, weight.shape, bias.shape]
    assert not any(t.any() for t in found)


@pytest.mark.parametrize("chunk", [2, 100])
def test_finite_differences(chunk: int) -> None:
    x, weight, bias, target = case(4, n=5, h=3, v=4)
    target[1] = IGNORED

    def loss(*leaves: Tensor) -> Tensor:
        return 0.7 * linear_cross_entropy(*leaves, target, chunk=chunk)

    assert torch.autograd.gradcheck(loss, (x, weight, bias))


@pytest.mark.parametrize(
    "wanted", [(True, False, False), (False, True, False), (False, False, True), (True, False, True)]
)
def test_only_wanted_gradients_are_computed(wanted: tuple[bool, bool, bool]) -> None:
    x, weight, bias, target = case(5)
    for tensor, want in zip((x, weight, bias), wanted, strict=True):
        tensor.requires_grad_(want)
    leaves = [t for t in (x, weight, bias) if t.requires_grad]
    found = torch.autograd.grad(linear_cross_entropy(x, weight, bias, target, chunk=4), leaves)
    assert_close(list(found), list(torch.autograd.grad(torchs(x, weight, bias, target), leaves)), 1e-12)


def test_without_gradients_only_the_loss_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight, bias, target = case(6)
    expected = torchs(x, weight, bias, target).detach()
    wanted: list[tuple[bool, ...]] = []
    run = softmax._run

    def spy(*arguments: Any) -> Any:
        wanted.append(arguments[-1])
        return run(*arguments)

    monkeypatch.setattr(softmax, "_run", spy)
    with torch.no_grad():
        losses = [linear_cross_entropy(x, weight, bias, target, chunk=4)]
    losses.append(linear_cross_entropy(x.detach(), weight.detach(), bias.detach(), target))
    for loss in losses:
        assert not loss.requires_grad
        assert abs(loss - expected) <= 1e-12 * expected
    assert wanted == [(False, False, False)] * 2


def test_a_graph_kept_gives_the_gradient_again() -> None:
    arguments = case(7)
    loss = linear_cross_entropy(*arguments, chunk=5)
    first = torch.autograd.grad(loss, arguments[:3], torch.tensor(2.0, dtype=torch.float64), retain_graph=True)
    kept = [g.clone() for g in first]
    second = torch.autograd.grad(loss, arguments[:3], torch.tensor(-1.0, dtype=torch.float64))
    for a, before, b in zip(first, kept, second, strict=True):
        assert torch.equal(a, before)
        assert torch.allclose(a, -2 * b, rtol=1e-12, atol=0)


def test_second_derivatives() -> None:
    x, weight, bias, target = case(8, n=4, h=3, v=5)
    target[2] = IGNORED

    def loss(*leaves: Tensor) -> Tensor:
        return linear_cross_entropy(*leaves, target).square()

    assert torch.autograd.gradgradcheck(loss, (x, weight, bias))


def test_gradients_with_a_graph_are_those_without() -> None:
    x, weight, bias, target = case(8, torch.float32)
    x = x.detach().bfloat16().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = linear_cross_entropy(x, weight, bias, target)
    with_graph = torch.autograd.grad(loss, (x, weight, bias), create_graph=True)
    assert all(g.requires_grad for g in with_graph)
    assert_close(list(with_graph), list(torch.autograd.grad(loss, (x, weight, bias))), 0.02)


def test_no_overflow_and_no_underflow() -> None:
    x, weight, bias, target = case(9, dtype=torch.float32)
    with torch.no_grad():
        x *= 1000  # most ŷ underflow, and exp(z) alone would overflow
    found, expected = (
        grads(linear_cross_entropy, (x, weight, bias, target), 4),
        grads(torchs, (x, weight, bias, target)),
    )
    assert expected[0] > 1000
    assert_close(found, expected, 1e-6)


def test_float32_is_as_exact_as_torchs() -> None:
    sizes = {"n": 200, "h": 50, "v": 1000}
    exact = grads(torchs, case(10, **sizes))
    single = case(10, torch.float32, **sizes)

    def errors(found: list[Tensor]) -> list[float]:
        return [float((a - b).abs().max() / b.abs().max()) for a, b in zip(found, exact, strict=True)]

    plain = errors(grads(torchs, single))
    for chunk in (None, 64):
        for found, bound in zip(errors(grads(linear_cross_entropy, single, chunk)), plain, strict=True):
            assert found <= 2 * bound + 2e-7


@pytest.mark.parametrize("x_dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("chunk", [64, None])
def test_autocast_products_in_bfloat16_softmax_in_float32(x_dtype: torch.dtype, chunk: int | None) -> None:
    x, weight, bias, target = case(11, torch.float32, n=200, h=50, v=300)
    exact = grads(torchs, (x, weight, bias, target))
    x = x.detach().to(x_dtype).requires_grad_()
    arguments = (x, weight, bias, target)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        plain = grads(torchs, arguments)
        found = grads(linear_cross_entropy, arguments, chunk)
    assert [t.dtype for t in found] == [torch.float32, x_dtype, torch.float32, torch.float32]
    assert abs(found[0] - exact[0]) <= 1e-3 * exact[0]
    for a, b, e in zip(found[1:], plain[1:], exact[1:], strict=True):
        assert (a - e).norm() <= 1.2 * (b - e).norm() <= 0.02 * e.norm()


@pytest.mark.parametrize("layout", ["transposed", "strided"])
def test_inputs_need_not_be_contiguous(layout: str) -> None:
    x, weight, bias, target = case(12)
    if layout == "transposed":
        other = x.detach().t().contiguous().t()
    else:
        other = torch.stack([x.detach()] * 2, 2)[:, :, 0]
    assert not other.is_contiguous()
    arguments = (other.requires_grad_(), weight, bias, target)
    assert_close(grads(linear_cross_entropy, arguments, 4), grads(torchs, (x, weight, bias, target)), 1e-12)


def test_equal_parts_cover_all_rows() -> None:
    for n in range(30):
        for most in range(1, 12):
            rows = softmax._equal_parts(n, most)
            assert 1 <= rows <= most
            parts = [min(rows, n - start) for start in range(0, n, rows)]
            assert sum(parts) == n
            assert len(parts) == -(-n // most)


@pytest.mark.parametrize("chunk", [0, -3])
def test_an_impossible_chunk_is_refused(chunk: int) -> None:
    with pytest.raises(ConfigError, match=rf"chunk = {chunk}, expected 1 or more rows"):
        linear_cross_entropy(*case(), chunk=chunk)


def smoothed(x: Tensor, weight: Tensor, bias: Tensor, target: Tensor, chunk: int | None = None) -> Tensor:
    return F.cross_entropy(F.linear(x, weight, bias), target, reduction="sum", label_smoothing=0.13)


def ours_smoothed(x: Tensor, weight: Tensor, bias: Tensor, target: Tensor, chunk: int | None = None) -> Tensor:
    return linear_cross_entropy(x, weight, bias, target, chunk=chunk, label_smoothing=0.13)


@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("scale", [1.0, -0.37])
def test_label_smoothing_is_torchs(chunk: int | None, scale: float) -> None:
    x, weight, bias, target = case(13)
    target[[1, 7]] = IGNORED
    arguments = (x, weight, bias, target)
    assert_close(grads(ours_smoothed, arguments, chunk, scale), grads(smoothed, arguments, None, scale), 1e-12)
    with torch.no_grad():
        assert torch.allclose(ours_smoothed(*arguments, chunk=chunk), smoothed(*arguments), rtol=1e-12)


def test_label_smoothing_by_hand() -> None:
    x, weight, bias, target = case(14)
    log_p = F.linear(x, weight, bias).log_softmax(1).detach()
    expected = 0.0
    for n in range(N):
        for v in range(V):
            expected -= (0.13 / V + (0.87 if v == target[n] else 0)) * float(log_p[n, v])
    assert ours_smoothed(x, weight, bias, target).item() == pytest.approx(expected, rel=1e-12)


def test_derivatives_with_label_smoothing() -> None:
    x, weight, bias, target = case(15, n=4, h=3, v=5)

    def loss(*leaves: Tensor) -> Tensor:
        return ours_smoothed(*leaves, target, chunk=3).square()

    assert torch.autograd.gradcheck(loss, (x, weight, bias))
    assert torch.autograd.gradgradcheck(loss, (x, weight, bias))
    with_graph = torch.autograd.grad(ours_smoothed(x, weight, bias, target), (x, weight, bias), create_graph=True)
    assert_close(list(with_graph), grads(smoothed, (x, weight, bias, target))[1:], 1e-12)


def test_label_smoothing_under_autocast() -> None:
    x, weight, bias, target = case(16, torch.float32, n=200, h=50, v=300)
    exact = grads(smoothed, (x, weight, bias, target))
    arguments = (x.detach().bfloat16().requires_grad_(), weight, bias, target)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = grads(ours_smoothed, arguments, 64)
    assert [t.dtype for t in found] == [torch.float32, torch.bfloat16, torch.float32, torch.float32]
    assert abs(found[0] - exact[0]) <= 1e-3 * exact[0]
    for a, e in zip(found[1:], exact[1:], strict=True):
        assert (a - e).norm() <= 0.02 * e.norm()


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_impossible_label_smoothing_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match=rf"label_smoothing = {share}, expected from 0 to below 1"):
        linear_cross_entropy(*case(), label_smoothing=share)


@pytest.mark.parametrize("chunk_bytes", [softmax.CHUNK_BYTES, 100])
def test_log_probabilities_of_the_targets(chunk_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(softmax, "CHUNK_BYTES", chunk_bytes)
    monkeypatch.setattr(softmax, "LEAST_ROWS", 1)
    x, weight, bias, target = case(17)
    target[[2, 9]] = IGNORED
    found = linear_log_probability(x, weight, bias, target)
    expected = F.linear(x, weight, bias).log_softmax(1).gather(1, target.clamp(min=0)[:, None])[:, 0]
    expected[[2, 9]] = 0
    assert (found - expected).abs().max() <= 1e-12
    assert not found.requires_grad
    assert linear_log_probability(x[:0], weight, bias, target[:0]).shape == (0,)
