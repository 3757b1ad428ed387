"""Dropout: entry by entry, or with one mask that holds at all time steps of a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from recurra.engine import Time
    from recurra.engine.padded import Padded


def draw_mask(shape: Sequence[int], share: float, like: Tensor) -> Tensor:
    """Entries that are 0 with probability `share` and 1 / (1 − share) otherwise, of the type and place of `like`."""
    if share >= 1:
        return like.new_zeros(tuple(shape))
    exact = torch.promote_types(like.dtype, torch.float32)
    # Uniform numbers, compared: measured four times faster on a CPU than `bernoulli_`, which F.dropout calls.
    mask = torch.empty(shape, dtype=exact, device=like.device).uniform_()
    return mask.lt_(1 - share).div_(1 - share).to(like.dtype)


def dropout(x: Tensor, share: float, training: bool, variational: bool = False) -> Tensor:
    """x [T, B, D] with entries zeroed with probability `share` and the rest divided by 1 − share; x outside training.

    With `variational` a unit of a sequence is zeroed at all time steps or at none: the mask is [B, D].
    Source: Gal & Ghahramani 2016; called locked dropout in Merity, Keskar & Socher 2017, section 4.2.
    """
    if not variational or not training or not share:
        return F.dropout(x, share, training)
    return x * draw_mask(x.shape[1:], share, x)


def packed_dropout(rows: Tensor, time: Time | Padded, share: float, training: bool, variational: bool) -> Tensor:
    """`dropout` of packed rows [N, D], whose steps and sequences `time` knows."""
    if not variational or not training or not share or not time.rows:
        return F.dropout(rows, share, training)
    if time.rows == time.steps * time.alive:  # of one length: no mask is held for more than one step
        steps = rows if rows.ndim == 3 else rows.unflatten(0, (time.steps, time.alive))
        return dropout(steps, share, True, variational=True).view(rows.shape)
    mask = draw_mask((time.alive, rows.shape[1]), share, rows)
    return rows * mask.index_select(0, time.place[1].to(rows.device))
