"""Windows of series, and the frame that one is read in: what it is told from as the zero, its spread as the unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Frame:
    """x ↦ (x − zero) / unit, and back.

    `last` [B, S, W] are the S last steps of windows: the zero of a step is that of them which lies whole numbers of S
    before or behind it, so that S = 1 is the last value for all, a season's length the last season again and again.
    `unit` [B, 1, W]. None leaves as it is.
    """

    last: Tensor | None = None
    unit: Tensor | None = None
    ends: Tensor | None = None
    """How long each window is [B], where they differ."""
    line: Tensor | None = None
    """What is known to follow a window [B, H, W], in its frame; the zero of what does."""

    @classmethod
    def of(cls, x: Tensor, lengths: Tensor | None, season: int, floor: float | None) -> Self:
        """The frame of windows [B, T, W]: their `season` last steps, with 0 none, and √(variance + `floor`²), without a
        floor none. In front of a window that is shorter lies its last value."""
        last = None
        if season and lengths is None and x.shape[1] >= season:
            last = x[:, x.shape[1] - season :]
        elif season:
            n = torch.full((len(x),), x.shape[1], device=x.device) if lengths is None else lengths
            places = (n - season)[:, None] + torch.arange(season, device=x.device)
            places = torch.where(places < 0, (n - 1).clamp(min=0)[:, None], places)
            last = x.gather(1, places[..., None].expand(-1, -1, x.shape[2]))
        if floor is None:
            return cls(last, None, lengths)
        if lengths is None:
            variance = x.var(1, keepdim=True, correction=0)
        else:
            there = (torch.arange(x.shape[1], device=x.device) < lengths[:, None])[..., None]
            n = lengths.clamp(min=1)[:, None, None]
            mean = torch.where(there, x, 0).sum(1, keepdim=True) / n
            variance = torch.where(there, x - mean, 0).square().sum(1, keepdim=True) / n
        return cls(last, (variance + floor**2).sqrt(), lengths)

    def of_past(self, x: Tensor) -> Tensor:
        """The windows themselves [B, T, W] in their frame."""
        return self._scaled(x if self.last is None else x - self._zero(x.shape[1], behind=False))

    def of_future(self, x: Tensor) -> Tensor:
        """What follows them [B, H, W] in their frame."""
        x = self._scaled(x if self.last is None else x - self._zero(x.shape[1], behind=True))
        return x if self.line is None else x - self.line

    def future(self, x: Tensor) -> Tensor:
        """What follows them, said in their frame [B, H, W], as it is outside of it."""
        x = x if self.line is None else x + self.line
        x = x if self.unit is None else x * self.unit
        return x if self.last is None else x + self._zero(x.shape[1], behind=True)

    def _scaled(self, x: Tensor) -> Tensor:
        return x if self.unit is None else x / self.unit

    def _zero(self, steps: int, behind: bool) -> Tensor:
        assert self.last is not None
        S = self.last.shape[1]
        if S == 1:
            return self.last
        t = torch.arange(steps, device=self.last.device)
        if behind or self.ends is None:
            return self.last[:, t % S if behind else (t - steps) % S]
        places = (t - self.ends[:, None]) % S  # [B, T]
        return self.last.gather(1, places[..., None].expand(-1, -1, self.last.shape[2]))


@dataclass(frozen=True)
class Window:
    """What is looked back on [B, L, W], and the horizon behind it [B, H, W], NaN where a sequence ends before that."""

    past: Tensor
    lengths: Tensor | None
    """How long each is [B], where they differ."""
    future: Tensor
    beside: Sequence[Tensor] = ()
    """What is read beside the past, [B, L, ·] each."""
    to_come: Sequence[Tensor] = ()
    """What is known of the future, [B, H, ·] each."""
    gaps: Mapping[str, Tensor] = field(default_factory=dict)
    """The fields that say what of the past was seen, [B, L, ·] each, by name."""

    @classmethod
    def cut(cls, whole: Sequence[Tensor], n: Tensor | None, H: int, known: int = 0) -> Self:
        """Sequences [B, T, ·] of `n` steps [B] cut before their last H: the series, then what lies beside it, the first
        `known` of which are known of the future, too. Of a sequence too short for both the past is one step."""
        x, *beside = whole
        T = x.shape[1]
        if n is None and T > H:
            future = [each[:, T - H :] for each in whole]
            return cls(x[:, : T - H], None, future[0], [each[:, : T - H] for each in beside], future[1 : 1 + known])
        n = torch.full((len(x),), T, device=x.device) if n is None else n
        lengths = (n - H).clamp(min=1).minimum(n)
        steps = lengths[:, None] + torch.arange(H, device=x.device)  # [B, H]
        behind = (steps >= n[:, None])[..., None]
        places = steps.clamp(max=T - 1)[..., None]
        future = [each.gather(1, places.expand(-1, -1, each.shape[2])) for each in whole]
        missing = [future[0].masked_fill(behind, torch.nan), *(each.masked_fill(behind, 0) for each in future[1:])]
        past = [each[:, : max(1, T - H)] for each in whole]
        return cls(past[0], lengths, missing[0], past[1:], missing[1 : 1 + known])


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
