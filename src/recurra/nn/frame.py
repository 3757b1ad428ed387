"""The frame that a window of a series is read in: its last value as the zero, its spread as the unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Frame:
    """x ↦ (x − `zero`) / `unit`, both [B, 1, W], and back; None leaves as it is."""

    zero: Tensor | None = None
    unit: Tensor | None = None

    @classmethod
    def of(cls, x: Tensor, lengths: Tensor | None, subtract_last: bool, floor: float | None) -> Self:
        """The frame of windows [B, T, W]: their last value, and √(variance + `floor`²), without a floor none."""
        zero = last_step(x, lengths) if subtract_last else None
        if floor is None:
            return cls(zero)
        if lengths is None:
            variance = x.var(1, keepdim=True, correction=0)
        else:
            there = (torch.arange(x.shape[1], device=x.device) < lengths[:, None])[..., None]
            n = lengths.clamp(min=1)[:, None, None]
            mean = torch.where(there, x, 0).sum(1, keepdim=True) / n
            variance = torch.where(there, x - mean, 0).square().sum(1, keepdim=True) / n
        return cls(zero, (variance + floor**2).sqrt())

    def inside(self, x: Tensor) -> Tensor:
        """Values [B, T, W] in the frame."""
        x = x if self.zero is None else x - self.zero
        return x if self.unit is None else x / self.unit

    def outside(self, x: Tensor) -> Tensor:
        """Values of the frame as they are outside of it."""
        x = x if self.unit is None else x * self.unit
        return x if self.zero is None else x + self.zero


def last_step(x: Tensor, lengths: Tensor | None) -> Tensor:
    """The last step of each sequence [B, 1, D]."""
    if lengths is None:
        return x[:, -1:]
    return x.gather(1, (lengths - 1).clamp(min=0)[:, None, None].expand(-1, 1, x.shape[2]))


def tail(x: Tensor, lengths: Tensor | None, steps: int) -> tuple[Tensor, Tensor | None]:
    """The last so many steps of each sequence, those of shorter ones all; and their lengths."""
    if lengths is None:
        return x[:, -steps:], None
    places = (lengths - steps).clamp(min=0)[:, None] + torch.arange(steps, device=x.device)
    return x.gather(1, places.clamp(max=x.shape[1] - 1)[..., None].expand(-1, -1, x.shape[2])), lengths.clamp(max=steps)
