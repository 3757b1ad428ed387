"""What an engine is told about one layer in one direction, besides its tensors."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from recurra.engine.time import Time
from recurra.engine.trace import Trace
from recurra.equations.derive import PLAIN, Variant
from recurra.equations.language import Cell

NORM_EPSILON = 1e-5
"""Added to the variance of a normalised row, as in torch.nn.LayerNorm."""


@dataclass
class Record:
    """‖∂L/∂h_t‖ as the backward passes by, of each sequence, filled when the backward has run."""

    norms: dict[int, Tensor] = field(default_factory=dict)
    """By step of the direction's own time: [rows], for the rows alive in their packed order."""
    time: Time | None = None
    reverse: bool = False
    """Whether the direction reads from the end."""

    def add(self, step: int, gradient: Tensor) -> None:
        self.norms[step] = torch.linalg.vector_norm(gradient.detach(), dim=-1)

    def add_all(self, gradients: Tensor, sizes: tuple[int, ...]) -> None:
        """The packed rows [N, ·] of all steps at once."""
        norms = torch.linalg.vector_norm(gradients.detach(), dim=-1).split(sizes)
        self.norms |= dict(enumerate(norms))

    def watch(self, step: int, h: Tensor) -> None:
        """For engines whose backward is autograd's."""
        h.register_hook(lambda gradient: self.add(step, gradient))

    @property
    def values(self) -> Tensor:
        """[T] norms over all sequences, in order of time steps (of the direction's own time)."""
        if not self.norms:
            return torch.zeros(0, device="cpu")
        return torch.stack([torch.linalg.vector_norm(self.norms[t]) for t in sorted(self.norms)])

    @property
    def from_the_end(self) -> Tensor:
        """[T] means over the sequences that have such a step, by steps from a sequence's own end: the last first."""
        if not self.norms:
            return torch.zeros(0, device="cpu")
        steps = sorted(self.norms)
        T, sizes = len(steps), torch.tensor([len(self.norms[t]) for t in steps], device="cpu")
        norms = torch.cat([self.norms[t] for t in steps])
        if sizes[0] == sizes[-1]:
            return norms.view(T, -1).mean(1).flip(0)
        # Sequences alive at step t are the first sizes[t]; one ends where it is not among the first sizes[t + 1].
        lengths = (sizes[:, None] > torch.arange(int(sizes[0]), device="cpu")).sum(0)
        rows = torch.cat([lengths[: sizes[t]] - 1 - t for t in range(T)]).to(norms.device)
        total = norms.new_zeros(T).index_add_(0, rows, norms)
        return total / torch.bincount(rows, minlength=T)


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer in one direction: its cell, what was added to it, and how it runs through time."""

    cell: Cell
    time: Time
    variant: Variant = PLAIN
    truncate: int = 0
    """The backward stops at every `truncate`-th step, as if the state were detached there; 0: never."""
    record: Record | None = None
    trace: Trace | None = None
    """What the steps are to leave; the layer then runs on the engine "reference", which computes what is asked for."""
    also: tuple[str, ...] = ()
    """States, besides the first, whose values at every step stand behind the first's in the rows given back, for a
    layer above that reads them."""

    @property
    def given(self) -> tuple[int, ...]:
        """Numbers of the states whose values at every step are given back."""
        return (0, *map(self.cell.state.index, self.also))
