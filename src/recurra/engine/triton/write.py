"""The pointwise functions and norms of a cell's sweeps as Triton kernels, in text; nothing here needs triton.

A kernel gets `p_<array>` and `r_<array>`, an array's first entry and the entries from row to row, which stay the same
at every step, and where the step's rows begin: `whole` in arrays with a row for every step, `previous` and `new` in
histories, that have the initial rows in front. `tile` is the result of the product in front.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from recurra.engine.native.infix import Infix
from recurra.engine.native.plan import Native
from recurra.engine.native.sweep import Location, Mode, Op, Point
from recurra.equations.functions import SYMBOLS
from recurra.equations.statements import Pointwise

TILE = "tile"
expression = Infix(number=repr, wide="tl.full((ROWS, UNITS), {}, REAL)".format)
"""A pointwise expression in Triton."""
CLOCK = ("rows", "units", "whole", "previous", "new")
"""Of each kernel's arguments those behind the arrays: rows alive, units, and where the step's rows begin."""
ROWS = {
    Mode.WHOLE: "(whole + row)",
    Mode.PREVIOUS: "(previous + row)",
    Mode.NEW: "(new + row)",
    Mode.SCRATCH: "row",
    Mode.CARRY: "row",
    Mode.ACCUMULATOR: "block",
}
"""A location's row; parameters and scalars have none."""
HEAD = f"""\
import triton
import triton.language as tl

from recurra.engine.triton.functions import {", ".join(sorted(SYMBOLS))}
"""


@dataclass(frozen=True)
class Kernel:
    """A kernel's name, and the arrays it is given: first entries, then entries from row to row."""

    name: str
    pointers: tuple[str, ...]
    strides: tuple[str, ...]


def kernels_of(native: Native) -> dict[Point | Op, Kernel]:
    """The kernel of every point and every norm; those that are the same in two sweeps stand once."""
    found: dict[Point | Op, Kernel] = {}
    for sweep in (native.forward, native.inference, native.backward):
        for op in sweep.ops:
            key: Point | Op | None = op if op.kind.startswith("norm") else op.point
            if key is not None and key not in found:
                locations = key.locations if isinstance(key, Op) else [h for _, h in (*key.loads, *key.stores)]
                tiled = isinstance(key, Point) and bool(key.tiles)
                found[key] = _kernel(f"{'norm' if isinstance(key, Op) else 'point'}_{len(found)}", locations, tiled)
    return found


def _kernel(name: str, locations: Iterable[Location], tiled: bool) -> Kernel:
    locations = tuple(locations)
    tile = (TILE,) if tiled else ()
    pointers = dict.fromkeys((*(h.array for h in locations), *tile))
    strides = dict.fromkeys((*(h.array for h in locations if h.mode in ROWS), *tile))
    return Kernel(name, tuple(pointers), tuple(strides))


def write(native: Native) -> str:
    """The text of all of a cell's kernels."""
    texts = []
    for key, kernel in kernels_of(native).items():
        texts.append(write_point(kernel, key) if isinstance(key, Point) else write_norm(kernel, key))
    return "\n\n".join((HEAD, *texts))


def write_point(kernel: Kernel, point: Point) -> str:
    """One program for ROWS rows and UNITS units; a sum is kept for each block of rows, to which one program adds."""
    body = [
        "block = tl.program_id(0).to(tl.int64)",
        "row = block * ROWS + tl.arange(0, ROWS)[:, None]",
        "unit = tl.program_id(1) * UNITS + tl.arange(0, UNITS)[None, :]",
        "inside = unit < units",
        "here = (row < rows) & inside",
    ]
    for name, location in point.loads:
        body.append(f"v_{name} = {_load(location)}")
    for name, k in point.tiles:
        body.append(f"v_{name} = tl.load({_place(TILE, 'row', k)} + unit, mask=here, other=0.0)")
    for st in point.statements:
        assert isinstance(st, Pointwise)
        body.append(f"v_{st.name} = {expression.vector(st.value)}")
    sums = 0
    for name, location in point.stores:
        if location.mode is Mode.ACCUMULATOR:
            at, total = f"at_{sums}", f"tl.sum(tl.where(here, v_{name}, 0.0), 0)[None, :]"
            sums += 1
            body.append(f"{at} = {address(location)} + unit")
            body.append(f"tl.store({at}, tl.load({at}, mask=inside, other=0.0) + {total}, mask=inside)")
        else:
            body.append(f"tl.store({address(location)} + unit, v_{name}, mask=here)")
    return _function(kernel, ("ROWS", "UNITS", "REAL"), body)


