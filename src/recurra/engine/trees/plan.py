"""What an engine is told about a batch of trees and the cell that goes over it, besides tensors that are learned."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from recurra.engine.layer import Record
from recurra.equations.children import EACH
from recurra.equations.language import Cell
from recurra.errors import WrongValue
from recurra.types import Tree


@dataclass(frozen=True, eq=False)
class Plan:
    """One cell over the trees of a batch."""

    cell: Cell
    tree: Tree
    record: Record | None = None
    """Gets ‖∂L/∂h‖ of every node as the backward passes by, under step 0, in the order of rows."""

    @property
    def each(self) -> bool:
        """Whether the cell takes children that are all alike."""
        return self.cell.children == EACH

    @cached_property
    def levels(self) -> list[tuple[int, int]]:
        """First and last row of each height, the last not included."""
        return list(pairwise(accumulate(self.tree.sizes.tolist(), initial=0)))

    @property
    def leaves(self) -> int:
        """Nodes without children: as many rows, the first."""
        return self.levels[0][1]

    @cached_property
    def edges(self) -> list[tuple[int, int]]:
        """First and last child of the nodes of each height, the last not included."""
        starts = torch.tensor([first for first, _ in self.levels] + [self.tree.nodes], device=self.tree.parent.device)
        return list(pairwise(torch.searchsorted(self.tree.parent, starts).tolist()))

    @cached_property
    def slots(self) -> Tensor:
        """[places, N - leaves] Row of the child at each place of a node that has children, N where there is none.

        Raises WrongValue for a node with more children than the cell has places.
        """
        parent, places, inner = self.tree.parent, len(self.cell.children), self.tree.nodes - self.leaves
        number = torch.arange(len(parent), device=parent.device)
        place = number - torch.searchsorted(parent, parent)  # after the first of the same parent
        if len(place) and int(place.max()) >= places:
            name = self.cell.name.partition(",")[0]
            raise WrongValue(
                f"a node with {int(place.max()) + 1} children, expected {places} at most, which is what the cell "
                f"{name!r} takes. Use a cell of any number of children, such as child-sum-lstm, or binary trees."
            )
        slots = torch.full((places, inner), self.tree.nodes, device=parent.device)
        slots[place, parent - self.leaves] = self.tree.child
        return slots

    @cached_property
    def placed(self) -> Tensor:
        """[N - leaves, places] The same, the children of one node side by side."""
        return self.slots.t().contiguous()
