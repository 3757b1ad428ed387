"""The compiled side: libraries by type, prepared sweeps, and the call."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.engine.demands import rows
from recurra.engine.layer import NORM_EPSILON
from recurra.engine.native import build, memory
from recurra.engine.native.plan import Native, native
from recurra.engine.native.sweep import Location, Mode, Op, Point, Sweep
from recurra.engine.native.write import arguments, points_of, write_points
from recurra.engine.time import Time
from recurra.equations.derive import Variant
from recurra.equations.language import Cell

KINDS = {"point": 0, "product": 1, "norm": 2, "norm_transposed": 3}
REALS = {torch.float32: "float", torch.float64: "double"}
MOST_VALUES, MOST_GATES = 96, 48
"""Limits of csrc/kernel.cpp."""
WIDTHS = ("H", "P", "1", "I")
ROOM = 16
"""Entries that the step's own arrays are rounded up to."""
EXACT, PAIRS, INTEGERS, ROUNDED = range(4)
"""How factors are kept, as csrc/tiles.h numbers it."""
MANY_ROWS = 8
"""Rows of a thread from which on widening weights of bfloat16 in every step costs more than their traffic saves."""


@cache
def kernel(real: str) -> ctypes.CDLL:
    """The time loop for a type."""
    pointer, long = ctypes.c_void_p, ctypes.c_long
    signatures: dict[str, tuple[list[Any], Any]] = {
        "run": ([pointer, ctypes.c_double], None),
        "step": ([pointer] * 5, None),
        "packed_size": ([long] * 4, long),
        "pack": ([pointer, *[long] * 2, pointer, *[long] * 4, pointer], None),
        "multiply": ([pointer, long, long, pointer, long, long, pointer, long, long], None),
        "round": ([pointer, long, pointer, long], None),
        "summing_room": ([long], long),
        "sum_of_rows": ([*[pointer, long] * 2, *[long] * 3, pointer, long, long, pointer], None),
    }
    found = build.library("kernel", None, real, openmp=True, symbols=[f"recurra_{name}" for name in signatures])
    for name, (given, back) in signatures.items():
        function = getattr(found, f"recurra_{name}")
        function.argtypes, function.restype = given, back
    return found


@dataclass(frozen=True, eq=False)
class Prepared:
    """A sweep whose locations are numbered: what does not change from call to call."""

    sweep: Sweep
    arrays: tuple[str, ...]
    """Of locations: each is a column of one of them."""
    locations: np.ndarray
    """[locations, 4]: array, column, width (a place in WIDTHS), mode."""
    ops: np.ndarray
    """[ops, 10] as csrc/kernel.h's Op; the pointers to packed weights, depths and units are filled in at the call."""
    widths: tuple[int, ...]
    """Of ops, as of locations."""
    products: tuple[tuple[int, str], ...]
    """Ops that multiply, and by which weight."""
    lists: tuple[np.ndarray, ...]
    """What the ops point to."""
    locations_by_number: tuple[Location, ...]
    """The locations, in the order of their numbers."""


@dataclass(frozen=True)
class Machine:
    """A cell's sweeps with their compiled functions."""

    native: Native
    forward: Prepared
    inference: Prepared
    backward: Prepared
    library: ctypes.CDLL


@lru_cache(maxsize=256)
def machine(
    cell: Cell, variant: Variant, real: str, also: tuple[str, ...] = (), inside: bool = False, record: bool = False
) -> Machine:
    """The compiled sweeps of a cell; `also` as in `Layer`, `inside` and `record` as in `native`.

    Raises `BuildError` where they cannot be compiled.
    """
    made = native(cell, variant, also, inside, record)
    for sweep in (made.forward, made.inference, made.backward):
        _check_room(cell, sweep)
    kernel(real)
    library = build.library(
        f"cell-{cell.name}", cell_source(cell, variant, also, inside, record), real, symbols=["recurra_points"]
    )
    made = native(cell, variant, also, inside, record)
    points = points_of(made)
    numbers = addresses(library, points)
    forward, inference, backward = (prepared(s, numbers) for s in (made.forward, made.inference, made.backward))
    return Machine(made, forward, inference, backward, library)


