"""NARX against its equation written out, given and free; least squares against NumPy's. Chunks, padding and gradients:
tests/every."""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from recurra import registry
from recurra.errors import ConfigError
from recurra.nn.narx import Narx
from recurra.types import Lengths, Sizes

B, T, D, W = 3, 9, 2, 2
TANH = {"kind": "tdnn", "delays": 0, "num_layers": 1, "hidden_size": 4}


def made(**settings: Any) -> Narx:
    torch.manual_seed(0)
    core: Narx = registry.construct("core", {"kind": "narx", **settings})
    core.build(Sizes(embedding=D, fields={"target": W})).double()
    with torch.no_grad():
        for parameter in core.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.2)
    return core


def written_out(core: Narx, x: Tensor, given: Tensor) -> Tensor:
    """The equation, for each sequence and step by itself; of `given` what is NaN is the core's own."""
    found = []
    for u, known in zip(x, given, strict=True):
        y: list[Tensor] = []
        said = []
        for t in range(len(u)):
            lags = [y[t - k] if t >= k else torch.zeros(W) for k in range(1, core.output_lags + 1)]
            lags += [u[t - k] if t >= k else torch.zeros(D) for k in range(core.input_lags)]
            v = torch.cat([each.double() for each in lags])
            entries = []
            for d in range(1, core.degree + 1):
                entries += [v[list(rows)].prod() for rows in combinations_with_replacement(range(len(v)), d)]
            z = core.linear.weight @ torch.stack(entries) + core.linear.bias
            if core.net is not None:
                h = torch.tanh(v @ core.net.weight_l0[0] + core.net.bias_l0)
                z = z + core.head.weight @ h
            said.append(z)
            own = z.clamp(-core.bound, core.bound)
            y.append(torch.where(known[t].isnan(), own, known[t]))
        found.append(torch.stack(said))
    return torch.stack(found)


@pytest.mark.parametrize("settings", [{}, {"output_lags": 1, "input_lags": 1, "degree": 3}, {"degree": 2, "net": TANH}])
@pytest.mark.parametrize("known", [0, 4, T])
@torch.no_grad()
def test_is_its_equation(settings: dict[str, Any], known: int) -> None:
    core = made(**settings)
    x, given = (torch.randn(B, T, n, dtype=torch.float64) for n in (D, W))
    given[:, known:] = torch.nan
    y, _ = core(torch.cat((x, given), 2), Lengths(), None)
    assert torch.allclose(y, written_out(core, x, given), atol=1e-12)
    if not known:
        assert torch.equal(core(x, Lengths(), None)[0], y)


@torch.no_grad()
def test_all_given_at_once_are_all_given_step_by_step() -> None:
    """With lengths, and in two halves: the second begins in the state of the first."""
    core, lengths = made(degree=2, net=TANH, input_lags=4), torch.tensor([T, 2, 6])
    x = torch.randn(B, T, D + W, dtype=torch.float64)
    y, state = core(x, Lengths(lengths), None)
    nearly = x.clone()
    nearly[0, -1, -1] = torch.nan  # what the last step is given nothing reads: but now one goes after the other
    again, other = core(nearly, Lengths(lengths), None)
    assert torch.allclose(y, again, atol=1e-12) and torch.allclose(state[0][:, 1:], other[0][:, 1:], atol=1e-12)
    first, between = core(x[:, :4], Lengths(lengths.clamp(max=4)), None)
    second, last = core(x[:, 4:], Lengths((lengths - 4).clamp(min=0)), between)
    assert torch.allclose(torch.cat((first, second), 1), y, atol=1e-12)
    assert torch.allclose(last[0], state[0], atol=1e-12) and torch.allclose(last[1], state[1])


def test_a_simulation_that_runs_away_is_held() -> None:
    core = made(output_lags=1, input_lags=1, bound=3.0)
    with torch.no_grad():
        core.linear.weight.copy_(torch.tensor([[2.0, 0, 1, 0], [0, 0, 0, 1]]))
    y, _ = core(torch.ones(1, 200, D, dtype=torch.float64), Lengths(), None)
    bias = float(core.linear.bias.detach()[0])
    assert y[0, -1, 0].item() == pytest.approx(2 * 3 + 1 + bias) and y.isfinite().all()


def test_least_squares() -> None:
    """Of a system that is one, and of pieces; short ones are left out."""
    core = made(degree=2, output_lags=2, input_lags=2)
    truth = core.linear.weight.detach() * 0.5, core.linear.bias.detach() * 0.1
    with torch.no_grad():
        core.linear.weight.copy_(truth[0])
        core.linear.bias.copy_(truth[1])
    x = torch.randn(4, 60, D, dtype=torch.float64) * 0.5
    y = torch.zeros(4, 60, W, dtype=torch.float64)
    rows, targets = [], []
    draw = torch.Generator().manual_seed(1)
    for t in range(60):
        step = torch.cat((x, y), 2).masked_fill(
            (torch.arange(60) >= t)[:, None] & (torch.arange(D + W) >= D), torch.nan
        )
        with torch.no_grad():
            clean = core(step, Lengths(), None)[0][:, t]
        y[:, t] = clean + 0.1 * torch.randn(clean.shape, generator=draw, dtype=torch.float64)
    for u, out in zip(x, y, strict=True):
        for t in range(2, 60):
            v = torch.cat((out[t - 1], out[t - 2], u[t], u[t - 1])).numpy()
            products = [v[a] * v[b] for a, b in combinations_with_replacement(range(len(v)), 2)]
            rows.append([*v, *products, 1.0])
            targets.append(out[t].numpy())
    weights, *_ = np.linalg.lstsq(np.array(rows), np.array(targets), rcond=None)
    degree, error = core.solve([*zip(x, y, strict=True), (x[0, :2], y[0, :2])])
    assert degree == 2
    assert np.allclose(core.linear.weight.detach().numpy(), weights[:-1].T, atol=1e-8)
    assert np.allclose(core.linear.bias.detach().numpy(), weights[-1], atol=1e-8)
    assert error == pytest.approx(np.sqrt(np.square(np.array(targets) - np.array(rows) @ weights).mean()), rel=1e-6)
    assert core.solve([*zip(x[:, :7], y[:, :7], strict=True)])[0] == 1  # of so few steps no more is learnt
    assert not core.linear.weight[:, 8:].any() and core.linear.weight[:, :8].all()
    core.solve([*zip(x, y, strict=True)], ridge=10.0)
    assert core.linear.weight.square().sum() < np.square(weights[:-1]).sum()
    with pytest.raises(ConfigError, match=r"no training series is longer than the 2 steps"):
        core.solve([(x[0, :2], y[0, :2])])


def test_what_it_refuses() -> None:
    for settings, said in (
        ({"output_lags": 0}, r"core\.output_lags = 0"),
        ({"degree": 0}, r"core\.degree = 0"),
        ({"bound": 0.0}, r"core\.bound = 0\.0"),
        ({"net": {"kind": "recurrent", "bidirectional": True}}, "also reads from the end"),
        ({"net": {"kind": "tdnn", "delay": 0}}, "delay"),
    ):
        with pytest.raises(ConfigError, match=said):
            registry.construct("core", {"kind": "narx", **settings})
    with pytest.raises(ConfigError, match=r"core\.degree = 5 makes [\d,]+ products of 40 lagged numbers"):
        registry.construct("core", {"kind": "narx", "degree": 5, "output_lags": 10, "input_lags": 10}).build(
            Sizes(embedding=2, fields={"target": 2})
        )
