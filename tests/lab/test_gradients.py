"""Slopes that are known, growth before decay, and bounds that hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from recurra.errors import ConfigError
from recurra.lab.gradients import Decay, decay, decays
from recurra.lab.matrices import non_normal, orthogonal
from recurra.lab.memory import trials
from recurra.lab.networks import layer


@pytest.fixture(scope="module")
def found() -> dict[tuple[str, str, str], Decay]:
    every = decays(["rnn-tanh", "gru", "lstm", "irnn"], lags=60, hidden=16, seed=3)
    return {(one.group, one.network, one.state): one for one in every}


@pytest.mark.parametrize("scale", [0.9, 1.0, 1.1])
def test_slope_is_the_logarithm_of_the_scale(found: dict, scale: float) -> None:
    one = found["linear", f"W = {scale} Q", "h"]
    assert one.expected == math.log(scale)
    assert abs(one.slope - math.log(scale)) < 1e-6
    assert one.norms == pytest.approx(scale ** np.arange(61.0), rel=1e-9)
    assert one.bound == pytest.approx(one.norms, rel=1e-9)  # an orthogonal matrix reaches it


def test_a_non_normal_network_s_gradient_grows_and_then_vanishes(found: dict) -> None:
    one = found["linear", "non-normal W", "h"]
    assert one.norm > 2 and one.radius == pytest.approx(0.9, abs=1e-6)
    assert 3 <= one.peak <= 9 and one.norms[one.peak] > 2
    assert one.norms[-1] < 0.05
    late = np.diff(np.log(one.norms[-6:]))
    assert late == pytest.approx(math.log(0.9), abs=0.01)


def test_seen_far_enough_it_is_said_to_vanish() -> None:
    network = layer("rnn-identity", 2, 4, dtype=torch.float64, bias=False)
    network.get_parameter("weight_hh_l0").data.copy_(non_normal(4, 0))
    (one,) = decay(network, "it", "linear", lags=120)
    assert one.verdict == "vanishes" and one.horizon is not None and one.horizon > one.peak > 1


def test_its_norms_are_those_of_the_powers_of_its_matrix() -> None:
    matrix = non_normal(6, 1)
    powers = [torch.linalg.matrix_norm(torch.linalg.matrix_power(matrix, k), 2).item() for k in range(40)]
    assert int(np.argmax(powers)) == 6
    assert powers[39] < 1 < powers[1] == pytest.approx(2.314, abs=1e-3)
    assert torch.linalg.eigvals(matrix).abs().max().item() == pytest.approx(0.9, abs=1e-9)
    q = orthogonal(5, 2)
    assert torch.allclose(q @ q.T, torch.eye(5, dtype=torch.float64), atol=1e-12)


def test_tanh_stays_under_its_bound(found: dict) -> None:
    bounded = [one for one in found.values() if one.bound is not None]
    assert {one.group for one in bounded} == {"linear", "tanh", "cells at their start"}
    assert all((one.norms <= one.bound * (1 + 1e-9)).all() for one in bounded)
    assert found["tanh", "W = 1.1 Q", "h"].slope < math.log(1.1)


def test_forget_bias_keeps_more(found: dict) -> None:
    shut, opened = (found["cells at their start", f"lstm, forget bias {bias}", "c"] for bias in (0, 1))
    assert opened.slope > shut.slope + 0.1
    starts = [one for one in found.values() if one.group == "cells at their start"]
    assert max(starts, key=lambda one: one.slope).network == "irnn"
    assert [one.network for one in starts].count("gru") == 1
    plain = opened.as_json()
    assert plain["horizon"] == opened.horizon and len(plain["norms"]) == 61 and plain["bound"] is None


def test_without_a_forget_bias_a_cell_stands_once() -> None:
    every = list(decays(["lstm"], lags=4, hidden=4, forget=0.0))
    assert [(one.network, one.state) for one in every if one.group == "cells at their start"] == [
        ("lstm", "h"),
        ("lstm", "c"),
    ]


def test_norms_are_those_of_derivatives_one_at_a_time() -> None:
    torch.manual_seed(5)
    network = layer("rnn-tanh", 3, 4, dtype=torch.float64)
    (one,) = decay(network, "it", "cells", lags=5, seed=7)
    draw = torch.Generator().manual_seed(8)
    x = torch.randn(6, 8, 3, dtype=torch.float64, generator=draw)
    errors = torch.randn(8, 4, dtype=torch.float64, generator=draw)
    wih, whh, bih, bhh = (p.detach() for p in network.parameters())
    states = [torch.zeros(8, 4, dtype=torch.float64, requires_grad=True)]
    for step in x:
        states.append(torch.tanh(step @ wih.T + bih + states[-1] @ whh.T + bhh))
    gradients = torch.autograd.grad((states[-1] * errors).sum(), states[1:])
    norms = torch.stack([g.norm(dim=1).log().mean().exp() for g in gradients]).flip(0)
    assert one.norms == pytest.approx((norms / norms[0]).numpy(), rel=1e-9)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: list(decays(lags=3)), "lags = 3, expected 4 or more"),
        (lambda: list(decays(lags=8000)), "lags = 8000, expected 3000 at most: what grows by a tenth a step"),
        (lambda: list(decays(seed=-1)), "seed = -1, expected a whole number from 0 to 2⁶³ − 2"),
        (lambda: trials(["adding"], ["gru"], [4], [True], seed=2**63), "seed = 9223372036854775808, expected a whole"),
        (lambda: list(decays(hidden=1)), "hidden = 1, expected 2 or more"),
        (lambda: list(decays(hidden=5)), "5 units, expected an even number"),
        (lambda: layer("light-lstm-without", 2, 2), "unknown cell"),
    ],
)
def test_what_is_refused(call, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        call()


def test_a_gradient_beyond_all_numbers_is_said() -> None:
    network = layer("rnn-identity", 2, 4, dtype=torch.float64, bias=False)
    network.get_parameter("weight_hh_l0").data.copy_(1e9 * orthogonal(4, 0))
    (one,) = decay(network, "it", "linear", lags=12)
    assert one.norms == pytest.approx(1e9 ** np.arange(13.0)) and one.bound == pytest.approx(one.norms)
    with pytest.raises(ConfigError, match=r"it: (1[78]) steps back its gradient is too large for float64. Look less"):
        decay(network, "it", "linear", lags=50)


def test_forget_bias_is_added_to_the_forget_gate_alone() -> None:
    for cell, name, rows in (("lstm", "bias_ih_l0", slice(3, 6)), ("layer-norm-lstm", "shift_f_l0", slice(0, 3))):
        torch.manual_seed(0)
        before = dict(layer(cell, 2, 3).state_dict())
        torch.manual_seed(0)
        after = dict(layer(cell, 2, 3, forget=1.5).state_dict())
        before[name][rows] += 1.5
        assert all(torch.equal(before[key], after[key]) for key in before)
    with pytest.raises(ConfigError, match="has no bias to start at 1"):
        layer("lstm", 2, 3, forget=1.0, bias=False)
