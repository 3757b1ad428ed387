"""Where a model computes, and in what numbers; batches brought there."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import torch

from recurra.engine import short
from recurra.errors import ConfigError
from recurra.types import Batch, Lengths


def find_device(name: str) -> torch.device:
    """The device called `auto` (a GPU where there is one), `cpu`, `cuda`, `cuda:1` …; raises `ConfigError`."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device {name!r} is unknown to torch. Expected auto, cpu, cuda or cuda:1.") from error
    if device.type != "cuda":
        return device
    index, count = device.index or 0, torch.cuda.device_count()
    if index >= count:
        raise ConfigError(f"device {name!r} is not there: torch sees {count} CUDA devices. Use --device cpu or auto.")
    return torch.device("cuda", index)


def find_precision(name: str, device: torch.device) -> str:
    """The precision called `auto`: `bf16` where the device multiplies bfloat16 by itself, else `float32`."""
    if name != "auto":
        return name
    return "bf16" if short.multiplies(device) else "float32"


def precision_note(precision: str, device: torch.device) -> str | None:
    """What to know of a precision before training with it on this device; None: nothing."""
    if precision != "bf16" or short.multiplies(device):
        return None
    if device.type != "cpu":
        return f"precision bf16: torch knows of no products of bfloat16 on {device}, so it may be slower than float32."
    return (
        "precision bf16: this processor does not multiply bfloat16, so products are made in float32 of rounded factors "
        "and nothing is gained; measured with AVX2, training took 1.0 to 1.2 times as long as in float32. "
        "--precision auto takes float32 here."
    )


def autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """The context of a forward pass; it can be entered again and again."""
    return short.autocast(device) if precision == "bf16" else nullcontext()


def moved(batch: Batch, device: torch.device) -> Batch:
    """The batch with its tensors on `device`."""
    if all(tensor.device == device for tensor in batch.fields.values()):
        return batch
    fields = {name: tensor.to(device, non_blocking=True) for name, tensor in batch.fields.items()}
    lengths = {name: tensor.to(device) for name, tensor in batch.lengths.items()}
    values = batch.structure.values
    structure = Lengths(None if values is None else values.to(device))
    return replace(batch, fields=fields, structure=structure, lengths=lengths)
