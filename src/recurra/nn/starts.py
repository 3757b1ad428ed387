"""How a recurrent layer's weights start: drawn as torch.nn draws them, or as the cell says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from recurra.equations.language import Cell
from recurra.equations.starts import Drawn, Start
from recurra.errors import ConfigError, did_you_mean


def check_starts(cell: Cell) -> None:
    """Raises ConfigError for a start of a weight or gate that the cell has not, or of no known kind."""
    for name, start in cell.start.items():
        if name not in cell.weights:
            raise ConfigError(
                f"cell {cell.name!r} says how {name!r} starts{did_you_mean(name, cell.weights)} "
                f"Its weights: {', '.join(cell.weights)}."
            )
        for gate, one in (start if isinstance(start, Mapping) else {"": start}).items():
            gates = gates_of(cell, name)
            if gate and gate not in gates:
                raise ConfigError(
                    f"cell {cell.name!r} says how the rows of gate {gate!r} in {name!r} start"
                    f"{did_you_mean(gate, gates)} Its gates there: {', '.join(gates) or 'none'}."
                )
            number = isinstance(one, (int, float)) and not isinstance(one, bool)
            if not number and not isinstance(one, Drawn) and one != "identity":
                raise ConfigError(
                    f"cell {cell.name!r} starts {name}{f'.{gate}' if gate else ''} at {one!r}, expected a number, "
                    "'identity' or a distribution of recurra.equations.starts."
                )


def gates_of(cell: Cell, weight: str) -> tuple[str, ...]:
    """The gates whose rows a weight holds, in order."""
    rows = {"ih": cell.input_gates, "hh": cell.recurrent_gates}
    return rows.get(weight.removeprefix("weight_").removeprefix("bias_"), ())


@torch.no_grad()
def draw(
    weight: Tensor, start: Start | Mapping[str, Start] | None, gates: Sequence[str], units: int, bound: float
) -> None:
    """Fill a weight as its start says; None: uniform in ±bound. `gates`: those whose rows it holds, `units` each."""
    match start:
        case None:
            nn.init.uniform_(weight, -bound, bound)
        case Drawn(kind="normal", a=mean, b=deviation):
            nn.init.normal_(weight, mean, deviation)
        case Drawn(kind=kind, a=low, b=high):
            nn.init.uniform_(weight, low, high)
            if kind == "log_uniform":
                weight.log_()
        case Mapping():
            for gate, rows in zip(gates, weight.split(units), strict=True):
                draw(rows, start.get(gate), (), units, bound)
        case "identity":
            for square in weight.split(units):
                nn.init.eye_(square)
        case _:
            nn.init.constant_(weight, float(start))
