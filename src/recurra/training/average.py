"""A mean of the weights over many steps, which often predicts better than the weights of any one step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


class Average:
    """m ← β m + (1 − β) w after each step n.

    With a decay β = min(decay, (1 + n)/(10 + n)), so that early steps are forgotten; without one β = 1 − 1/(n − s + 1):
    the plain mean of the weights after step s = `since` and after every later one.
    Source: Polyak & Juditsky 1992; the ramp of β as in TensorFlow's ExponentialMovingAverage.
    """

    def __init__(self, parameters: list[Tensor], decay: float | None, since: int = 0) -> None:
        self.decay, self.since = decay, since
        self.parameters = parameters
        self.means: list[Tensor] = [p.detach().clone() for p in parameters]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after step number `step`, counted from 1."""
        if self.decay is None:
            share = 1.0 / (step - self.since + 1)
        else:
            share = 1.0 - min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.means, self.parameters, share)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside, the model has the means as its weights; afterwards its own again, to the last bit."""
        own = [p.detach().clone() for p in self.parameters]
        with torch.no_grad():
            torch._foreach_copy_(self.parameters, self.means)
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(self.parameters, own)