def write_norm(kernel: Kernel, op: Op) -> str:
    """One program a row; UNITS is a power of 2 not below the units of each part. Sums are taken in float64: what is
    left after the mean is taken away may be small."""
    parts = range(op.gates)
    *locations, scale = op.locations
    body = ["row = tl.program_id(0).to(tl.int64)", "unit = tl.arange(0, UNITS)", "here = unit < units"]

    def load(name: str, location: Location, k: int) -> None:
        body.append(f"{name}_{k} = tl.load({address(location)} + unit, mask=here, other=0.0).to(tl.float64)")

    def mean(values: Iterable[str]) -> str:
        return f"({' + '.join(f'tl.sum({v}, 0)' for v in values)}) / ({op.gates} * units)"

    def store(location: Location, value: str) -> None:
        body.append(f"tl.store({address(location)} + unit, {value}, mask=here)")

    if op.kind == "norm":  # locations: arguments, results
        for k in parts:
            load("v", locations[k], k)
        body.append(f"mean = {mean(f'v_{k}' for k in parts)}")
        body += [f"c_{k} = tl.where(here, v_{k} - mean, 0.0)" for k in parts]
        body.append(f"scale = 1.0 / tl.sqrt({mean(f'c_{k} * c_{k}' for k in parts)} + EPSILON)")
        for k in parts:
            store(locations[op.gates + k], f"c_{k} * scale")
        body.append(f"tl.store({address(scale)}, scale)")
        return _function(kernel, ("UNITS", "EPSILON"), body)
    for k in parts:  # locations: results, gradients, values of the forward's result
        load("g", locations[op.gates + k], k)
        load("y", locations[2 * op.gates + k], k)
    body.append(f"mean = {mean(f'g_{k}' for k in parts)}")
    body.append(f"along = {mean(f'g_{k} * y_{k}' for k in parts)}")
    body.append(f"scale = tl.load({address(scale)})")
    for k in parts:
        store(locations[k], f"(g_{k} - mean - y_{k} * along) * scale")
    return _function(kernel, ("UNITS", "EPSILON"), body)


def _function(kernel: Kernel, constants: Iterable[str], body: Iterable[str]) -> str:
    arrays = [*(f"p_{a}" for a in kernel.pointers), *(f"r_{a}" for a in kernel.strides)]
    given = ", ".join((*arrays, *CLOCK, *(f"{c}: tl.constexpr" for c in constants)))
    changing = ", ".join(repr(name) for name in CLOCK if name != "units")
    lines = "\n".join(f"    {line}" for line in body)
    return f"@triton.jit(do_not_specialize=[{changing}])\ndef {kernel.name}({given}):\n{lines}\n"


def address(location: Location) -> str:
    """The first entry of a location's row at this step; without rows, of the location."""
    return (
        _place(location.array, ROWS[location.mode], location.column) if location.mode in ROWS else f"p_{location.array}"
    )


def _place(array: str, row: str, column: int) -> str:
    return f"p_{array} + {row} * r_{array}" + (f" + {column} * units" if column else "")


def _load(location: Location) -> str:
    match location.mode:
        case Mode.SCALAR:
            return f"tl.load({address(location)})"
        case Mode.PARAMETER:
            return f"tl.load({address(location)} + unit, mask=inside, other=0.0)"
    return f"tl.load({address(location)} + unit, mask=here, other=0.0)"
