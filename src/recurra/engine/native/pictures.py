"""The native code behind a convolution over pictures: norm, rectifier, sum and the largest of each few pixels at once.

| tensor | shape |
|---|---|
| x, `added` | [B, C, T, rows], channels side by side in memory or copied so |
| `ends` | [B] whole numbers, the columns of each picture that are there |
| weight, bias | [C] |
| y | [B, C, ⌊T / columns⌋, ⌊rows / rows⌋] |
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from recurra.engine import demands
from recurra.engine.native import build, memory
from recurra.engine.native.machine import REALS
from recurra.errors import WrongTensor, WrongValue

POOLED = ((1, 1), (1, 2), (2, 2))
"""Columns and rows of x that are a pixel of y."""
GIVEN = ("x", "added", "ends", "weight", "bias")
MADE = ("y", "statistics", "grad", "grad_x", "grad_added", "grad_weight", "grad_bias", "room")
"""The pointers of csrc/pictures.cpp's Call, in their order."""


@dataclass(frozen=True)
class Pictures:
    """Pictures that lie as native code reads them."""

    x: Tensor
    added: Tensor | None
    ends: Tensor
    weight: Tensor
    bias: Tensor
    pooled: tuple[int, int]


def refuses(x: Tensor) -> str | None:
    """Why these pictures are not for native code; None: they are."""
    if x.device.type != "cpu":
        return f"it is for the CPU, x is on {x.device.type}"
    if x.dtype not in REALS:
        return f"it is for float32 and float64, x is {x.dtype}"
    return build.no_compiler()


def laid_out(
    x: Tensor, added: Tensor | None, ends: Tensor, weight: Tensor, bias: Tensor, pooled: tuple[int, int]
) -> Pictures:
    """Tensors as the head of this file says, copied where they lie otherwise.

    Raises WrongTensor or WrongValue for others.
    """
    if x.ndim != 4 or pooled not in POOLED:
        raise WrongTensor(
            f"x has shape {tuple(x.shape)} and is pooled by {pooled}, expected [B, C, T, rows] and one of {POOLED}."
        )
    expected = {"ends": (ends, x.shape[:1]), "weight": (weight, x.shape[1:2]), "bias": (bias, x.shape[1:2])}
    if added is not None:
        expected["added"] = (added, x.shape)
    for name, (tensor, shape) in expected.items():
        if tensor.shape != shape:
            raise WrongTensor(
                f"{name} has shape {tuple(tensor.shape)}, expected {tuple(shape)} for x {tuple(x.shape)}."
            )
    named = [("x", x), ("weight", weight), ("bias", bias), *([] if added is None else [("added", added)])]
    if x.dtype not in REALS or not x.is_cpu:
        raise WrongValue(f"x is {demands.describe(x)}, expected float32 or float64 on the CPU.")
    demands.check_kind(named, x)
    if ends.dtype.is_floating_point or not demands.stored(ends):
        raise WrongValue(f"ends is {demands.describe(ends)}, expected whole numbers.")
    return Pictures(
        _channels_last(x),
        None if added is None else _channels_last(added),
        ends.to("cpu", torch.int64).contiguous(),
        demands.plain(weight).contiguous(),
        demands.plain(bias).contiguous(),
        pooled,
    )


def forward(given: Pictures, epsilon: float) -> tuple[Tensor, Tensor]:
    """y, and of each picture the mean and 1 / √(variance + ε) [B, 2], in float64."""
    B, T, R, C = given.x.shape
    columns, rows = given.pooled
    y = _new((B, T // columns, R // rows, C), given.x)
    statistics = torch.empty(B, 2, dtype=torch.float64)
    call = _call(given, {"y": y, "statistics": statistics}, 1 if not B else min(B, torch.get_num_threads()))
    library(REALS[y.dtype]).recurra_pictures(call.ctypes.data, epsilon)
    return y.permute(0, 3, 1, 2), statistics


def backward(given: Pictures, statistics: Tensor, grad: Tensor) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
    """The gradients of x, `added`, weight and bias, from that of y."""
    B, T, R, C = given.x.shape
    columns, rows = given.pooled
    if grad.shape != (B, C, T // columns, R // rows):
        raise WrongTensor(
            f"the gradient of y has shape {tuple(grad.shape)}, expected {(B, C, T // columns, R // rows)}."
        )
    demands.check_kind([("the gradient of y", grad)], given.x)
    threads = 1 if not B else min(B, torch.get_num_threads())
    made = {
        "statistics": statistics,
        "grad": _channels_last(grad),
        "grad_x": _new(given.x.shape, given.x),
        "grad_weight": given.x.new_empty(B, C),
        "grad_bias": given.x.new_empty(B, C),
        "room": torch.empty(threads, 2, C, dtype=torch.float64),
    }
    if given.added is not None:
        made["grad_added"] = _new(given.x.shape, given.x)
    call = _call(given, made, threads)
    library(REALS[given.x.dtype]).recurra_pictures_backward(call.ctypes.data)
    added = made.get("grad_added")
    return (
        made["grad_x"].permute(0, 3, 1, 2),
        None if added is None else added.permute(0, 3, 1, 2),
        made["grad_weight"].sum(0),
        made["grad_bias"].sum(0),
    )


def _call(given: Pictures, made: dict[str, Tensor], threads: int) -> np.ndarray:
    """csrc/pictures.cpp's Call; what is not there is null."""
    x = given.x
    tensors = {"x": x, "added": given.added, "ends": given.ends, "weight": given.weight, "bias": given.bias, **made}
    addresses = [0 if (tensor := tensors.get(name)) is None else tensor.data_ptr() for name in (*GIVEN, *MADE)]
    return np.array([*addresses, *x.shape, *given.pooled, threads], np.int64)


def _channels_last(x: Tensor) -> Tensor:
    """[B, C, T, rows] as [B, T, rows, C], side by side in memory."""
    return demands.plain(x).permute(0, 2, 3, 1).contiguous()


def _new(shape: tuple[int, ...], like: Tensor) -> Tensor:
    return memory.empty(int(np.prod(shape)), like.dtype).view(shape)


@cache
def library(real: str) -> ctypes.CDLL:
    """csrc/pictures.cpp for a type. Raises `BuildError` where it cannot be compiled."""
    names = ("recurra_pictures", "recurra_pictures_backward")
    found = build.library("pictures", None, real, openmp=True, symbols=names)
    found.recurra_pictures.argtypes = [ctypes.c_void_p, ctypes.c_double]
    found.recurra_pictures_backward.argtypes = [ctypes.c_void_p]
    found.recurra_pictures.restype = found.recurra_pictures_backward.restype = None
    return found
