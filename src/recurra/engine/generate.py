"""A program written out as two Python functions in torch, `forward` and `backward`, for a stretch of packed rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

from recurra.engine.layer import NORM_EPSILON
from recurra.engine.program import Program, program
from recurra.engine.write_backward import write_backward
from recurra.engine.write_forward import write_forward
from recurra.equations.derive import Variant
from recurra.equations.language import Cell


@dataclass(frozen=True)
class Generated:
    """The two functions of a program and their source."""

    program: Program
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    source: str


@lru_cache(maxsize=256)
def generate(cell: Cell, variant: Variant, also: tuple[str, ...] = ()) -> Generated:
    """The functions of a cell, written and compiled once; `also` as in `Layer`."""
    made = program(cell, variant)
    source = "\n".join((*write_forward(made), "", "", *write_backward(made, also), ""))
    space: dict[str, Any] = {
        "torch": torch,
        "F": torch.nn.functional,
        "norm": _norm,
        "norm_transposed": _norm_transposed,
    }
    exec(compile(source, f"<recurra engine for {cell.name}>", "exec"), space)
    return Generated(made, space["forward"], space["backward"], source)


def _norm(row: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Row at mean 0 and variance 1, and 1/σ [n, 1]."""
    out, _, scale = torch.native_layer_norm(row, row.shape[-1:], None, None, NORM_EPSILON)
    return out, scale


def _norm_transposed(gradient: torch.Tensor, result: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """∂L/∂row from ∂L/∂result."""
    mean = gradient.mean(-1, keepdim=True)
    along = (gradient * result).mean(-1, keepdim=True)
    return (gradient - mean).addcmul_(result, along, value=-1).mul_(scale)
