"""Dropout with one mask a sequence: values, gradients, shares."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from recurra.nn.dropout import draw_mask, dropout

T, B, D = 5, 30, 40


def test_variational_dropout_is_the_same_at_all_time_steps() -> None:
    x = torch.randn(T, B, D, dtype=torch.float64, requires_grad=True)
    torch.manual_seed(2)
    y = dropout(x, 0.3, True, variational=True)
    torch.manual_seed(2)
    mask = draw_mask((B, D), 0.3, x)
    assert torch.equal(y, x * mask)
    (grad,) = torch.autograd.grad(y.sin().sum(), x)
    assert torch.equal(grad, y.cos() * mask)
    assert len({tuple(row) for row in mask.tolist()}) == B, "every sequence has a mask of its own"


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_masks_keep_the_mean(dtype: torch.dtype) -> None:
    mask = draw_mask((300, 300), 0.2, torch.zeros((), dtype=dtype))
    assert mask.dtype == dtype
    assert mask.unique().tolist() == [0.0, torch.tensor(1 / 0.8).to(dtype).item()]
    assert mask.double().mean().item() == pytest.approx(1, abs=0.01)


def test_plain_dropout_is_torchs() -> None:
    x = torch.randn(T, B, D)
    torch.manual_seed(4)
    y = dropout(x, 0.5, True)
    torch.manual_seed(4)
    assert torch.equal(y, F.dropout(x, 0.5))


@pytest.mark.parametrize("variational", [False, True])
def test_outside_training_and_without_a_share_nothing_is_dropped_or_drawn(variational: bool) -> None:
    x, before = torch.randn(T, B, D), torch.get_rng_state()
    assert torch.equal(dropout(x, 0.5, False, variational), x)
    assert torch.equal(dropout(x, 0.0, True, variational), x)
    assert torch.equal(torch.get_rng_state(), before)
