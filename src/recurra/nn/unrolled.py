"""A core that goes on from what it says itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from recurra.types import Lengths


def unrolled(core: nn.Module, y: Tensor, state: Any, steps: int, following: Callable[[int, Tensor], Tensor]) -> Tensor:
    """y [B, steps, H] of as many steps of a core: the `y` [B, H] that it ended with in `state`, then those of
    x_m = following(m, y_{m−1}) [B, 1, D], m from 1, each read from the state before."""
    found = [y]
    for m in range(1, steps):
        given, state = core(following(m, found[-1]), Lengths(), state)
        found.append(given[:, 0])
    return torch.stack(found, 1)
