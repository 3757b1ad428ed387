"""From a vector at every step to one for the whole sequence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from recurra.engine.time import check_lengths
from recurra.errors import ConfigError, did_you_mean

Kind = Literal["last", "mean", "max", "attention", "all", "middle"]
Memory = tuple[Tensor, ...]
"""What a pooling of a sequence that is not at its end remembers, each [B, ·]."""


class Pooling(nn.Module):
    """One vector of a sequence's steps. y [B, T, H], lengths [B], None: all full → [B, H]; an empty sequence gives 0.

    - last: the last valid step; with `both` the first half of the units, which were read forwards, at the last step and
      the second half, read backwards, at the first: each direction where it has seen everything.
    - mean, max: over the valid steps.
    - attention: Σ_t a_t y_t, a = softmax over valid steps of u · tanh(W y_t + b) (Yang et al. 2016).
    - all: mean, max and last side by side, [B, 3H], which `output_size` says (Howard & Ruder 2018, concat pooling).
    - middle: the steps on both sides of the middle side by side, [B, 2H]: of L steps those numbered ⌊(L − 1)/2⌋ and
      ⌊L/2⌋ from 0, for sequences that were cut out around a place.
    """

    def __init__(self, kind: Kind, size: int, both: bool = False) -> None:
        super().__init__()
        if kind not in get_args(Kind):
            known = get_args(Kind)
            raise ConfigError(f"unknown pooling {kind!r}{did_you_mean(kind, known)} Known: {', '.join(known)}.")
        if both and size % 2:
            raise ConfigError(f"pooling of both directions: size = {size} is odd, expected two halves.")
        self.kind, self.size, self.both = kind, size, both
        self.output_size = size * {"all": 3, "middle": 2}.get(kind, 1)
        if kind == "attention":
            self.projection = nn.Linear(size, size)
            self.question = nn.Parameter(torch.empty(size).uniform_(-1 / math.sqrt(size), 1 / math.sqrt(size)))

    def extra_repr(self) -> str:
        return f"{self.kind!r}, {self.size}"

    def forward(self, y: Tensor, lengths: Tensor | None = None) -> Tensor:
        B, T, _ = y.shape
        lengths = (torch.full((B,), T) if lengths is None else check_lengths(lengths, T, B)).to(y.device)
        if T == 0:
            return y.new_zeros(B, self.output_size)
        valid = (torch.arange(T, device=y.device) < lengths[:, None])[:, :, None]  # [B, T, 1]
        empty = (lengths == 0)[:, None]
        kinds: Sequence[Kind] = ("mean", "max", "last") if self.kind == "all" else (self.kind,)
        pooled = [self._pooled(kind, y, lengths, valid, empty) for kind in kinds]
        return (pooled[0] if len(pooled) == 1 else torch.cat(pooled, 1)).masked_fill(empty, 0)

    def _pooled(self, kind: Kind, y: Tensor, lengths: Tensor, valid: Tensor, empty: Tensor) -> Tensor:
        """[B, H]; of an empty sequence anything."""
        B, _, H = y.shape
        if kind == "last":
            last = y[torch.arange(B, device=y.device), (lengths - 1).clamp(min=0)]
            return torch.cat((last[:, : H // 2], y[:, 0, H // 2 :]), 1) if self.both else last
        if kind == "middle":
            rows, first = torch.arange(B, device=y.device), (lengths - 1).clamp(min=0)
            return torch.cat((y[rows, first // 2], y[rows, (first + 1) // 2]), 1)
        if kind == "mean":
            return y.masked_fill(~valid, 0).sum(1) / lengths.clamp(min=1)[:, None]
        if kind == "max":
            return y.masked_fill(~valid, -math.inf).amax(1)
        y = y.masked_fill(~valid, 0)
        scores = torch.tanh(self.projection(y)) @ self.question  # [B, T]
        # An empty sequence attends to zeros, so that its softmax is no 0 / 0.
        scores = scores.masked_fill(~valid[:, :, 0] & ~empty, -math.inf)
        return torch.einsum("bt,bth->bh", scores.softmax(1), y)

    def follow(self, y: Tensor, memory: Memory | None = None) -> tuple[Tensor, Memory]:
        """One more step, y [B, H], of sequences that are read as they come: the pooled vectors [B, H] of all steps so
        far, and what is to be remembered of them, which does not grow; None before the first.

        Sums are kept in float64: a stream may be longer than float32 can count. Not for `both`, which is known at the
        end only, nor for "middle", which moves as more is read: it raises ConfigError.
        """
        if self.kind == "middle":
            raise ConfigError('pooling = "middle" is known at the end of a sequence only. Pool by "last" or "mean".')
        if self.kind == "last":
            return y, ()
        if self.kind == "max":
            largest = torch.maximum(memory[0], y) if memory else y
            return largest, (largest,)
        wide = y.double()
        if self.kind == "all":
            total, count, largest = memory or (torch.zeros_like(wide), wide.new_zeros(len(y), 1), y)
            memory = (total + wide, count + 1, torch.maximum(largest, y))
            return torch.cat(((memory[0] / memory[1]).to(y.dtype), memory[2], y), 1), memory
        if self.kind == "mean":
            one = wide.new_ones(len(y), 1)
            total, count = (memory[0] + wide, memory[1] + one) if memory else (wide, one)
            return (total / count).to(y.dtype), (total, count)
        score = (torch.tanh(self.projection(y)) @ self.question)[:, None].double()  # [B, 1]
        if not memory:
            return y, (score, torch.ones_like(score), wide)
        peak = torch.maximum(memory[0], score)
        before, now = (memory[0] - peak).exp(), (score - peak).exp()
        weight, total = memory[1] * before + now, memory[2] * before + wide * now
        return (total / weight).to(y.dtype), (peak, weight, total)


def has_halves(core: Any) -> bool:
    """Whether a core's output is what it read forwards beside what it read backwards.

    Raises ConfigError for one that looks ahead without keeping the two apart: its last step has not seen everything.
    """
    halves = bool(core.halves)
    if not halves and not core.causal:
        raise ConfigError(
            'pooling = "last" wants the last state of each direction, but this core does not keep its directions '
            'apart. Set core.merge = "concat" where it has one, or pool by "max", "mean" or "attention".'
        )
    return halves
