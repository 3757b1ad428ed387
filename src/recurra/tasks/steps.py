"""The targets of chosen steps alone: what `step_loss` of a task is the loss of."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from recurra.nn.softmax import IGNORED
from recurra.types import Batch


def only_steps(batch: Batch, field: str, steps: Tensor) -> Batch:
    """The batch with one target a sequence, that of its step `steps` [B] in `field` [B, T]; all others are unknown."""
    target = batch.fields[field]
    there = torch.arange(target.shape[1], device=target.device) == steps.to(target.device)[:, None]
    return replace(batch, fields={**batch.fields, field: target.masked_fill(~there, IGNORED)})
