"""Emissions of numbers and bits against torch's own distributions of the same parameters."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, distributions

from recurra.errors import ConfigError
from recurra.nn.emissions.bernoulli import Bernoulli
from recurra.nn.emissions.contract import middle_of
from recurra.nn.emissions.gaussian import Gaussian
from recurra.nn.emissions.mixture import Mixture
from recurra.nn.emissions.quantiles import Quantiles

W, D = 5, 2
NAN = float("nan")


def made(emission: Any, size: int = D, seed: int = 0) -> tuple[Any, Tensor, Tensor]:
    torch.manual_seed(seed)
    emission.build(W, size).double()
    return emission, torch.randn(6, W, dtype=torch.float64), torch.randn(6, size, dtype=torch.float64)


def test_gaussian_is_torchs() -> None:
    emission, y, target = made(Gaussian())
    given = emission.distribution(y)
    oracle = distributions.Independent(distributions.Normal(given["mean"], given["spread"]), 1)
    assert torch.allclose(emission.log_p(y, target), oracle.log_prob(target), rtol=1e-12)


def test_bernoulli_is_torchs_and_takes_whole_numbers() -> None:
    emission, y, _ = made(Bernoulli())
    target = torch.randint(2, (6, D))
    oracle = distributions.Bernoulli(logits=emission.linear(y)).log_prob(target.double())
    assert torch.allclose(emission.log_p(y, target), oracle.sum(-1), rtol=1e-12)
    target[0, 1], oracle[0, 1] = -100, 0
    assert torch.allclose(emission.loss(y, target), -oracle.sum(), rtol=1e-12)


@pytest.mark.parametrize("correlated", [False, True])
def test_mixture_is_torchs(correlated: bool) -> None:
    emission, y, target = made(Mixture(components=3, correlated=correlated))
    given = emission.distribution(y)
    mean, spread = given["mean"], given["spread"]
    rho = given["correlation"] if correlated else torch.zeros(6, 3).double()
    covariance = torch.diag_embed(spread.square())
    covariance[..., 0, 1] = covariance[..., 1, 0] = rho * spread.prod(-1)
    each = distributions.MultivariateNormal(mean, covariance)
    which = distributions.Categorical(logits=given["log_weights"])
    oracle = distributions.MixtureSameFamily(which, each)
    assert torch.allclose(emission.log_p(y, target), oracle.log_prob(target), rtol=1e-10)
    assert torch.allclose(emission.mean(given), oracle.mean, rtol=1e-12)
    # A number that is missing is integrated out: a mixture of the other number's own Gaussians.
    one = distributions.MixtureSameFamily(which, distributions.Normal(mean[..., 1], spread[..., 1]))
    target[:, 0] = NAN
    assert torch.allclose(emission.log_p(y, target), one.log_prob(target[:, 1]), rtol=1e-10)


def test_correlated_samples_are_correlated() -> None:
    emission, _, _ = made(Mixture(components=1, correlated=True))
    with torch.no_grad():
        emission.linear.bias[-1] = 1.0
    given = emission.distribution(torch.zeros(20_000, W).double())
    drawn = emission.sample(given, generator=torch.Generator().manual_seed(1))
    assert torch.corrcoef(drawn.t())[0, 1].item() == pytest.approx(0.999 * torch.tensor(1.0).tanh().item(), abs=0.02)


@pytest.mark.parametrize("levels", [(0.1, 0.5, 0.9), (0.2, 0.4), (0.7, 0.9)])
def test_the_least_pinball_loss_is_at_the_quantiles(levels: tuple[float, ...]) -> None:
    emission = Quantiles(levels).build(W, 1).double()
    y, target = torch.zeros(4000, W).double(), torch.randn(4000, 1, generator=torch.Generator().manual_seed(2)).exp()
    optimiser = torch.optim.LBFGS([emission.linear.bias], max_iter=100, line_search_fn="strong_wolfe")

    def objective() -> Tensor:
        optimiser.zero_grad()
        loss = emission.loss(y, target) / len(y)
        loss.backward()
        return loss

    optimiser.step(objective)
    found = emission.distribution(y[:1])["quantiles"][0, 0]
    share = (target <= found).double().mean(0)
    assert (share - torch.tensor(levels)).abs().max() < 0.01
    median = emission.sample({"quantiles": found[None, None]}, temperature=0.0)
    if 0.5 in levels:
        assert median.item() == found[levels.index(0.5)]
    # Half of what is drawn lies below it, wherever the levels are.
    drawn = emission.sample({"quantiles": found.expand(20_000, 1, -1)}, generator=torch.Generator().manual_seed(3))
    assert (drawn <= median).double().mean().item() == pytest.approx(0.5, abs=0.02)


def test_quantiles_start_as_those_of_a_standard_normal() -> None:
    emission = Quantiles().build(W, 3)
    found = emission.distribution(torch.zeros(1, W))["quantiles"]
    expected = distributions.Normal(0.0, 1.0).icdf(torch.tensor(emission.levels))
    assert torch.allclose(found, expected.expand_as(found), atol=1e-5)


@pytest.mark.parametrize("emission", [Gaussian(), Mixture(components=2)])
def test_spreads_start_at_1_and_have_a_least(emission: Any) -> None:
    emission.build(W, 3)
    assert torch.allclose(emission.distribution(torch.zeros(1, W))["spread"], torch.ones(()), atol=1e-5)
    with torch.no_grad():
        emission.linear.bias.fill_(-100)
    assert torch.allclose(emission.distribution(torch.zeros(1, W))["spread"], torch.tensor(1e-3))


@pytest.mark.parametrize("emission", [Gaussian(), Mixture(components=2), Quantiles(), Bernoulli()])
def test_bfloat16_products_under_autocast_and_float32_behind_them(emission: Any) -> None:
    torch.manual_seed(0)
    emission.build(W, 3)
    y, target = torch.randn(6, W), torch.ones(6, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = emission.loss(y, target)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(emission.loss(y, target).item(), rel=0.02)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Gaussian(least_spread=0.0), r"task.emission.least_spread = 0.0, expected more than 0 and less than 1"),
        (lambda: Mixture(least_spread=1.5), r"task.emission.least_spread = 1.5, expected"),
        (lambda: Mixture(components=0), r"task.emission.components = 0, expected 1 or more Gaussians"),
        (lambda: Mixture(correlated=True).build(4, 3), r"correlated = true is for targets of 2 numbers, these have 3"),
        (lambda: Quantiles(levels=(0.5,)), r"task.emission.levels = \[0.5\], expected two or more rising numbers"),
        (lambda: Quantiles(levels=(0.5, 0.2)), r"task.emission.levels = \[0.5, 0.2\], expected"),
        (lambda: Quantiles(levels=(0.5, 1.0)), r"task.emission.levels = \[0.5, 1.0\], expected"),
        (lambda: Gaussian().sample({"mean": torch.ones(1)}, temperature=-1.0), r"temperature = -1.0, expected 0"),
        (lambda: Gaussian().sample({"mean": torch.ones(1)}, temperature=NAN), r"temperature = nan, expected 0"),
    ],
)
def test_impossible_settings_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


def test_where_the_middle_of_the_targets_lies() -> None:
    torch.manual_seed(4)
    mean, spread = torch.randn(3, 2, dtype=torch.float64), torch.rand(3, 2, dtype=torch.float64) + 0.1
    low, high = Gaussian().middle({"mean": mean, "spread": spread}, 0.9)
    oracle = torch.distributions.Normal(mean, spread)
    assert torch.allclose(low, oracle.icdf(torch.tensor(0.05, dtype=torch.float64)))
    assert torch.allclose(high, oracle.icdf(torch.tensor(0.95, dtype=torch.float64)))
    q = torch.randn(3, 2, 7).sort(-1).values
    found = Quantiles().middle({"quantiles": q}, 0.8)
    assert found is not None and torch.equal(found[0], q[..., 1]) and torch.equal(found[1], q[..., 5])
    assert Quantiles().middle({"quantiles": q}, 0.7) is None
    assert middle_of(Bernoulli(), {}, 0.8) is None and middle_of(None, {}, 0.8) is None
