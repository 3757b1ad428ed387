"""Single steps equal the layer over the whole sequence, for every cell, in every type of weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from recurra.engine.native import build
from recurra.errors import ConfigError
from recurra.nn import Recurrent, Step
from recurra.registry import find, names

pytestmark = pytest.mark.skipif(build.no_compiler() is not None, reason=str(build.no_compiler()))

T, B, H = 8, 3, 20


def made(cell: str, **options: Any) -> tuple[Recurrent, Tensor]:
    torch.manual_seed(len(cell))
    inputs = H if find("cell", cell).ties_input else 7
    options.setdefault("num_layers", 1 if inputs != H and cell in ("mut1", "mut2", "sru") else 2)
    layer = Recurrent(cell, inputs, H, **options).eval()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return layer, torch.randn(T, B, inputs, dtype=next(layer.parameters()).dtype)


def whole(layer: Recurrent, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    layer.backend = "reference"
    with torch.no_grad():
        y, state = layer(x)
    return y, state if isinstance(state, tuple) else (state,)


def stepped(step: Step, x: Tensor) -> tuple[Tensor, Tensor]:
    state, ys = step.start(), []
    for frame in x:
        y, state = step(frame, state)
        ys.append(y)
    return torch.stack(ys), state


@pytest.mark.parametrize("cell", names("cell"))
def test_steps_are_the_whole(cell: str) -> None:
    layer, x = made(cell)
    y, finals = whole(layer, x)
    step = Step(layer, B)
    found, state = stepped(step, x)
    assert torch.allclose(found, y, atol=2e-5, rtol=1e-4)
    for mine, theirs in zip(step.split(state), finals, strict=True):
        assert torch.allclose(mine, theirs, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("options", [{"proj_size": 6}, {"zoneout": 0.3}, {"recurrent_dropout": 0.4}, {"bias": False}])
def test_options_of_the_layer(options: dict[str, Any]) -> None:
    layer, x = made("lstm", **options)
    assert torch.allclose(stepped(Step(layer, B), x)[0], whole(layer, x)[0], atol=1e-6)


def test_float64() -> None:
    layer, x = made("gru", dtype=torch.float64)
    assert torch.allclose(stepped(Step(layer, B), x)[0], whole(layer, x)[0], atol=1e-13)


@pytest.mark.parametrize(("weights", "most"), [("bfloat16", 0.02), ("int8", 0.03)])
@pytest.mark.parametrize("cell", ["lstm", "gru-reset-before", "peephole-lstm", "rnn-tanh"])
def test_short_weights_are_near(cell: str, weights: Any, most: float) -> None:
    layer, x = made(cell)
    y, _ = whole(layer, x)
    error = float((stepped(Step(layer, B, weights), x)[0] - y).abs().max() / y.abs().max())
    assert 1e-6 < error < most


def test_state_goes_from_the_layer_to_steps_and_back() -> None:
    layer, x = made("lstm")
    y, finals = whole(layer, x)
    with torch.no_grad():
        _, middle = layer(x[:5])
    step = Step(layer, B)
    state = step.join(middle)
    assert all(torch.equal(a, b) for a, b in zip(step.split(state), middle, strict=True))
    before = state.clone()
    for t in range(5, T):
        out, state = step(x[t], state)
        assert torch.allclose(out, y[t], atol=1e-6)
    assert torch.equal(step.join(middle), before)  # a state given is never written to
    assert torch.allclose(step.split(state)[1], finals[1], atol=1e-6)


def test_weights_are_those_of_when_it_was_made() -> None:
    layer, x = made("gru")
    step = Step(layer, B)
    y = stepped(step, x)[0]
    with torch.no_grad():
        layer.weight_hh_l0.zero_()
    assert torch.equal(stepped(step, x)[0], y)


def test_what_cannot_be_is_refused() -> None:
    layer, x = made("gru")
    with pytest.raises(ConfigError, match="a bidirectional layer cannot go step by step"):
        Step(Recurrent("gru", 3, 4, bidirectional=True))
    with pytest.raises(ConfigError, match=r"weights = 'int4'.*Expected one of float32, bfloat16, int8"):
        Step(layer, B, "int4")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="batch = 0, expected 1 or more"):
        Step(layer, 0)
    with pytest.raises(ConfigError, match=r"is for a layer of float32, this one is of float64"):
        Step(Recurrent("gru", 3, 4, dtype=torch.float64), 1, "int8")
    with pytest.raises(ConfigError, match=r"the layer is torch.bfloat16 on cpu"):
        Step(Recurrent("gru", 3, 4, dtype=torch.bfloat16))
    step = Step(layer, B)
    with pytest.raises(
        ConfigError, match=r"x is \[2, 7\] of torch.float32 .* expected \[3, 7\] of torch.float32, contiguous"
    ):
        step(x[0, :2], step.start())
    with pytest.raises(ConfigError, match=r"none of this step's \(120 entries"):
        step(x[0], step.start()[1:])
    with pytest.raises(ConfigError, match=r"none of this step's \(120 entries"):
        step(x[0], step.start().repeat_interleave(2)[::2])
    with pytest.raises(ConfigError, match=r"states have shapes \[\(1, 3, 20\)\], expected \[\(2, 3, 20\)\]"):
        step.join(torch.zeros(1, B, H))
