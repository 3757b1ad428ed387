"""A core that hands out what happens inside it, in the place of the core it stands for."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from recurra.engine import Record, Time, Trace
from recurra.equations.gates import watched
from recurra.equations.language import Cell
from recurra.errors import ConfigError
from recurra.types import Lengths


@dataclass(frozen=True, eq=False)
class LayerTrace:
    """What one layer without recurrence made: y [T, B, H], and α [B, heads, T, T] where it attends."""

    layer: int
    y: Tensor
    attention: Tensor | None = None


@dataclass(frozen=True)
class Watch:
    """The lists that a call of recurrent layers hands in, for what is seen on the way."""

    record: list[Record] | None
    trace: list[Trace] | None

    def layer(self, cell: Cell, time: Time, layer: int, reverse: bool) -> tuple[Record | None, Trace | None]:
        """What one layer in one direction is to fill."""
        record = trace = None
        if self.record is not None:
            record = Record(time=time, reverse=reverse)
            self.record.append(record)
        if self.trace is not None:
            trace = Trace(cell, time, layer, reverse, wanted=watched(cell))
            self.trace.append(trace)
        return record, trace


class Watched:
    """The core with lists to be filled: `trace` with what each layer made, `record` with the norms of ∂L/∂h.

    A task takes it for the core itself; the core is not changed, so that others may use it at the same time.
    `cut`: what the core reads is taken as it is, so that a gradient goes as far as it and no parameter is needed.
    Raises `ConfigError` for a core that hands out nothing of the kind.
    """

    def __init__(
        self,
        core: Any,
        *,
        record: list[Record] | None = None,
        trace: list[Trace | LayerTrace] | None = None,
        cut: bool = False,
    ) -> None:
        asked = {"record": record, "trace": trace}
        self._lists = {name: found for name, found in asked.items() if found is not None}
        self._core, self._cut = core, cut
        self.y: Tensor | None = None
        """What the core gave when it was called last."""
        known = inspect.signature(core.forward).parameters
        for name in self._lists:
            if name not in known:
                what = {"record": "records no gradients", "trace": "hands out nothing of its inside"}[name]
                raise ConfigError(
                    f"the core {type(core).__name__} {what}: its forward takes no `{name}`. The cores recurrent and "
                    "both-ways do."
                )

    def __call__(self, x: Tensor, structure: Lengths, state: Any = None) -> tuple[Tensor, Any]:
        if self._cut and torch.is_grad_enabled():
            x = x.detach().requires_grad_()
        self.y, after = self._core(x, structure, state, **self._lists)
        return self.y, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._core, name)
