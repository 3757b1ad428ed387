"""The time-delay core against torch's convolution; what it refuses. Chunks, padding and gradients: tests/every."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from recurra import registry
from recurra.errors import ConfigError
from recurra.nn.tdnn import Tdnn
from recurra.types import Lengths, Sizes

B, T, D, H = 3, 11, 4, 5


def made(**settings: Any) -> Tdnn:
    core: Tdnn = registry.construct("core", {"kind": "tdnn", "hidden_size": H, **settings})
    return core.build(Sizes(embedding=D)).double()


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("delays", "dilation"), [(0, 1), (3, 1), (2, 2)])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_is_a_convolution(delays: int, dilation: int, causal: bool, activation: str) -> None:
    core = made(delays=delays, dilation=dilation, causal=causal, activation=activation)
    x = torch.randn(B, T, D, dtype=torch.float64)
    y, state = core(x, Lengths(), None)
    z = x.transpose(1, 2)
    for layer in range(2):
        step = dilation**layer
        # torch's first tap is the oldest step.
        weight = getattr(core, f"weight_l{layer}").flip(0).permute(2, 1, 0)
        padded = F.pad(z, (delays * step, 0 if causal else delays * step))
        z = F.conv1d(padded, weight, getattr(core, f"bias_l{layer}"), dilation=step)
        z = torch.tanh(z) if activation == "tanh" else torch.relu(z)
    assert torch.allclose(y, z.transpose(1, 2), atol=1e-12)
    if causal:
        assert [s.shape for s in state] == [(delays, B, D), (delays * dilation, B, H)]
    else:
        assert state is None


def test_dropout_between_layers_in_training_only() -> None:
    core, x = made(dropout=0.5), torch.randn(B, T, D, dtype=torch.float64)
    assert not torch.equal(core(x, Lengths())[0], core(x, Lengths())[0])
    core.eval()
    assert torch.equal(core(x, Lengths())[0], core(x, Lengths())[0])
    one = made(dropout=0.5, num_layers=1)
    assert torch.equal(one(x, Lengths())[0], one(x, Lengths())[0])


def test_start_of_the_weights() -> None:
    core = Tdnn(hidden_size=100, delays=3).build(Sizes(embedding=25))
    for name, width in (("weight_l0", 25), ("weight_l1", 100)):
        weight = getattr(core, name)
        assert weight.shape == (4, width, 100)
        assert weight.std().item() == pytest.approx((1 / (4 * width) / 3) ** 0.5, rel=0.05)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden_size": 0}, r"core.hidden_size = 0, expected 1 or more"),
        ({"num_layers": 0}, r"core.num_layers = 0, expected 1 or more"),
        ({"dilation": 0}, r"core.dilation = 0, expected 1 or more"),
        ({"delays": -1}, r"core.delays = -1, expected 0 \(the present step alone\) or more"),
        ({"dropout": 1.0}, r"core.dropout = 1.0, expected 0 or more and less than 1"),
        ({"activation": "tan"}, r"core.activation = 'tan': did you mean 'tanh'"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        made(**settings)


def test_errors_of_direct_calls() -> None:
    with pytest.raises(ConfigError, match=r"core.activation = 'tan', expected 'tanh' or 'relu'"):
        Tdnn(activation="tan")  # type: ignore[arg-type]
    core, x = made(), torch.randn(B, T, D, dtype=torch.float64)
    _, state = core(x, Lengths())
    with pytest.raises(ConfigError, match=r"state of 'tdnn' has shapes .*\(3, 3, 4\).*expected .*\(3, 2, 4\)"):
        core(x[:2], Lengths(), state)
