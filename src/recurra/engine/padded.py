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


def turned(x: Tensor, lengths: Tensor | None) -> Tensor:
    """x [T, B, D] with every sequence from its own end to its begin; what stands behind the ends stays there."""
    if lengths is None:
        return x.flip(0)
    T, B, _ = x.shape
    t, ends = torch.arange(T, device=x.device)[:, None], lengths.to(x.device)
    place = torch.where(t < ends, ends - 1 - t, t)  # [T, B]
    rows = place * B + torch.arange(B, device=x.device)
    return x.reshape(T * B, -1).index_select(0, rows.flatten()).view_as(x)


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
        """Every sequence turned round within its own length."""
        return turned(rows, self.lengths)

    def sort(self, state: Tensor) -> Tensor:
        return state

    def unsort(self, state: Tensor) -> Tensor:
        return state
