"""Pooling against a loop over the sequences; lengths, empty sequences, gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from recurra.errors import ConfigError
from recurra.nn.pooling import Pooling

KINDS = ("last", "mean", "max", "attention", "all", "middle")
LENGTHS = (5, 0, 1, 3)


def one(pooling: Pooling, y: Tensor) -> Tensor:
    """The pooled vector of one sequence [n, H] that has steps."""
    H = y.shape[1]
    last = torch.cat((y[-1, : H // 2], y[0, H // 2 :])) if pooling.both else y[-1]
    if pooling.kind == "all":
        return torch.cat((y.mean(0), y.max(0).values, last))
    if pooling.kind == "last":
        return last
    if pooling.kind == "middle":
        return torch.cat((y[(len(y) - 1) // 2], y[len(y) // 2]))
    if pooling.kind == "mean":
        return torch.stack(list(y)).mean(0)
    if pooling.kind == "max":
        return y.max(0).values
    weight, bias = pooling.projection.weight, pooling.projection.bias
    a = torch.stack([pooling.question @ torch.tanh(weight @ v + bias) for v in y])
    a = a.exp() / a.exp().sum()
    return (a[:, None] * y).sum(0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("lengths", [LENGTHS, (0, 0, 0, 0), None])
def test_is_the_loop_and_reads_nothing_behind_the_ends(kind: str, both: bool, lengths: tuple[int, ...] | None) -> None:
    pooling = Pooling(kind, 6, both).double()  # type: ignore[arg-type]
    y = torch.randn(4, 5, 6, dtype=torch.float64)
    for b, n in enumerate(lengths or ()):
        y[b, n:] = 0 if kind in ("last", "all") else float("nan")
    pooled = pooling(y, None if lengths is None else torch.tensor(lengths))
    for b, n in enumerate(lengths or (5,) * 4):
        expected = one(pooling, y[b, :n]) if n else torch.zeros(pooling.output_size, dtype=torch.float64)
        assert torch.allclose(pooled[b], expected, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients(kind: str) -> None:
    pooling = Pooling(kind, 4, kind in ("last", "all")).double()  # type: ignore[arg-type]
    y = torch.randn(4, 5, 4, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor(LENGTHS)
    assert torch.autograd.gradcheck(lambda v: pooling(v, lengths), (y,))
    pooling(y, lengths).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in pooling.parameters())
    assert y.grad is not None and y.grad.isfinite().all()
    for b, n in enumerate(LENGTHS):
        assert not y.grad[b, n:].any()


@pytest.mark.parametrize("kind", KINDS)
def test_no_steps_at_all(kind: str) -> None:
    pooling = Pooling(kind, 4)  # type: ignore[arg-type]
    pooled = pooling(torch.randn(3, 0, 4), torch.zeros(3, dtype=torch.int64))
    assert torch.equal(pooled, torch.zeros(3, {"all": 12, "middle": 8}.get(kind, 4)))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"unknown pooling 'atention': did you mean 'attention'\? Known: last, mean"):
        Pooling("atention", 4)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"size = 5 is odd, expected two halves"):
        Pooling("last", 5, both=True)


def test_the_middle_is_not_known_before_the_end() -> None:
    with pytest.raises(ConfigError, match=r"known at the end of a sequence only\. Pool by"):
        Pooling("middle", 6).follow(torch.randn(4, 6))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "middle"])
def test_step_by_step_is_the_whole(kind: str) -> None:
    pooling = Pooling(kind, 6).double()  # type: ignore[arg-type]
    y, memory = torch.randn(4, 7, 6, dtype=torch.float64), None
    for n in range(1, 8):
        pooled, memory = pooling.follow(y[:, n - 1], memory)
        assert torch.allclose(pooled, pooling(y[:, :n]), atol=1e-12)
    assert all(m.shape[0] == 4 and m.shape[1] in (1, 6) for m in memory or ())
