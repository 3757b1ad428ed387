"""Optimisers against their update rules in plain tensors; clipping against torch's and against its definition."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from recurra import registry
from recurra.errors import ConfigError
from recurra.training.optimisers import RATE as RATE_KEY
from recurra.training.optimisers import normalise_and_clip, set_rate

RATE = 0.05
Rule = Callable[[Tensor, list[Tensor], float], Tensor]


def sgd(w: Tensor, gradients: list[Tensor], decay: float) -> Tensor:
    for g in gradients:
        w = w - RATE * (g + decay * w)
    return w


def momentum(w: Tensor, gradients: list[Tensor], decay: float) -> Tensor:
    v = torch.zeros_like(w)
    for g in gradients:
        v = 0.8 * v + g + decay * w
        w = w - RATE * v
    return w


def nesterov(w: Tensor, gradients: list[Tensor], decay: float) -> Tensor:
    v = torch.zeros_like(w)
    for g in gradients:
        v = 0.8 * v + g + decay * w
        w = w - RATE * (g + decay * w + 0.8 * v)
    return w


def adam(w: Tensor, gradients: list[Tensor], decay: float, decoupled: bool = False) -> Tensor:
    m, v = torch.zeros_like(w), torch.zeros_like(w)
    for t, g in enumerate(gradients, start=1):
        if decoupled:
            w = w * (1 - RATE * decay)
        else:
            g = g + decay * w
        m, v = 0.8 * m + 0.2 * g, 0.95 * v + 0.05 * g * g
        w = w - RATE * (m / (1 - 0.8**t)) / ((v / (1 - 0.95**t)).sqrt() + 1e-8)
    return w


def adamw(w: Tensor, gradients: list[Tensor], decay: float) -> Tensor:
    return adam(w, gradients, decay, decoupled=True)


CASES: list[tuple[dict[str, object], Rule]] = [
    ({"kind": "sgd"}, sgd),
    ({"kind": "momentum", "momentum": 0.8}, momentum),
    ({"kind": "momentum", "momentum": 0.8, "nesterov": True}, nesterov),
    ({"kind": "adam", "betas": [0.8, 0.95]}, adam),
    ({"kind": "adamw", "betas": [0.8, 0.95]}, adamw),
]


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize(("settings", "rule"), CASES)
def test_update_rule(settings: dict[str, object], rule: Rule, decay: float) -> None:
    torch.manual_seed(1)
    matrix, vector = torch.randn(3, 4, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
    gradients = [(torch.randn_like(matrix), torch.randn_like(vector)) for _ in range(4)]
    parameters = [nn.Parameter(matrix.clone()), nn.Parameter(vector.clone())]
    optimiser = registry.construct("optimiser", {**settings, "weight_decay": decay}).build(parameters, RATE)
    for pair in gradients:
        for parameter, gradient in zip(parameters, pair, strict=True):
            parameter.grad = gradient.clone()
        optimiser.step()
    # vectors are never decayed
    expected = [rule(matrix, [g for g, _ in gradients], decay), rule(vector, [g for _, g in gradients], 0.0)]
    torch.testing.assert_close([p.detach() for p in parameters], expected, rtol=1e-9, atol=0)


def test_every_optimiser_is_tested() -> None:
    assert {settings["kind"] for settings, _ in CASES} == set(registry.names("optimiser"))


@pytest.mark.parametrize(("settings", "rule"), CASES)
def test_torchs_fused_step_is_used_on_the_cpu(settings: dict[str, object], rule: Rule) -> None:
    optimiser = registry.construct("optimiser", settings).build([nn.Parameter(torch.randn(2, 2))], RATE)
    assert optimiser.defaults["fused"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "sgd", "weight_decay": -1.0}, "optimiser sgd: weight_decay = -1.0, expected a number that is not"),
        ({"kind": "momentum", "momentum": 1.0}, "optimiser momentum: 1.0 decays a running mean, expected 0 ≤ value"),
        ({"kind": "adam", "betas": [0.9]}, r"optimiser adam: betas = \[0.9\], expected two numbers"),
        ({"kind": "adam", "betas": [0.9, 1.0]}, "optimiser adam: 1.0 decays a running mean"),
        ({"kind": "adamw", "eps": -1.0}, "optimiser adamw: eps = -1.0"),
    ],
)
def test_values_out_of_range_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        registry.construct("optimiser", settings)


def random_gradients() -> list[Tensor]:
    torch.manual_seed(2)
    return [torch.randn(4, 3), torch.randn(7), torch.randn(2, 2, 2)]


@pytest.mark.parametrize("clip_norm", [0.5, 100.0])
def test_norm_is_clipped_as_torch_does(clip_norm: float) -> None:
    ours = random_gradients()
    parameters = [nn.Parameter(torch.zeros_like(g)) for g in ours]
    for parameter, gradient in zip(parameters, random_gradients(), strict=True):
        parameter.grad = gradient / 3
    expected = nn.utils.clip_grad_norm_(parameters, clip_norm)
    norm = normalise_and_clip(ours, 3, None, clip_norm)
    torch.testing.assert_close(norm, expected)
    torch.testing.assert_close(ours, [p.grad for p in parameters])


@pytest.mark.parametrize("clip_norm", [None, 0.3])
def test_entries_are_clipped_before_the_norm(clip_norm: float | None) -> None:
    ours = random_gradients()
    norm = normalise_and_clip(ours, 2, 0.25, clip_norm)
    expected = [(g / 2).clamp(-0.25, 0.25) for g in random_gradients()]
    length = torch.cat([g.flatten() for g in expected]).norm()
    if clip_norm is not None:
        expected = [g * min(1.0, clip_norm / float(length)) for g in expected]
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(norm, torch.cat([g.flatten() for g in random_gradients()]).norm() / 2)


def test_without_clipping_gradients_are_only_divided() -> None:
    ours = random_gradients()
    normalise_and_clip(ours, 5, None, None)
    torch.testing.assert_close(ours, [g / 5 for g in random_gradients()])


@pytest.mark.parametrize(("settings", "rule"), CASES)
def test_some_learn_at_a_rate_of_their_own(settings: dict[str, object], rule: Rule) -> None:
    torch.manual_seed(1)
    starts = [torch.randn(3, 4, dtype=torch.float64) for _ in range(2)] + [torch.randn(5, dtype=torch.float64)] * 2
    parameters = [nn.Parameter(start.clone()) for start in starts]
    optimiser = registry.construct("optimiser", {**settings, "weight_decay": 0.3}).build(parameters, RATE)
    set_rate(optimiser, [parameters[1], parameters[3]], 0.1)
    assert [group["weight_decay"] for group in optimiser.param_groups] == [0.3, 0.3, 0.0, 0.0]
    assert [group[RATE_KEY] for group in optimiser.param_groups] == [1.0, 0.1, 1.0, 0.1]
    for _ in range(2):
        for parameter in parameters:
            parameter.grad = torch.ones_like(parameter)
        for group in optimiser.param_groups:
            group["lr"] = RATE * group[RATE_KEY]
        optimiser.step()
    moved = [(p.detach() - start).norm() for p, start in zip(parameters, starts, strict=True)]
    # vectors have no decay, so that the one is a tenth of the other; matrices with it nearly
    torch.testing.assert_close(moved[3], 0.1 * moved[2])
    assert 0.05 * moved[0] < moved[1] < 0.2 * moved[0]
    state = optimiser.state_dict()
    optimiser.load_state_dict(state)
    assert [group[RATE_KEY] for group in optimiser.param_groups] == [1.0, 0.1, 1.0, 0.1]
    before = registry.construct("optimiser", settings).build(parameters, RATE)
    set_rate(before, parameters[:1], 1.0)
    assert RATE_KEY not in before.param_groups[0]
