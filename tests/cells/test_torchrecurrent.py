"""Cells against those of the package torchrecurrent (0.2.5), another project's, where its equations are the paper's.

Where it departs from the paper, its test says how, and its weights are set so that the two meet. Its recurrent highway
network cannot be imported (it wants a base class that its package no longer has).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor

from recurra.nn import Recurrent
from recurra.testing.cells import relative

peers = pytest.importorskip("torchrecurrent")
D = torch.float64
W = Mapping[str, Tensor]


def compare(name: str, theirs: torch.nn.Module, convert: Callable[[W], dict[str, Tensor]], states: int = 0) -> None:
    """Outputs, and gradients by x, initial state and all weights; `states`: how many theirs has, if not as many."""
    torch.manual_seed(len(name))
    square = name in ("mut1", "mut2")
    layer = Recurrent(name, 4 if square else 3, 4, dtype=D)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.7)
    x = torch.randn(6, 3, layer.input_size, dtype=D, requires_grad=True)
    initial = [torch.randn(1, 3, 4, dtype=D, requires_grad=True) for _ in layer.cell.state]
    y, _ = layer(x, initial[0] if len(initial) == 1 else tuple(initial))

    weights = convert({n.removesuffix("_l0"): p for n, p in layer.named_parameters()})
    state = tuple(s[0] for s in initial) if states in (0, len(initial)) else (initial[0][0],) * states
    outputs = []
    for step in x:
        made = torch.func.functional_call(theirs, weights, (step, state if len(state) > 1 else state[0]))
        state = made if isinstance(made, tuple) else (made,)
        outputs.append(state[0])
    leaves = [x, *initial, *layer.parameters()]
    weighing = torch.randn(y.shape, dtype=D)
    pairs = zip(
        (y, *torch.autograd.grad((y * weighing).sum(), leaves, allow_unused=True, materialize_grads=True)),
        (
            torch.stack(outputs),
            *torch.autograd.grad(
                (torch.stack(outputs) * weighing).sum(), leaves, allow_unused=True, materialize_grads=True
            ),
        ),
        strict=True,
    )
    for k, (value, oracle) in enumerate(pairs):
        assert relative(value, oracle) <= 1e-12, f"{name}: tensor {k} of shape {tuple(oracle.shape)}"


def rows(w: W, name: str, *order: int) -> Tensor:
    """Blocks of four rows, one a gate, in another order."""
    blocks = w[name].split(4)
    return torch.cat([blocks[k] for k in order])


def nothing(size: int) -> Tensor:
    return torch.zeros(size, dtype=D)


def four(w: W) -> dict[str, Tensor]:
    return {n: w[n] for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}


def test_peephole_lstm() -> None:
    def convert(w: W) -> dict[str, Tensor]:
        return four(w) | {"weight_ph": torch.cat([w[f"peephole_{k}"] for k in "ifo"])}

    compare("peephole-lstm", peers.PeepholeLSTMCell(3, 4, dtype=D), convert)


def test_multiplicative_lstm() -> None:
    def convert(w: W) -> dict[str, Tensor]:
        return four(w) | {"weight_mh": w["weight_mixed"], "bias_mh": nothing(16)}

    compare("multiplicative-lstm", peers.MultiplicativeLSTMCell(3, 4, dtype=D), convert)


def test_mgu() -> None:
    def convert(w: W) -> dict[str, Tensor]:
        matrix, bias = torch.cat((w["weight_hh"], w["weight_candidate"])), torch.cat((w["bias_hh"], nothing(4)))
        return four(w) | {"weight_hh": matrix, "bias_hh": bias}

    compare("mgu", peers.MGUCell(3, 4, dtype=D), convert)


def test_ugrnn() -> None:
    compare("ugrnn", peers.UGRNNCell(3, 4, dtype=D), four)


def test_janet() -> None:
    """Theirs learns beta, which the paper holds at a constant, and keeps its one state twice, as h and c."""
    compare("janet", peers.JANETCell(3, 4, dtype=D), lambda w: four(w) | {"beta": torch.tensor(1.0, dtype=D)}, states=2)


def test_ran() -> None:
    def convert(w: W) -> dict[str, Tensor]:
        bias = torch.cat((w["shift_i"], w["shift_f"]))
        matrix = rows(w, "weight_ih", 2, 0, 1)
        return {"weight_ih": matrix, "weight_hh": w["weight_hh"], "bias_ih": bias, "bias_hh": nothing(8)}

    compare("ran", peers.RANCell(3, 4, dtype=D), convert)


def test_indrnn() -> None:
    def convert(w: W) -> dict[str, Tensor]:
        return {n: w[n] for n in ("weight_ih", "bias_ih")} | {"vector_u": w["recurrent"], "bias_hh": nothing(4)}

    compare("indrnn", peers.IndRNNCell(3, 4, nonlinearity="relu", dtype=D), convert)


def test_fast_grnn() -> None:
    """Theirs has tanh for the gate unless told otherwise; the paper has the sigmoid."""

    def convert(w: W) -> dict[str, Tensor]:
        bias = torch.cat((w["shift_z"], w["shift_n"]))
        return {n: w[n] for n in ("weight_ih", "weight_hh", "zeta", "nu")} | {"bias_ih": bias, "bias_hh": nothing(8)}

    compare("fast-grnn", peers.FastGRNNCell(3, 4, nonlinearity="sigmoid", dtype=D), convert)


def test_mut1() -> None:
    """Theirs has a matrix and a bias within tanh(x), which the paper has not: the identity and zero."""

    def convert(w: W) -> dict[str, Tensor]:
        return {
            "weight_ih": torch.cat((w["weight_ih"], torch.eye(4, dtype=D))),
            "weight_hh": torch.cat((w["weight_hh"], w["weight_candidate"])),
            "bias_ih": torch.cat((w["bias_ih"], nothing(4))),
            "bias_hh": torch.cat((w["bias_hh"], w["shift_n"])),
        }

    compare("mut1", peers.MUT1Cell(4, 4, dtype=D), convert)


def test_mut2() -> None:
    """Theirs has a matrix and a bias at the x of the reset gate, which the paper has not: the identity and zero."""

    def convert(w: W) -> dict[str, Tensor]:
        z, n = w["weight_ih"].split(4)
        b_z, b_n = w["bias_ih"].split(4)
        return {
            "weight_ih": torch.cat((z, torch.eye(4, dtype=D), n)),
            "weight_hh": torch.cat((w["weight_hh"], w["weight_candidate"])),
            "bias_ih": torch.cat((b_z, nothing(4), b_n)),
            "bias_hh": torch.cat((w["bias_hh"], nothing(4))),
        }

    compare("mut2", peers.MUT2Cell(4, 4, dtype=D), convert)


def test_mut3() -> None:
    def convert(w: W) -> dict[str, Tensor]:
        return {
            "weight_ih": w["weight_ih"],
            "weight_hh": torch.cat((w["weight_update"], w["weight_hh"], w["weight_candidate"])),
            "bias_ih": w["bias_ih"],
            "bias_hh": torch.cat((nothing(4), w["bias_hh"], nothing(4))),
        }

    compare("mut3", peers.MUT3Cell(3, 4, dtype=D), convert)