def _check_room(cell: Cell, sweep: Sweep) -> None:
    """Raise `BuildError` for a step of more values or gates than the time loop has room for."""
    locations = {
        a for op in sweep.ops for a in (arguments(op.point) if op.point else op.locations) if isinstance(a, Location)
    }
    gates = max((op.gates for op in sweep.ops), default=0)
    if len(locations) > MOST_VALUES or gates > MOST_GATES:
        raise build.BuildError(
            f"the cell {cell.name!r} has {len(locations)} values and {gates} gates at a step, native code has room for "
            f"{MOST_VALUES} and {MOST_GATES}"
        )


def addresses(library: ctypes.CDLL, points: Sequence[Point]) -> dict[Point, int]:
    """Where a library's functions lie."""
    table = (ctypes.c_void_p * max(1, len(points))).in_dll(library, "recurra_points")
    return {point: int(table[k] or 0) for k, point in enumerate(points)}


def cell_source(
    cell: Cell, variant: Variant, also: tuple[str, ...] = (), inside: bool = False, record: bool = False
) -> str:
    """The C++ text of a cell's pointwise functions."""
    return write_points(points_of(native(cell, variant, also, inside, record)))


def prepared(sweep: Sweep, places: Mapping[Point, int]) -> Prepared:
    """A sweep with its locations numbered; `places` are the addresses of its functions."""
    numbers: dict[Location, int] = {}

    def number(location: Location) -> int:
        return numbers.setdefault(location, len(numbers))

    ops = np.zeros((len(sweep.ops), 10), np.int64)
    lists = []
    for k, op in enumerate(sweep.ops):
        given = arguments(op.point) if op.point is not None else op.locations
        entries = np.array([number(a) if isinstance(a, Location) else -1 - a for a in given], np.int64)
        lists.append(entries)
        address = places[op.point] if op.point is not None else 0
        argument = number(op.argument) if op.argument is not None else 0
        ops[k, :5] = KINDS[op.kind], address, entries.ctypes.data, len(entries), argument
        ops[k, 7] = op.gates
    arrays = tuple(dict.fromkeys(location.array for location in numbers))
    locations = np.array([(arrays.index(h.array), h.column, WIDTHS.index(h.width), h.mode) for h in numbers], np.int64)
    widths = tuple(WIDTHS.index(op.width) for op in sweep.ops)
    multiplied = tuple((k, op.weight) for k, op in enumerate(sweep.ops) if op.kind == "product")
    return Prepared(sweep, arrays, locations.reshape(-1, 4), ops, widths, multiplied, tuple(lists), tuple(numbers))


@dataclass(frozen=True)
class Clock:
    """The rows of a batch in time, as the loop reads them, and which rows each thread takes."""

    sizes: np.ndarray
    starts: np.ndarray
    split: np.ndarray
    threads: int
    rows: int
    """Alive at the first step."""

    @staticmethod
    def of(time: Time, threads: int) -> Clock:
        threads = max(1, min(threads, time.alive))
        if time.lengths is None:
            return _clock(time.sizes, threads)
        lengths = time.lengths.numpy()[: time.alive]
        work = np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths)))
        split = np.searchsorted(work, work[-1] * np.arange(threads + 1) / threads).astype(np.int64)
        sizes = np.array(time.sizes, np.int64)
        return Clock(sizes, np.cumsum(sizes) - sizes, split, threads, time.alive)


@lru_cache(maxsize=64)
def _clock(sizes: tuple[int, ...], threads: int) -> Clock:
    """The clock of sequences that are equally long."""
    found = np.array(sizes, np.int64)
    split = np.arange(threads + 1) * sizes[0] // threads
    return Clock(found, np.cumsum(found) - found, split, threads, sizes[0])


