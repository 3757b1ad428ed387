"""A sweep carried through time: at each step torch's products and the launches of its kernels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from recurra.engine.layer import NORM_EPSILON
from recurra.engine.native.machine import WIDTHS
from recurra.engine.native.sweep import Location, Mode, Op, Point, Sweep
from recurra.engine.time import Time
from recurra.engine.triton import kernels
from recurra.engine.triton.kernels import Code, power
from recurra.engine.triton.write import TILE


@dataclass(frozen=True)
class At:
    """A step: rows alive, and where they begin in arrays with a row for every step and in histories."""

    rows: int
    whole: int
    previous: int
    new: int

    def first(self, mode: Mode) -> int:
        return {Mode.WHOLE: self.whole, Mode.PREVIOUS: self.previous, Mode.NEW: self.new}.get(mode, 0)


Call = Callable[[At], object]


def clock(time: Time) -> list[At]:
    """The steps in their order."""
    starts = list(accumulate(time.sizes, initial=0))
    before = [0, *(time.alive + start for start in starts)]
    return [At(n, starts[t], before[t], before[t + 1]) for t, n in enumerate(time.sizes)]


def run(
    code: Code,
    sweep: Sweep,
    time: Time,
    given: Mapping[str, Tensor],
    matrices: Mapping[str, tuple[Tensor, Tensor | None]],
    widths: tuple[int, ...],
    *,
    backwards: bool = False,
    truncate: int = 0,
) -> None:
    """Let a sweep run over all steps.

    `given`: arrays by name, rows × columns with columns side by side; those not named are the step's own. `matrices`:
    weight → what an argument is multiplied by, [depth, units · gates], and what is added. `widths`: entries of WIDTHS.
    """
    some = next(iter(given.values()))
    body = _Body(code, sweep, time, dict(given), matrices, dict(zip(WIDTHS, widths, strict=True)))
    carried = [given[name] for name in sorted({h.array for h in body.locations if h.mode is Mode.CARRY})]
    steps = clock(time)
    with torch.cuda.device_of(some):
        for t in reversed(range(len(steps))) if backwards else range(len(steps)):
            at = steps[t]
            for call in body.calls:
                call(at)
            if backwards and truncate and t and t % truncate == 0:
                for carry in carried:
                    carry[: at.rows].zero_()


def locations_of(op: Op) -> list[Location]:
    """Everything an op reads or leaves, but for tiles."""
    point = [h for _, h in (*op.point.loads, *op.point.stores)] if op.point is not None else []
    return [*point, *op.locations, *([op.argument] if op.argument is not None else [])]


def written(sweep: Sweep) -> set[str]:
    """The arrays that a sweep changes."""
    found: set[str] = set()
    for op in sweep.ops:
        stores = [h for _, h in op.point.stores] if op.point is not None else []
        match op.kind:
            case "product":
                stores += op.locations
            case "norm":
                stores += op.locations[op.gates :]
            case "norm_transposed":
                stores += op.locations[: op.gates]
        found |= {location.array for location in stores}
    return found


class _Body:
    """What is done at each step, with all that stays the same from step to step laid out once."""

    def __init__(
        self,
        code: Code,
        sweep: Sweep,
        time: Time,
        arrays: dict[str, Tensor],
        matrices: Mapping[str, tuple[Tensor, Tensor | None]],
        widths: Mapping[str, int],
    ) -> None:
        self.code, self.time, self.arrays, self.widths = code, time, arrays, widths
        self.some = next(iter(arrays.values()))
        self.locations = [location for op in sweep.ops for location in locations_of(op)]
        buffers = {
            k: self.some.new_empty(time.alive, matrices[op.weight][0].shape[1])
            for k, op in enumerate(sweep.ops)
            if op.kind == "product"
        }
        stay = {k for k in buffers if sweep.ops[k].gates > 1 and all(map(self.own, sweep.ops[k].locations))}
        for k, op in enumerate(sweep.ops):
            if k in stay and op.locations:  # results without a point are read where the product leaves them
                parts = buffers[k].chunk(op.gates, 1)
                self.arrays |= {h.array: part for h, part in zip(op.locations, parts, strict=True)}
        for location in self.locations:
            if location.array not in self.arrays:
                assert location.mode in (Mode.SCRATCH, Mode.WHOLE) and location.column == 0
                rows = time.rows if location.mode is Mode.WHOLE else time.alive
                self.arrays[location.array] = self.some.new_empty(rows, widths[location.width])
        self.calls: list[Call] = []
        for k, op in enumerate(sweep.ops):
            if op.kind == "product":
                self.calls += self.product(op, buffers[k], *matrices[op.weight], k not in stay)
            if op.kind.startswith("norm"):
                self.calls.append(self.norm(op))
            elif op.point is not None:
                self.calls.append(self.point(op.point, buffers.get(k)))

    def own(self, location: Location) -> bool:
        return location.mode is Mode.SCRATCH and location.array not in self.arrays

    def view(self, location: Location, width: int) -> Callable[[At], Tensor]:
        """`width` columns of a location's rows at a step."""
        columns = self.arrays[location.array]
        if columns.shape[1] != width:
            columns = columns.narrow(1, location.column * width, width)
        return lambda at: columns.narrow(0, at.first(location.mode), at.rows)

    def product(self, op: Op, buffer: Tensor, matrix: Tensor, bias: Tensor | None, elsewhere: bool) -> list[Call]:
        """The product, and copies of its results where they are wanted `elsewhere`."""
        assert op.argument is not None
        argument = self.view(op.argument, matrix.shape[0])
        width = self.widths[op.width]
        direct = self.view(op.locations[0], width) if op.gates == 1 and op.locations else None

        def multiply(at: At) -> None:
            out = buffer[: at.rows] if direct is None else direct(at)
            if bias is None:
                torch.mm(argument(at), matrix, out=out)
            else:
                torch.addmm(bias, argument(at), matrix, out=out)

        calls: list[Call] = [multiply]
        if elsewhere and direct is None:
            calls += [
                _copy(buffer.narrow(1, k * width, width), self.view(h, width)) for k, h in enumerate(op.locations)
            ]
        return calls

    def point(self, point: Point, tile: Tensor | None) -> Call:
        units = self.widths[point.width]
        block = min(kernels.UNITS, power(units))
        constants = {"ROWS": kernels.ROWS, "UNITS": block, "REAL": kernels.real(self.some.dtype)}
        return self.launch(point, tile, units, kernels.ROWS, -(-units // block), constants)

    def norm(self, op: Op) -> Call:
        units = self.widths[op.width]
        return self.launch(op, None, units, 1, 1, {"UNITS": power(units), "EPSILON": NORM_EPSILON})

    def launch(
        self, key: Point | Op, tile: Tensor | None, units: int, share: int, across: int, constants: dict[str, Any]
    ) -> Call:
        """A kernel's launch: programs of `share` rows, `across` programs for the units."""
        kernel, function = self.code.find(key)
        arrays = self.arrays if tile is None else self.arrays | {TILE: tile}
        fixed = (*(arrays[a] for a in kernel.pointers), *(arrays[a].stride(0) for a in kernel.strides))

        def call(at: At) -> None:
            grid = (-(-at.rows // share), across)
            function[grid](*fixed, at.rows, units, at.whole, at.previous, at.new, **constants)

        return call


def _copy(part: Tensor, to: Callable[[At], Tensor]) -> Call:
    return lambda at: to(at).copy_(part[: at.rows])
