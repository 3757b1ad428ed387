"""A batch whose values are not there yet: torch.compile, torch.export, torch.jit.trace and fake tensors know shapes.

Where `Time` counts the rows that are alive, `Padded` leaves every sequence at its full length and hands the lengths on
as a tensor, to `operator.run`. It has the methods of `Time` that a layer calls; its rows are [T, B, ·].
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import get_proxy_mode

from recurra.engine.demands import PLAIN


def recorded() -> bool:
    """Whether torch.compile, torch.export, torch.jit.trace or make_fx is making a program of what is called."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing() or get_proxy_mode() is not None


def traced(x: Tensor) -> bool:
    """Whether a call with x is being recorded, or has shapes only."""
    return recorded() or type(x).__torch_dispatch__ is not PLAIN


@dataclass(frozen=True, eq=False)
class Padded:
    """B sequences of T steps, in the caller's order; `lengths` [B] or None as in the layer's call."""

    steps: int
    batch: int
    lengths: Tensor | None

    @property
    def alive(self) -> int:
        return self.batch

    @property
    def rows(self) -> int:
        return self.steps * self.batch

    @property
    def place(self) -> tuple[Tensor, Tensor]:
        """For each row its time step and its sequence, [T · B] each."""
        step, sequence = torch.arange(self.steps, device="cpu"), torch.arange(self.batch, device="cpu")
        return step.repeat_interleave(self.batch), sequence.repeat(self.steps)

    def pack(self, x: Tensor) -> Tensor:
        """[T, B, D] as it is: a shape that is only known by name is best left alone."""
        return x

    def unpack(self, rows: Tensor, steps: int) -> Tensor:
        """As `pack`."""
        return rows

    def reverse(self, rows: Tensor) -> Tensor:
        """Every sequence turned round within its own length; what lies behind stays there."""
        if self.lengths is None:
            return rows.flip(0)
        step = torch.arange(self.steps, device=rows.device)[:, None]
        ends = self.lengths.to(rows.device)[None, :]
        place = torch.where(step < ends, ends - 1 - step, step)  # [T, B]
        return rows.gather(0, place[:, :, None].expand(rows.shape))

    def sort(self, state: Tensor) -> Tensor:
        return state

    def unsort(self, state: Tensor) -> Tensor:
        return state
