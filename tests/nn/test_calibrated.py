"""Scales of several opinions, against a search over a grid."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from recurra.nn.calibrated import CalibratedSum

N, L = 200, 3


@pytest.mark.parametrize("several", [False, True])
def test_no_other_scales_are_better(several: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.randint(L, (N,), generator=generator)
    Y = F.one_hot(truth, L).float()
    good = 4 * (2 * Y - 1) + 8 * torch.randn(N, L, generator=generator)  # far too sure of itself
    bad = 5 * torch.randn(N, L, generator=generator)
    both = CalibratedSum(2)
    assert torch.equal(both([good, bad]), good + bad)
    both.calibrate([good, bad], Y, several)
    assert 0 < both.scales[1] < both.scales[0] / 1.5

    def cost(scales: torch.Tensor) -> float:
        z = scales[0] * good + scales[1] * bad
        loss = (
            F.binary_cross_entropy_with_logits(z, Y, reduction="sum")
            if several
            else F.cross_entropy(z, truth, reduction="sum")
        )
        return float(loss + scales.log().square().sum())

    least = cost(both.scales)
    for factors in itertools.product((0.9, 1, 1.1), repeat=2):
        assert least <= cost(both.scales * torch.tensor(factors)) + 1e-3


def test_one_example_moves_little() -> None:
    both = CalibratedSum(2)
    both.calibrate([torch.tensor([[50.0, -50]]), torch.tensor([[1.0, 0]])], torch.tensor([[1.0, 0]]), False)
    assert np.allclose(both.scales, 1, atol=0.3)