@lru_cache(maxsize=512)
def _laid_out(
    prepared: Prepared, given: tuple[bool, ...], widths: tuple[int, ...], rows: int, item: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """The values of kernel.h for arrays that begin at 0, the ops with their units, and the scratch's entries."""
    width = np.array(widths, np.int64)[prepared.locations[:, 2]]
    values = np.stack((prepared.locations[:, 1] * width * item, np.zeros_like(width), prepared.locations[:, 3]), 1)
    own = ~np.array(given, bool)[prepared.locations[:, 0]]
    scratch = 0
    if own.any():
        room = -(-rows * width[own] // ROOM) * ROOM
        ends = np.cumsum(room)
        scratch = int(ends[-1])
        values[own] = np.stack((ends - room, width[own], np.full(len(ends), Mode.SCRATCH)), 1)
    ops = prepared.ops.copy()
    ops[:, 8] = [widths[width] for width in prepared.widths]
    return values, ops, scratch


def run(
    prepared: Prepared,
    clock: Clock,
    tensors: Mapping[str, Tensor],
    packed: Mapping[str, tuple[Tensor, int]],
    widths: tuple[int, ...],
    *,
    low: int = EXACT,
    backwards: bool = False,
    truncate: int = 0,
) -> None:
    """Let a sweep run over all steps.

    `tensors`: arrays by name, rows × columns with columns side by side; those not named are the step's own. `packed`:
    weight → its panels and the depth of its product, kept as `low` says. `widths`: entries of WIDTHS.
    """
    some = next(iter(tensors.values()))
    dtype, rows = some.dtype, clock.rows
    arrays = [tensors.get(name) for name in prepared.arrays]
    given = tuple(array is not None for array in arrays)
    values, ops, scratch = _laid_out(prepared, given, widths, rows, some.element_size())
    bases = np.array([(0, 0) if t is None else (t.data_ptr(), t.stride(0)) for t in arrays], np.int64)
    values, ops = values.copy(), ops.copy()
    values[:, :2] += bases[prepared.locations[:, 0]]
    narrow_size = 0
    for k, weight in prepared.products:
        panels, depth = packed[weight]
        ops[k, 5:7], ops[k, 9] = (panels.data_ptr(), depth), low
        narrow_size = max(narrow_size, rows * room_for_low(depth)) if low else 0
    area = memory.empty(max(1, scratch * clock.threads), dtype)
    narrow = memory.empty(narrow_size * clock.threads, torch.float32) if low else area
    at, place, place_of_ops = clock.sizes.ctypes.data, values.ctypes.data, ops.ctypes.data
    call = np.array(
        [
            *(place, len(values), place_of_ops, len(ops), at, clock.starts.ctypes.data, len(clock.sizes), rows),
            *(backwards, truncate, clock.threads, clock.split.ctypes.data),
            *(area.data_ptr(), scratch, narrow.data_ptr(), narrow_size),
            *(0, 0, 0),
        ],
        np.int64,
    )
    kernel(REALS[dtype]).recurra_run(call.ctypes.data, NORM_EPSILON)


def room_for_low(depth: int) -> int:
    """Floats a row that a product with narrower factors needs for the left one: itself, and its scale."""
    return depth + 5


def low_kind(low: bool, rows: int) -> int:
    """How the factors of a loop's products are kept where they are `low`, bfloat16: two to a float's place, which the
    processor multiplies so, or where `rows` rows a thread read the weights too few times to be worth widening them
    before; else rounded, as floats."""
    if not low:
        return EXACT
    return PAIRS if build.instructions() == "avx512-bf16" or rows < MANY_ROWS else ROUNDED


def pack(
    matrix: Tensor, gates: int, bias: Tensor | None = None, transposed: bool = False, low: int = EXACT
) -> tuple[Tensor, int]:
    """A weight [gates · units, depth] as panels, and the depth; transposed, the product with it from the other side."""
    bias = None if bias is None else rows(bias)
    row, column = matrix.stride()
    if transposed:
        (depth, units), row, column = matrix.shape, column, row
    else:
        units, depth = matrix.shape[0] // gates, matrix.shape[1]
    library = kernel(REALS[matrix.dtype])
    panels = memory.empty(library.recurra_packed_size(depth, gates, units, low), matrix.dtype)
    start = bias.data_ptr() if bias is not None else None
    library.recurra_pack(matrix.data_ptr(), row, column, start, depth, gates, units, low, panels.data_ptr())
    return panels, depth


def products(sweep: Sweep) -> Sequence[Op]:
    """The ops of a sweep that need packed weights."""
    return [op for op in sweep.ops if op.kind == "product"]
