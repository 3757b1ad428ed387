"""How fast gradients vanish or explode: exactly, for linear networks; within a bound, for tanh; and cells at their
starts, side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.config import check_seed
from recurra.diagnostics.gradients import Curve, Flow, measure
from recurra.diagnostics.plain import plain
from recurra.engine import Trace
from recurra.errors import ConfigError
from recurra.lab.matrices import non_normal, orthogonal
from recurra.lab.networks import CELLS, layer
from recurra.nn import Recurrent
from recurra.nn.blocks import eigenvalues, singular_values

SCALES = (0.9, 1.0, 1.1)
ROWS, INPUTS = 8, 8
"""Random sequences whose gradients are averaged, and their width."""
LEAST, MOST = 4, 3000
"""Lags. Squares of what grows by 1.1 a step leave the range of float64 a little later."""


@dataclass(frozen=True, eq=False)
class Decay:
    """‖∂L_T/∂state_{T − lag}‖ of one network."""

    network: str
    group: str
    """"linear", "tanh" or "cells at their start"."""
    state: str
    norms: Curve
    """By lag from 0, as a share of the first; the geometric mean over random sequences and directions of the error."""
    slope: float
    """Of the logarithm of the norms per step, by least squares."""
    peak: int
    """The lag at which the norm is the largest."""
    horizon: int | None
    """The lag from which on less than 1 % is left; None: farther than was measured."""
    verdict: str
    expected: float | None = None
    """What the slope must be: log σ, of a linear network with W = σQ."""
    norm: float | None = None
    """The largest singular value of W_hh, of networks h = φ(W_ih x + W_hh h + b)."""
    radius: float | None = None
    """Its largest eigenvalue's absolute value."""
    bound: Curve | None = None
    """(σ₁ γ)^lag with γ the largest slope of φ: above the norms at every lag."""

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        found: dict[str, Any] = plain(self)
        return found


def decays(
    cells: Sequence[str] = CELLS, *, lags: int = 200, hidden: int = 64, forget: float = 1.0, seed: int = 0
) -> Iterator[Decay]:
    """Every network's decay, in float64: linear ones with W = σQ and with a non-normal W; the same with tanh; and the
    named cells at their starts, those with a forget gate also with its bias at `forget`.

    The inputs are drawn from N(0, 1), the errors at the last step too. `lags`: how far back, 4 to 3000. `hidden`:
    units, an even number. Raises `ConfigError` otherwise.
    """
    if lags < LEAST:
        raise ConfigError(f"lags = {lags}, expected {LEAST} or more to see a gradient fall or grow.")
    if lags > MOST:
        raise ConfigError(
            f"lags = {lags}, expected {MOST} at most: what grows by a tenth a step leaves the range of float64 "
            "a little farther back."
        )
    if hidden < 2:
        raise ConfigError(f"hidden = {hidden}, expected 2 or more.")
    check_seed(seed)
    weights = {f"W = {scale} Q": scale * orthogonal(hidden, seed) for scale in SCALES}
    weights["non-normal W"] = non_normal(hidden, seed)
    for group, cell in (("linear", "rnn-identity"), ("tanh", "rnn-tanh")):
        for (name, matrix), scale in zip(weights.items(), (*SCALES, None), strict=True):
            expected = math.log(scale) if scale is not None and group == "linear" else None
            yield decay(_elman(cell, matrix, seed), name, group, lags=lags, seed=seed, expected=expected)[0]
    for cell in cells:
        for bias in (0.0, forget):
            torch.manual_seed(seed)
            made = layer(cell, hidden, hidden, forget=bias, dtype=torch.float64)
            if bias and "f" not in made.cell.input_gates:
                continue
            name = f"{cell}, forget bias {bias:g}" if "f" in made.cell.input_gates and forget else cell
            yield from decay(made, name, "cells at their start", lags=lags, seed=seed)
            if not forget:
                break


def decay(
    network: Recurrent, name: str, group: str, *, lags: int, seed: int = 0, expected: float | None = None
) -> tuple[Decay, ...]:
    """The decays of the states of a bare layer in float64, one for each state.

    Raises `ConfigError` where a gradient grows beyond float64 within the `lags`.
    """
    draw = torch.Generator().manual_seed(seed + 1)
    x = torch.randn(lags + 1, ROWS, network.input_size, dtype=torch.float64, generator=draw)
    errors = torch.randn(ROWS, network.output_size, dtype=torch.float64, generator=draw)
    trace: list[Trace] = []
    y, _ = network(x, trace=trace)
    with np.errstate(over="ignore", invalid="ignore"):  # a bound may be as large as it likes
        flows = measure(trace, (y[-1] * errors).sum(), [lags] * ROWS)
    for flow in flows:
        reach = int(np.isfinite(flow.mean).cumprod().sum())
        if reach <= lags:
            raise ConfigError(
                f"{name}: {reach} steps back its gradient is too large for float64. Look less far back: lags = "
                f"{reach - 1}, or leave it out."
            )
    norm, radius = _spectrum(network) if flows[0].bound is not None else (None, None)
    return tuple(_decay(flow, name, group, expected, norm, radius) for flow in flows)


def _decay(
    flow: Flow, name: str, group: str, expected: float | None, norm: float | None, radius: float | None
) -> Decay:
    first = float(flow.mean[0])
    shares = flow.mean / first if first > 0 else flow.mean
    bound = None if flow.bound is None or first <= 0 else flow.bound / first
    return Decay(
        name,
        group,
        flow.state,
        shares,
        flow.slope,
        int(shares.argmax()),
        flow.horizon,
        flow.verdict,
        expected,
        norm,
        radius,
        bound,
    )


def _elman(cell: str, matrix: Tensor, seed: int) -> Recurrent:
    """h = φ(W_ih x + W h) with a given W, and inputs small enough that tanh is still far from flat."""
    torch.manual_seed(seed)
    made = Recurrent(cell, INPUTS, len(matrix), bias=False, dtype=torch.float64)
    with torch.no_grad():
        made.get_parameter("weight_hh_l0").copy_(matrix)
    return made


def _spectrum(network: Recurrent) -> tuple[float, float]:
    matrix = network.get_parameter("weight_hh_l0").detach()
    return float(singular_values(matrix)[0]), float(eigenvalues(matrix)[0].abs())
