"""Write nothing that has no name."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from recurra.decoding.hypothesis import Step


def known_only(step: Step, unknown: int) -> Step:
    """A step whose unknown symbol has log p = −∞; any search works over it.

    The others keep the log-probability the model gives them; a search that draws shares out what is left.
    """

    def known(state: Any, token: Tensor) -> tuple[Tensor, Any]:
        log_p, state = step(state, token)
        return log_p.index_fill(1, torch.tensor([unknown], device=log_p.device), -torch.inf), state

    return known
