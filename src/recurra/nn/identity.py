"""The core that does nothing, to measure what another one adds, or for a task that has layers enough of its own."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from torch import Tensor, nn

from recurra.nn.attention import places
from recurra.registry import part
from recurra.types import Lengths, Sizes


@part("core", "identity")
class Identity(nn.Module):
    """y_t = x_t, zero behind the ends. x [B, T, D] → y [B, T, D], no state, no parameters."""

    causal: ClassVar[bool] = True
    halves: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()

    def build(self, sizes: Sizes) -> Self:
        """Take the width `sizes.embedding`."""
        self.output_size = sizes.embedding
        return self

    def forward(self, x: Tensor, structure: Lengths, state: Any = None) -> tuple[Tensor, None]:
        if structure.values is None:
            return x, None
        rows = x.transpose(0, 1)
        return rows.masked_fill(~places(structure.values, rows), 0).transpose(0, 1), None
