"""Ranges set by errors held out: the quantile by hand, and what they hold."""

from __future__ import annotations

import math

import pytest
import torch

from recurra.errors import ConfigError
from recurra.nn.conformal import Conformal


def test_the_margin_is_the_quantile_of_the_errors_there_are() -> None:
    found = Conformal((50, 90)).build(2, 3)
    torch.manual_seed(0)
    errors = torch.randn(19, 2, 2, 3)
    errors[3:, 1, 1, 2] = math.nan  # three errors alone
    found.fit([errors[:7], errors[7:]])
    for k, level in enumerate((50, 90)):
        for h in range(2):
            for w in range(3):
                known = sorted(e for e in errors[:, k, h, w].tolist() if not math.isnan(e))
                place = min(math.ceil((len(known) + 1) * level / 100), len(known))
                assert float(found.margins[k, h, w]) == pytest.approx(known[place - 1])


def test_a_range_holds_what_it_promises_of_values_alike() -> None:
    torch.manual_seed(1)
    held_out, later = (torch.randn(n, 1, 4, 2).abs() * torch.tensor([1.0, 9.0]) for n in (999, 20_000))
    found = Conformal((80,)).build(4, 2)
    found.fit(held_out.split(100))
    inside = (later <= found.margins).double().mean(0)
    assert bool(((inside - 0.8).abs() < 0.05).all())


def test_levels_are_per_cent() -> None:
    for levels in ((0,), (100,), (80, 80)):
        with pytest.raises(ConfigError, match="expected different whole numbers from 1 to 99"):
            Conformal(levels)
    assert not Conformal(()).build(2, 3).state_dict()
