"""What a batch says of gaps in its input, for embedders of numbers."""

from __future__ import annotations

import torch
from torch import Tensor

from recurra.types import Batch, Gaps


def gaps_of(batch: Batch, like: Tensor) -> Gaps:
    """What the fields "dt", "seen" and "since" say of an input [B, T, W], of the type of `like`; where one is not there
    every step is a usual one and all values are seen."""
    given, fields = batch.fields["input"], batch.fields
    dt = fields["dt"][..., 0].to(like.dtype) if "dt" in fields else torch.ones_like(given[..., 0], dtype=like.dtype)
    seen = fields["seen"].to(like.dtype) if "seen" in fields else torch.ones_like(given, dtype=like.dtype)
    since = fields["since"].to(like.dtype) if "since" in fields else dt[..., None].expand_as(given)
    return Gaps(dt, seen, since)
