"""What an engine is told about one layer in one direction, besides its tensors."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from recurra.engine.time import Time
from recurra.equations.derive import PLAIN, Variant
from recurra.equations.language import Cell

NORM_EPSILON = 1e-5
"""Added to the variance of a normalised row, as in torch.nn.LayerNorm."""


@dataclass
class Record:
    """‖∂L/∂h_t‖ as the backward passes by: one number per step, filled when the backward has run."""

    norms: dict[int, Tensor] = field(default_factory=dict)

    def add(self, step: int, gradient: Tensor) -> None:
        self.norms[step] = torch.linalg.vector_norm(gradient.detach())

    def watch(self, step: int, h: Tensor) -> None:
        """For engines whose backward is autograd's."""
        h.register_hook(lambda gradient: self.add(step, gradient))

    @property
    def values(self) -> Tensor:
        """[T] norms in order of time steps (of the direction's own time)."""
        return torch.stack([self.norms[t] for t in sorted(self.norms)]) if self.norms else torch.zeros(0)


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer in one direction: its cell, what was added to it, and how it runs through time."""

    cell: Cell
    time: Time
    variant: Variant = PLAIN
    truncate: int = 0
    """The backward stops at every `truncate`-th step, as if the state were detached there; 0: never."""
    record: Record | None = None
    also: tuple[str, ...] = ()
    """States, besides the first, whose values at every step stand behind the first's in the rows given back, for a
    layer above that reads them."""

    @property
    def given(self) -> tuple[int, ...]:
        """Numbers of the states whose values at every step are given back."""
        return (0, *map(self.cell.state.index, self.also))
