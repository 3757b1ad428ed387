"""What the steps of a layer make on their way, for whoever looks inside; the engine "reference" fills it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from recurra.engine.time import Time
from recurra.equations.language import Cell, Expression


@dataclass(eq=False)
class Trace:
    """Values of one layer in one direction, step by step in the direction's own time.

    Tensors are those of the computation itself: a loss can be differentiated by the states in them.
    """

    cell: Cell
    time: Time
    layer: int = 0
    reverse: bool = False
    """Whether the direction reads from the end."""
    recurrent: Tensor | None = None
    """W_hh [gates · H, ·], where there is one."""
    wanted: Mapping[str, Expression] = field(default_factory=dict)
    """Name → an expression on the cell's own symbols that is evaluated at every step."""
    values: dict[str, list[Tensor]] = field(default_factory=dict)
    """Name → [rows, ·] of every step; a number that is the same for all rows as it is."""
    states: list[tuple[Tensor, ...]] = field(default_factory=list)
    """The new states [rows, ·] of every step, in the order of `cell.state`."""

    def note(self, found: Mapping[str, Tensor]) -> None:
        """Take in the values of the step under way."""
        for name, value in found.items():
            self.values.setdefault(name, []).append(value)

    def whole(self, name: str) -> Tensor:
        """What was wanted by this name, [N, ·] in packed rows."""
        widths = [value.shape[-1] if value.ndim else 1 for value in self.values[name]]
        rows = zip(self.values[name], self.time.sizes, widths, strict=True)
        return torch.cat([torch.broadcast_to(value, (size, width)) for value, size, width in rows])

    def state(self, name: str) -> Tensor:
        """The state of this name, [N, ·] in packed rows."""
        place = self.cell.state.index(name)
        return torch.cat([states[place] for states in self.states])
