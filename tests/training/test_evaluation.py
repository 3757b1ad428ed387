"""The loss over a data set, carried states, devices and their precision."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch

from recurra.engine import short
from recurra.engine.device import find_device, find_precision, precision_note
from recurra.errors import ConfigError
from recurra.training.evaluation import detached, evaluate

Make = Callable[..., Any]


def test_devices() -> None:
    assert find_device("cpu") == torch.device("cpu")
    assert find_device("auto").type in ("cpu", "cuda")
    with pytest.raises(ConfigError, match=r"device 'gpu' is unknown to torch. Expected auto, cpu, cuda or cuda:1"):
        find_device("gpu")
    count = torch.cuda.device_count()
    with pytest.raises(ConfigError, match=rf"device 'cuda:{count}' is not there: torch sees {count} CUDA devices"):
        find_device(f"cuda:{count}")


BF16 = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
"""What torch is asked about a processor."""


@pytest.mark.parametrize("name", BF16)
def test_auto_is_bf16_where_the_processor_multiplies_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    for limit in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        monkeypatch.delenv(limit, raising=False)
    for asked in BF16:
        monkeypatch.setattr(torch.cpu, asked, lambda: False)
    assert find_precision("auto", cpu) == "float32"
    assert find_precision("bf16", cpu) == "bf16"  # as it was asked for
    monkeypatch.setattr(torch.cpu, name, lambda: True)
    assert find_precision("auto", cpu) == "bf16"
    assert find_precision("float32", cpu) == "float32"
    assert find_precision("auto", torch.device("mps")) == "float32"


@pytest.mark.parametrize("native", [True, False])
def test_a_precision_that_gains_nothing_has_a_note(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(short, "multiplies", lambda device: native)
    cpu = torch.device("cpu")
    assert precision_note("float32", cpu) is None and (precision_note("bf16", cpu) is None) is native
    if not native:
        assert "does not multiply bfloat16" in str(precision_note("bf16", cpu))
        assert "torch knows of no products of bfloat16 on mps" in str(precision_note("bf16", torch.device("mps")))


def test_auto_is_float32_where_torch_cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    for asked in BF16:
        monkeypatch.delattr(torch.cpu, asked, raising=False)
    assert find_precision("auto", torch.device("cpu")) == "float32"


@pytest.mark.parametrize(("native", "precision"), [(True, "bf16"), (False, "float32")])
def test_auto_on_a_gpu_counts_no_emulation(native: bool, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or native)
    assert find_precision("auto", torch.device("cuda", 0)) == precision


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
