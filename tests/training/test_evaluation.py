"""The loss over a data set, carried states, devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from recurra.errors import ConfigError
from recurra.training.evaluation import detached, evaluate, find_device

Make = Callable[..., Any]


def test_devices() -> None:
    assert find_device("cpu") == torch.device("cpu")
    assert find_device("auto").type in ("cpu", "cuda")
    with pytest.raises(ConfigError, match=r"device 'gpu' is unknown to torch. Expected auto, cpu, cuda or cuda:1"):
        find_device("gpu")
    count = torch.cuda.device_count()
    with pytest.raises(ConfigError, match=rf"device 'cuda:{count}' is not there: torch sees {count} CUDA devices"):
        find_device(f"cuda:{count}")


def test_evaluation_leaves_the_model_as_it_was(toy: Make, chunks: Any) -> None:
    model = toy(dropout=0.5)
    first, second = (evaluate(model, chunks(3, seed=1)) for _ in range(2))
    assert first == second  # no dropout
    assert model.training
    assert first.targets == 3 * (3 * 5 - 1)
    assert first.sequences == 9
    assert evaluate(model, chunks(3, seed=1), stop=lambda: True) is None


def test_detached_goes_through_nested_states() -> None:
    x = torch.randn(2, requires_grad=True)
    state = detached(((x, None), [x * 2]))
    assert state[0][1] is None
    assert not state[0][0].requires_grad
    assert not state[1][0].requires_grad
    assert detached(None) is None
