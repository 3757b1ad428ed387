"""The targets of chosen steps alone: what `step_loss` of a task is the loss of."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from recurra.nn.softmax import IGNORED
from recurra.types import Batch


def only_steps(batch: Batch, field: str, steps: Tensor) -> Batch:
    """The batch with one target a sequence, that of its step `steps` [B] in `field` [B, T], or [B, T, D] of numbers;
    all others are unknown."""
    target = batch.fields[field]
    there = torch.arange(target.shape[1], device=target.device) == steps.to(target.device)[:, None]
    there = there.reshape(*there.shape, *[1] * (target.ndim - 2))
    unknown = math.nan if target.is_floating_point() else IGNORED
    return replace(batch, fields={**batch.fields, field: target.masked_fill(~there, unknown)})
