"""The adaptive softmax against torch's own of the same weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from recurra.errors import ConfigError
from recurra.nn import softmax
from recurra.nn.emissions.adaptive import AdaptiveSoftmax
from recurra.types import IGNORED

N, H, V = 40, 12, 31
SHAPES: list[tuple[tuple[int, ...], float]] = [((5,), 2.0), ((4, 11), 2.0), ((1, 2, 30), 1.5), ((6, 20, 27), 1.0)]


def made(cutoffs: tuple[int, ...] = (4, 11), factor: float = 2.0, seed: int = 0) -> AdaptiveSoftmax:
    torch.manual_seed(seed)
    output = AdaptiveSoftmax(cutoffs, factor).build(H, V).double()
    with torch.no_grad():
        for weights in output.parameters():
            weights.normal_()
    return output


def torchs(output: AdaptiveSoftmax) -> nn.AdaptiveLogSoftmaxWithLoss:
    """torch's, of the same weights."""
    oracle = nn.AdaptiveLogSoftmaxWithLoss(H, V, [*output.cutoffs], output.factor, head_bias=True).double()
    with torch.no_grad():
        for theirs, own in zip(oracle.parameters(), ours(output), strict=True):
            theirs.copy_(own)
    return oracle


def ours(output: AdaptiveSoftmax) -> list[nn.Parameter]:
    """Our weights in the order of torch's."""
    clusters = [weights for pair in zip(output.down, output.up, strict=True) for weights in pair]
    return [output.head, output.bias, *clusters]


def rows(seed: int = 1, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    torch.manual_seed(seed)
    return torch.randn(N, H, dtype=dtype).requires_grad_(), torch.randint(V, (N,))


def assert_close(found: Any, expected: Any, tolerance: float = 1e-12) -> None:
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        assert (a - b).abs().max() <= tolerance * b.abs().max()


@pytest.mark.parametrize(("cutoffs", "factor"), SHAPES)
@pytest.mark.parametrize("chunk_bytes", [softmax.CHUNK_BYTES, 200])
def test_loss_and_all_gradients_are_torchs(
    cutoffs: tuple[int, ...], factor: float, chunk_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(softmax, "CHUNK_BYTES", chunk_bytes)
    monkeypatch.setattr(softmax, "LEAST_ROWS", 1)
    output, (x, target) = made(cutoffs, factor), rows()
    oracle = torchs(output)
    loss, expected = output.loss(x, target), -oracle(x, target).output.sum()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    leaves, theirs = [x, *ours(output)], [x, *oracle.parameters()]
    assert len(leaves) == 3 + 2 * len(cutoffs)
    # torch's leaves a cluster without a target out of the graph
    oracles = torch.autograd.grad(-0.3 * expected, theirs, materialize_grads=True)
    assert_close(torch.autograd.grad(-0.3 * loss, leaves), oracles)


@pytest.mark.parametrize(("cutoffs", "factor"), SHAPES)
def test_log_probabilities_are_torchs_and_a_distribution(cutoffs: tuple[int, ...], factor: float) -> None:
    output, (x, target) = made(cutoffs, factor), rows()
    log_p = output.distribution(x)["log_probabilities"]
    assert_close([log_p], [torchs(output).log_prob(x)])
    assert torch.allclose(log_p.exp().sum(1), torch.ones(N).double(), rtol=1e-12)
    assert_close([output.log_p(x, target)], [log_p.gather(1, target[:, None])[:, 0]])
    assert not output.log_p(x, target).requires_grad


def test_padding_counts_for_nothing() -> None:
    output, (x, target) = made(), rows()
    kept = torch.rand(N) < 0.6
    padded = target.masked_fill(~kept, IGNORED)
    leaves = [x, *output.parameters()]
    found, alone = output.loss(x, padded), output.loss(x[kept], target[kept])
    assert_close([found], [alone])
    assert_close(torch.autograd.grad(found, leaves), torch.autograd.grad(alone, leaves))
    log_p = output.log_p(x, padded)
    assert not log_p[~kept].any()
    assert_close([log_p.sum()], [-found])


def test_a_cluster_without_a_target_and_no_target_at_all() -> None:
    output, (x, _) = made(), rows()
    leaves = [x, *ours(output)]
    found = torch.autograd.grad(output.loss(x, torch.full((N,), 2)), leaves)
    assert not any(grad.any() for grad in found[3:])
    assert all(grad.any() for grad in found[:3])
    loss = output.loss(x, torch.full((N,), IGNORED))
    assert loss == 0
    assert not any(grad.any() for grad in torch.autograd.grad(loss, leaves))


def test_finite_differences() -> None:
    output, (x, target) = made((3, 9), 3.0), rows()
    x, target = x.detach()[:5].requires_grad_(), target[:5]
    assert torch.autograd.gradcheck(lambda *leaves: output.loss(leaves[0], target), (x, *ours(output)))


def test_bfloat16_products_under_autocast() -> None:
    output, (x, target) = made().float(), rows(dtype=torch.float32)
    leaves = [x, *ours(output)]
    exact = output.loss(x, target)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = output.loss(x, target)
    assert found.dtype == torch.float32
    assert abs(found - exact) <= 1e-2 * exact
    for a, b in zip(torch.autograd.grad(found, leaves), torch.autograd.grad(exact, leaves), strict=True):
        assert a.dtype == torch.float32
        assert (a - b).norm() <= 0.05 * b.norm()


def test_first_weights() -> None:
    output = AdaptiveSoftmax((4, 11), 2.0).build(16, V)
    assert [tuple(weights.shape) for weights in ours(output)] == [(6, 16), (6,), (8, 16), (7, 8), (4, 16), (20, 4)]
    assert not output.bias.any()
    assert 0.15 < output.head.abs().max() <= 0.25
    assert 0.4 < output.up[1].abs().max() <= 0.5
    assert 0.08 < AdaptiveSoftmax((4, 11), 2.0).build(16, V, 0.1).up[1].abs().max() <= 0.1


@pytest.mark.parametrize(
    ("cutoffs", "factor", "message"),
    [
        ((), 4.0, r"task.softmax.cutoffs = \[\], expected rising numbers of symbols such as \[2000, 10000\]"),
        ((9, 9), 4.0, r"task.softmax.cutoffs = \[9, 9\], expected rising"),
        ((0, 9), 4.0, r"task.softmax.cutoffs = \[0, 9\], expected rising"),
        ((5,), 0.5, r"task.softmax.factor = 0.5, expected 1 \(clusters as wide as the head\) or more"),
        ((5, 31), 2.0, r"cutoffs = \[5, 31\], expected numbers below the vocabulary's 31 symbols. Lower them, or set"),
        ((5, 9, 20), 4.0, r"task.softmax.factor = 4 leaves cluster 3 no width: 12 / 4\^3 is below 1. Lower it, or"),
    ],
)
def test_impossible_settings_are_refused(cutoffs: tuple[int, ...], factor: float, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        AdaptiveSoftmax(cutoffs, factor).build(H, V)
