"""What every emission must show: a distribution, samples that are drawn from it, derivatives, and targets left out.

An emission is named by its settings, `{"kind": "mixture", "components": 3}`. Weights and targets are random, float64.
Chance is seeded, and what is asserted of it allows five standard errors and more.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from recurra import registry
from recurra.nn.emissions.contract import HasBits
from recurra.testing.cells import EXACT, relative
from recurra.types import IGNORED

Settings = Mapping[str, Any]

WIDTH, SYMBOLS, STEPS, BATCH = 5, 7, 4, 3
SMALL: dict[str, Any] = {"components": 3, "cutoffs": (2, 4), "factor": 1.5, "levels": (0.1, 0.4, 0.8)}
"""Keywords that some emissions have, at a size that tests quickly."""
VARIANTS: tuple[dict[str, Any], ...] = ({"correlated": True}, {"levels": (0.7, 0.9)})
"""Further settings, each tried with the emissions that know the keyword."""
DRAWN = 20_000


def emission_settings(name: str) -> list[dict[str, Any]]:
    """The settings under which a registered emission is checked: small, and with each of the `VARIANTS` it knows."""
    known = inspect.signature(registry.find("emission", name)).parameters
    small = {"kind": name, **{k: v for k, v in SMALL.items() if k in known}}
    return [small, *({**small, **variant} for variant in VARIANTS if variant.keys() <= known.keys())]


def make_emission(settings: Settings, size: int | None = None, seed: int = 0) -> tuple[Any, Tensor, Tensor]:
    """An emission of 7 symbols, or of `size` entries (2), with random weights; y [4, 3, 5] and a target of each."""
    torch.manual_seed(seed)
    emission = registry.construct("emission", settings)
    size = size or _measured(emission, 2) + _bits(emission)
    emission.build(WIDTH, SYMBOLS if "symbol" in emission.target else size).double()
    with torch.no_grad():
        for parameter in emission.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.4)
    y = torch.randn(STEPS, BATCH, WIDTH, dtype=torch.float64)
    return emission, y, _targets(emission.target, size, size - _bits(emission))


def _bits(emission: Any) -> int:
    """Bits behind the numbers of a target: one, where an emission has such."""
    return int(isinstance(emission, HasBits))


def _measured(emission: Any, otherwise: int) -> int:
    return emission.measured if isinstance(emission, HasBits) else otherwise


def _targets(kind: str, D: int, measured: int) -> Tensor:
    if kind == "numbers":
        bits = torch.randint(2, (STEPS, BATCH, D - measured)).double()
        return torch.cat((torch.randn(STEPS, BATCH, measured, dtype=torch.float64), bits), -1)
    if kind == "bits":
        return torch.randint(2, (STEPS, BATCH, D)).double()
    return torch.randint(SYMBOLS, (STEPS, BATCH))


def check_shapes(settings: Settings) -> None:
    """The distribution has the named tensors, with the axes of y in front; a sample is like a target."""
    emission, y, target = make_emission(settings)
    given = emission.distribution(y)
    assert tuple(given) == emission.outputs, f"{dict(settings)}: {tuple(given)}, but outputs says {emission.outputs}"
    for name, tensor in given.items():
        assert tensor.shape[:2] == y.shape[:2], f"{dict(settings)}: {name} has shape {tuple(tensor.shape)}"
    assert emission.loss(y, target).shape == ()
    assert emission.log_p(y, target).shape == y.shape[:2], f"{dict(settings)}: log_p is not one number a step"
    sample = emission.sample(given)
    assert (sample.shape, sample.dtype) == (target.shape, target.dtype), f"{dict(settings)}: a sample is no target"
    if hasattr(emission, "mean"):
        assert emission.mean(given).shape == target.shape


@torch.no_grad()
def check_steps(settings: Settings) -> None:
    """All steps at once = each by itself; the loss is the sum, and where it says so that of −log p."""
    emission, y, target = make_emission(settings)
    steps = [(y[t : t + 1, b : b + 1], target[t : t + 1, b : b + 1]) for t in range(STEPS) for b in range(BATCH)]
    log_p = emission.log_p(y, target)
    _same(torch.cat([emission.log_p(*step).reshape(-1) for step in steps]), log_p.flatten(), settings, "log p alone")
    _same(torch.stack([emission.loss(*step) for step in steps]).sum(), emission.loss(y, target), settings, "loss")
    if emission.likelihood:
        _same(-log_p.sum(), emission.loss(y, target), settings, "−Σ log p")


@torch.no_grad()
def check_whole(settings: Settings) -> None:
    """p sums, or integrates, to 1."""
    for log_p, _, volume in _densities(settings):
        total = float(log_p.exp().sum() * volume)
        assert abs(total - 1) < 0.01, f"{dict(settings)}: p sums to {total:.4f}"


@torch.no_grad()
def check_samples(settings: Settings) -> None:
    """Samples are as frequent as log p says: of symbols and bits each, of numbers each below and the mean log p."""
    for log_p, values, volume in _densities(settings):
        emission, y, _ = make_emission(settings, values.shape[-1])
        y = y[:1, :1].expand(DRAWN, 1, WIDTH)
        drawn = emission.sample(emission.distribution(y), generator=torch.Generator().manual_seed(1))[:, 0]
        p = log_p.exp() * volume
        if emission.target == "numbers":
            for d in range(values.shape[-1] - _bits(emission)):
                order = values[:, d].argsort()
                below = p[order].cumsum(0)
                places = torch.searchsorted(values[order, d].contiguous(), drawn[:, d].sort()[0]).clamp(max=len(p) - 1)
                gap = (below[places] - torch.arange(1, DRAWN + 1) / DRAWN).abs().max()
                # Kolmogorov and Smirnov: beyond this once in a million, and something for the grid.
                assert gap < 2.7 / DRAWN**0.5 + 0.01, f"{dict(settings)}: number {d} is off by {gap:.3f}"
            found = emission.log_p(y, drawn[:, None])
            entropy, error = (p * log_p).nansum(), found.std() / DRAWN**0.5
            assert (found.mean() - entropy).abs() < 6 * error + 0.02, f"{dict(settings)}: mean log p is off"
            if hasattr(emission, "mean"):  # of a bit that is its probability
                mean, error = emission.mean(emission.distribution(y[:1]))[0, 0], drawn.std(0) / DRAWN**0.5
                assert ((drawn.mean(0) - mean).abs() < 6 * error).all(), f"{dict(settings)}: mean is off"
        else:
            frequency = (drawn[:, None] == values).reshape(DRAWN, len(values), -1).all(-1).double().mean(0)
            bound = 6 * (p * (1 - p) / DRAWN).sqrt() + 1e-3
            assert ((frequency - p).abs() < bound).all(), f"{dict(settings)}: drawn {frequency}, p = {p}"


@torch.no_grad()
def check_temperature(settings: Settings) -> None:
    """A generator's seed decides the sample; temperature 0 needs none; a low one draws what is likelier."""
    emission, y, _ = make_emission(settings)
    y = y[:1].expand(DRAWN // BATCH, BATCH, WIDTH)
    given = emission.distribution(y)

    def drawn(temperature: float, seed: int) -> Tensor:
        sample: Tensor = emission.sample(given, temperature=temperature, generator=torch.Generator().manual_seed(seed))
        return sample

    assert torch.equal(drawn(1.0, 1), drawn(1.0, 1)), f"{dict(settings)}: one seed, two samples"
    assert not torch.equal(drawn(1.0, 1), drawn(1.0, 2)), f"{dict(settings)}: two seeds, one sample"
    assert torch.equal(drawn(0.0, 1), drawn(0.0, 2)), f"{dict(settings)}: temperature 0 leaves something to chance"
    cold, model, hot = (emission.log_p(y, drawn(temperature, 3)).mean() for temperature in (0.3, 1.0, 3.0))
    assert cold > model > hot, f"{dict(settings)}: mean log p {cold}, {model}, {hot} at temperatures 0.3, 1, 3"


def check_ignored(settings: Settings) -> None:
    """A target left out counts for nothing, and gives no gradient; nor does an entry of a vector; nor all of them."""
    emission, y, target = make_emission(settings)
    none = float("nan") if target.is_floating_point() else IGNORED
    kept = torch.tensor([[1, 1, 0], [0, 1, 1], [1, 0, 0], [1, 1, 1]], dtype=torch.bool)
    some = target.clone()
    some[~kept] = none
    leaves = [y.requires_grad_(), *emission.parameters()]
    loss, alone = emission.loss(y, some), emission.loss(y[kept][:, None], target[kept][:, None])
    _same(loss, alone, settings, "the loss of the others")
    for found, expected in zip(_gradients(loss, leaves), _gradients(alone, leaves), strict=True):
        _same(found, expected, settings, "a gradient of the others")
    log_p = emission.log_p(y, some)
    assert not log_p[~kept].any(), f"{dict(settings)}: log p of a target left out is not 0"
    if target.dim() > y.dim() - 1:
        first = target.clone()
        first[..., 1:] = none
        without = emission.loss(y, first)
        assert without.isfinite() and all(g.isfinite().all() for g in _gradients(without, leaves)), f"{dict(settings)}"
        assert without != emission.loss(y, target), f"{dict(settings)}: an entry left out is counted"
        second = emission.log_p(y, target.index_fill(-1, torch.tensor([0]), none))
        assert not torch.equal(second, emission.log_p(y, first)), f"{dict(settings)}: entries are mixed up"
    nothing = emission.loss(y, torch.full_like(target, none))
    assert nothing == 0 and not any(g.any() for g in _gradients(nothing, leaves)), f"{dict(settings)}: of no target"


def check_every_parameter(settings: Settings) -> None:
    """Every parameter gets a gradient, and y."""
    emission, y, target = make_emission(settings)
    emission.loss(y.requires_grad_(), target).backward()
    for name, tensor in [("y", y), *emission.named_parameters()]:
        assert tensor.grad is not None and tensor.grad.any(), f"{dict(settings)}: no gradient at {name}"


def check_finite_differences(settings: Settings) -> None:
    """Derivatives of the loss by y and every parameter."""
    emission, y, target = make_emission(settings)
    names = [name for name, _ in emission.named_parameters()]

    class Loss(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.emission = emission

        def forward(self, y: Tensor) -> Tensor:
            loss: Tensor = self.emission.loss(y, target)
            return loss

    held = Loss()

    def call(y: Tensor, *weights: Tensor) -> Tensor:
        given = {f"emission.{name}": weight for name, weight in zip(names, weights, strict=True)}
        loss: Tensor = torch.func.functional_call(held, given, (y,))
        return loss

    leaves = (y, *emission.parameters())
    torch.autograd.gradcheck(call, tuple(v.detach().clone().requires_grad_() for v in leaves))


def _densities(settings: Settings) -> list[tuple[Tensor, Tensor, float]]:
    """log p [N] of the first y, the values [N] or [N, D] that it is of, and the volume that each stands for."""
    correlated = settings.get("correlated", False)
    emission, y, _ = make_emission(settings)
    if "symbol" in emission.target:
        values = torch.arange(SYMBOLS)
        return [(emission.log_p(y[:1, :1].expand(SYMBOLS, 1, WIDTH), values[:, None])[:, 0], values, 1.0)]
    if emission.target == "bits":
        values = torch.tensor(list(itertools.product((0.0, 1.0), repeat=2))).double()
        return [(emission.log_p(y[:1, :1].expand(4, 1, WIDTH), values[:, None])[:, 0], values, 1.0)]
    D = _measured(emission, 2 if correlated else 1)
    points = 600 if D == 2 else 40_000
    emission, y, _ = make_emission(settings, D + _bits(emission))
    drawn = emission.sample(emission.distribution(y[:1, :1].expand(2000, 1, WIDTH)))[:, 0]
    centre, spread = drawn[:, :D].mean(0), drawn[:, :D].std(0)
    axes = [torch.linspace(float(c - 12 * s), float(c + 12 * s), points) for c, s in zip(centre, spread, strict=True)]
    axes += [torch.tensor([0.0, 1.0])] * _bits(emission)
    values = torch.cartesian_prod(*(axis.double() for axis in axes)).reshape(-1, len(axes))
    volume = float((24 * spread / (points - 1)).prod())
    return [(emission.log_p(y[:1, :1].expand(len(values), 1, WIDTH), values[:, None])[:, 0], values, volume)]


def _gradients(loss: Tensor, leaves: list[Tensor]) -> tuple[Tensor, ...]:
    return torch.autograd.grad(loss, leaves, materialize_grads=True)


def _same(value: Tensor, oracle: Tensor, settings: Settings, what: str) -> None:
    error = relative(value, oracle)
    assert error <= EXACT, f"{dict(settings)}: {what} differs by {error:.1e}"


EMISSION_CHECKS: dict[str, Callable[[Settings], None]] = {
    "shapes": check_shapes,
    "steps": check_steps,
    "whole": check_whole,
    "samples": check_samples,
    "temperature": check_temperature,
    "ignored": check_ignored,
    "every parameter": check_every_parameter,
    "finite differences": check_finite_differences,
}
"""What an emission must show, by name; `check_emission` does all."""


def check_emission(settings: str | Settings) -> None:
    """All conformance checks for an emission: its settings, or its registered name for all of `emission_settings`.

    Raises AssertionError with the first that fails.
    """
    for one in emission_settings(settings) if isinstance(settings, str) else [settings]:
        for check in EMISSION_CHECKS.values():
            check(one)
