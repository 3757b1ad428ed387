"""What comes beside x with every step of a recurrent layer: the time since the step before, and what was seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from recurra.engine import Time
from recurra.engine.padded import Padded
from recurra.equations.language import Cell
from recurra.errors import WrongTensor, WrongType, WrongValue


def check_given(given: Mapping[str, Tensor], cell: Cell, x: Tensor, weight: Tensor) -> None:
    """Raises WrongType, WrongTensor or WrongValue unless `dt` has the shape of the layer's input x but for its last
    axis, `seen` and `since` all of it, and the cell reads them; x as the caller has it."""
    for name, value in given.items():
        if name not in cell.takes:
            raise WrongValue(
                f"{name} is given, but the cell {cell.name!r} takes {', '.join(cell.takes) or 'nothing'} beside x. "
                "Leave it out, or take a cell whose equations read it, such as 'gru-d' or 'gru-decay'."
            )
        if not isinstance(value, Tensor):
            raise WrongType(f"{name} is a {type(value).__name__}, expected a tensor.")
        expected = x.shape[:-1] if name == "dt" else x.shape
        if value.shape != expected:
            raise WrongTensor(f"{name} has shape {tuple(value.shape)}, expected {tuple(expected)} as the input has.")
        if value.device != weight.device:
            raise WrongTensor(
                f"{name} is on {value.device}, the layer's weights are on {weight.device}. Move one with .to(…)."
            )


def usual(cell: Cell, x: Tensor, units: int) -> dict[str, Tensor]:
    """What a layer of `units` reads beside one step x [B, I], by the engine's names, where every step is a usual one
    and every value there."""
    return {f"given_{name}": x.new_ones(x.shape[0], units if name == "dt" else x.shape[1]) for name in cell.given}


@dataclass(frozen=True, eq=False)
class Beside:
    """The values that were given for the lowest layer, by name: dt [T, B, 1], seen and since [T, B, I].

    What is not given is of steps that are all usual ones: dt and seen are 1, since is dt. Above the lowest layer every
    value is there at every step: seen is 1, since is dt. Read from the end, the time since the step before is that to
    the step behind, 1 at the last; seen and since are of the values themselves and stay with them.
    """

    values: Mapping[str, Tensor]
    time: Time | Padded

    def rows(self, cell: Cell, layer: int, reverse: bool, x: Tensor, units: int) -> dict[str, Tensor]:
        """What a layer of `units` reads beside its input x [N, I], by the engine's names, in the direction's own
        time."""
        found = {}
        for name in cell.given:
            if name != "dt" and layer == 0 and name in self.values:
                rows = self.time.pack(self.values[name])
                found[f"given_{name}"] = self.time.reverse(rows) if reverse else rows
            else:
                steps = x.new_ones(*x.shape[:-1], 1) if name == "seen" else self._dt(reverse, x)
                found[f"given_{name}"] = steps.expand(*x.shape[:-1], units if name == "dt" else x.shape[-1])
        return found

    def _dt(self, reverse: bool, x: Tensor) -> Tensor:
        """[N, 1]"""
        if "dt" not in self.values:
            return x.new_ones(*x.shape[:-1], 1)
        rows = self.time.pack(self.values["dt"])
        if not reverse:
            return rows
        padded = self.time.unpack(self.time.reverse(rows), self.time.steps)
        before = torch.cat((torch.ones_like(padded[:1]), padded[:-1]))
        return self.time.pack(before)
