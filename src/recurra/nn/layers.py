"""The settings that parts made of recurrent layers have alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from recurra.engine import Backend
from recurra.equations.language import Cell
from recurra.equations.parse import parse
from recurra.errors import ConfigError, WrongValue
from recurra.limits import check_layers, check_size
from recurra.nn.arguments import check_shares
from recurra.nn.recurrent import Recurrent
from recurra.signatures import group


@group
@dataclass(frozen=True)
class Layers:
    """Layers of one cell."""

    cell: str | None = None
    """A registered one; where none is named, the part has one of its own."""
    hidden_size: int = 256
    num_layers: int = 1
    dropout: float = 0.0
    """Between layers: the share of entries that are zero in training."""
    init_range: float | None = None
    """Weights start from U(−init_range, init_range); without one as their cell says."""
    backend: Backend = "auto"


@group
@dataclass(frozen=True)
class Regularisation:
    """What training does to layers besides dropout between them, each with its source in `Recurrent`."""

    variational: bool = False
    """Dropout by one mask a sequence."""
    recurrent_dropout: float = 0.0
    weight_dropout: float = 0.0
    zoneout: float = 0.0


def check_core(layers: Layers, regularisation: Regularisation) -> None:
    """Raise `ConfigError` for settings of a core that are out of range, by their names in a recipe."""
    check_size("core.hidden_size", layers.hidden_size)
    check_layers("core.num_layers", layers.num_layers)
    for name, number in (("hidden_size", layers.hidden_size), ("num_layers", layers.num_layers)):
        if number < 1:
            raise ConfigError(f"core.{name} = {number}, expected 1 or more.")
    if layers.init_range is not None and layers.init_range <= 0:
        raise ConfigError(f"core.init_range = {layers.init_range}, expected more than 0, or none for the cell's own.")
    shares = {name: value for name, value in vars(regularisation).items() if name != "variational"}
    try:
        check_shares(layers.dropout, **shares)
    except WrongValue as error:
        raise ConfigError(f"core.{error}") from error


def make_layers(
    cell: str | Cell, input_size: int, layers: Layers, regularisation: Regularisation, **more: Any
) -> Recurrent:
    """Layers of a cell, as such settings describe them; `more` is for `Recurrent`."""
    return Recurrent(
        cell,
        input_size,
        layers.hidden_size,
        layers.num_layers,
        dropout=layers.dropout if layers.num_layers > 1 else 0.0,  # a recipe may vary its layers; one has none between
        backend=layers.backend,
        **vars(regularisation),
        **more,
    )


def start_weights(module: nn.Module, init_range: float | None) -> None:
    """Draw all weights from U(−init_range, init_range), if there is one."""
    if init_range is not None:
        for parameter in module.parameters():
            nn.init.uniform_(parameter, -init_range, init_range)


def cell_of(layers: Layers, equations: str | None) -> str | Cell:
    """The cell of a core: named, or written out in the language of recurra.equations.parse.

    Raises `ConfigError` where it is both, and for equations that are none.
    """
    if equations is None:
        return layers.cell or "lstm"
    if layers.cell is not None:
        raise ConfigError(
            f"core.cell = {layers.cell!r} and core.equations both say what the core computes: keep one of them."
        )
    return parse(equations)
