"""Single steps of a stack of layers, prepared once: weights packed, functions found, one call a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.engine.demands import check_kind, check_weights, plain
from recurra.engine.layer import NORM_EPSILON
from recurra.engine.native import build
from recurra.engine.native.machine import (
    EXACT,
    INTEGERS,
    PAIRS,
    REALS,
    ROOM,
    addresses,
    kernel,
    pack,
    prepared,
    room_for_low,
)
from recurra.engine.native.plan import single_step
from recurra.engine.native.sweep import Mode
from recurra.engine.native.write import write_points
from recurra.equations.derive import Variant
from recurra.equations.language import Cell

LOW = {"float32": EXACT, "bfloat16": PAIRS, "int8": INTEGERS}
"""Types of packed weights, and how they are kept."""


@dataclass(frozen=True)
class StepLayer:
    """One layer of a stack: its cell, what was added, its weights and the masks that stay the same."""

    cell: Cell
    variant: Variant
    tensors: dict[str, Tensor]
    masks: dict[str, Tensor]


class Steps:
    """States are flat, as `offsets` says: state by state, in each layer by layer."""

    def __init__(
        self, layers: Sequence[StepLayer], batch: int, inputs: int, widths: tuple[int, int], weights: str
    ) -> None:
        """`widths`: entries of H and P. Raises `BuildError` where there is no native code."""
        first, self._inputs = layers[0], inputs
        dtype = next(iter(first.tensors.values())).dtype
        self._held: list[Any] = []
        """Whatever the calls point to."""
        states = first.cell.state
        sizes = [batch * (widths[1] if k == 0 else widths[0]) for k in range(len(states))]
        begins = np.cumsum([0, *(size * len(layers) for size in sizes)])
        self.offsets = [
            {s: int(begins[k] + depth * sizes[k]) for k, s in enumerate(states)} for depth in range(len(layers))
        ]
        self.entries = int(begins[-1])
        self.given: list[dict[str, Tensor]] = []
        """Of each layer what its cell reads beside x, by the engine's names, [B, ·]: ones, unless somebody writes."""
        calls = [self._call(layer, k, batch, widths, LOW[weights]) for k, layer in enumerate(layers)]
        self._calls = np.stack(calls)
        output = self.offsets[-1][states[0]]
        stack = self._keep(np.array([self._calls.ctypes.data, len(layers), 0, output, sizes[0]], np.int64))
        stack[2:3].view(np.float64)[0] = NORM_EPSILON
        self.call = partial(kernel(REALS[dtype]).recurra_step, stack.ctypes.data)
        """`call(x, before, after, y)`: the addresses of x [B, I], of the flat states, and of the output [B, P]."""

    def _keep(self, array: Any) -> Any:
        self._held.append(array)
        return array

    def _call(self, layer: StepLayer, depth: int, batch: int, sizes: tuple[int, int], low: int) -> np.ndarray:
        inputs = sizes[1] if depth else self._inputs
        check_weights(layer.cell, layer.variant, layer.tensors, (inputs, *sizes))
        some = next(iter(layer.tensors.values()))
        check_kind((layer.tensors | layer.masks).items(), some)
        sweep = single_step(layer.cell, layer.variant)
        points = list(dict.fromkeys(op.point for op in sweep.ops if op.point is not None))
        real = REALS[some.dtype]
        library = self._keep(build.library(f"step-{layer.cell.name}", write_points(points), real))
        found = self._keep(prepared(sweep, addresses(library, points)))
        widths = (*sizes, 1, inputs)
        values = self._keep(np.zeros((len(found.locations), 3), np.int64))
        scratch, beside = 0, dict[str, Tensor]()
        self.given.append(beside)
        for k, (index, _, width, mode) in enumerate(found.locations.tolist()):
            name, entries = found.arrays[index], widths[width]
            if mode == Mode.INPUT:
                above = depth and self.offsets[depth - 1][layer.cell.state[0]]
                values[k] = above, inputs, Mode.AFTER if depth else Mode.INPUT
            elif mode in (Mode.BEFORE, Mode.AFTER):
                below = name.startswith("lower_")
                place = self.offsets[depth - below][name.removeprefix("lower_")]
                values[k] = place, entries, mode
            elif mode == Mode.WHOLE:
                beside[name] = torch.ones(batch, entries, dtype=some.dtype, device="cpu")
                values[k] = beside[name].data_ptr(), entries, mode
            elif mode in (Mode.PARAMETER, Mode.SCALAR):
                array = self._keep({**layer.tensors, **layer.masks}[name].detach().contiguous().clone())
                values[k] = array.data_ptr(), 0, mode
            else:
                values[k] = scratch, entries, Mode.SCRATCH
                scratch += -(-batch * entries // ROOM) * ROOM
        ops = self._keep(found.ops.copy())
        room = 0
        for k, op in enumerate(sweep.ops):
            ops[k, 8] = widths[found.widths[k]]
            if op.kind == "product":
                weight = plain(layer.tensors[f"weight_{op.weight}"].detach())
                bias = layer.tensors.get(f"bias_{op.weight}")
                panels, ops[k, 6] = pack(weight, op.gates, None if bias is None else bias.detach(), low=low)
                ops[k, 5], ops[k, 9] = self._keep(panels).data_ptr(), low
                room = max(room, batch * room_for_low(int(ops[k, 6])))
        area = self._keep(torch.empty(max(1, scratch), dtype=some.dtype, device="cpu"))
        narrow = self._keep(torch.empty(room, dtype=torch.float32, device="cpu"))
        clock = self._keep(np.array([batch, 0, 0, batch], np.int64))  # sizes, starts, and the border of the one thread
        at = clock.ctypes.data
        head = [values.ctypes.data, len(values), ops.ctypes.data, len(ops), at, at + 8, 1, batch, 0, 0, 1, at + 16]
        return np.array([*head, area.data_ptr(), scratch, narrow.data_ptr(), 0, 0, 0, 0], np.int64)
