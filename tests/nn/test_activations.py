"""Means of squares over valid steps, against loops over the sequences."""

from __future__ import annotations

import pytest
import torch

from recurra.nn.activations import mean_square, mean_square_change

LENGTHS = [4, 0, 6, 1]


def states(lengths: list[int] | None = None) -> torch.Tensor:
    y = torch.randn(6, 4, 3, dtype=torch.float64)
    for b, n in enumerate(lengths or ()):
        y[n:, b] = 0
    return y.requires_grad_()


@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_means_are_over_the_steps_of_the_sequences(lengths: list[int] | None) -> None:
    y = states(lengths)
    given = None if lengths is None else torch.tensor(lengths)
    own = [y[: lengths[b] if lengths else 6, b] for b in range(4)]
    squares = torch.cat([h.square().flatten() for h in own])
    changes = torch.cat([(h[1:] - h[:-1]).square().flatten() for h in own])
    for found, entries in ((mean_square(y, given), squares), (mean_square_change(y, given), changes)):
        assert torch.allclose(found, entries.mean(), rtol=1e-14)
        a, b = (torch.autograd.grad(value, y, retain_graph=True)[0] for value in (found, entries.mean()))
        assert torch.allclose(a, b, rtol=1e-13)


def test_where_there_is_no_step_or_no_neighbour_it_is_zero() -> None:
    y = torch.randn(1, 4, 3, requires_grad=True)
    assert mean_square_change(y).item() == 0
    assert mean_square_change(torch.randn(3, 2, 3), torch.tensor([1, 0])).item() == 0
    assert mean_square(torch.zeros(2, 2, 3), torch.tensor([0, 0])).item() == 0
    assert not torch.autograd.grad(mean_square_change(y), y)[0].any()


def test_short_floats_are_summed_in_float32() -> None:
    y = torch.randn(50, 8, 16).bfloat16()
    found = mean_square(y)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(y.double().square().mean().item(), rel=1e-5)
