"""What goes into a model and comes out of it."""

from __future__ import annotations

from dataclasses import dataclass

from recurra.export.graph import FLOAT, Axes

NEXT = "_next"
"""Ends the name of a state after a step: `state_h_next` is what `state_h` takes next."""


@dataclass(frozen=True)
class Slot:
    """An input or output: its name, its shape, and what its entries are."""

    name: str
    shape: Axes
    kind: int = FLOAT
