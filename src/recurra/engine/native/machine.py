"""The compiled side: libraries by type, prepared sweeps, and the call."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import torch
from torch import Tensor

from recurra.engine.layer import NORM_EPSILON
from recurra.engine.native import build, memory
from recurra.engine.native.sweep import Home, Mode, Native, Op, Sweep, native
from recurra.engine.native.write import arguments, points_of, write_points
from recurra.engine.time import Time
from recurra.equations.derive import Variant
from recurra.equations.language import Cell

KINDS = {"point": 0, "product": 1, "norm": 2, "norm_transposed": 3}
REALS = {torch.float32: "float", torch.float64: "double"}
MOST_VALUES, MOST_GATES = 96, 48
"""Limits of csrc/kernel.cpp."""


@cache
def kernel(real: str) -> ctypes.CDLL:
    """The time loop for a type."""
    found = build.library("kernel", None, real, openmp=True)
    pointer, long = ctypes.c_void_p, ctypes.c_long
    found.recurra_run.argtypes, found.recurra_run.restype = [pointer, ctypes.c_double], None
    found.recurra_packed_size.argtypes, found.recurra_packed_size.restype = [long, long, long], long
    found.recurra_pack.argtypes, found.recurra_pack.restype = [pointer, *[long] * 2, pointer, *[long] * 3, pointer], None
    return found


@dataclass(frozen=True)
class Prepared:
    """A sweep whose homes are numbered: what does not change from call to call."""

    sweep: Sweep
    homes: tuple[Home, ...]
    modes: np.ndarray
    ops: np.ndarray
    """[ops, 9] as csrc/kernel.h's Op; the pointers to packed weights, depths and units are filled in at the call."""
    lists: tuple[np.ndarray, ...]
    """What the ops point to."""


@dataclass(frozen=True)
class Machine:
    """A cell's sweeps with their compiled functions."""

    native: Native
    forward: Prepared
    backward: Prepared
    library: ctypes.CDLL


@lru_cache(maxsize=256)
def machine(cell: Cell, variant: Variant, real: str) -> Machine:
    """The compiled sweeps of a cell. Raises `BuildError` where they cannot be compiled."""
    made = native(cell, variant)
    points = points_of(made)
    kernel(real)
    library = build.library(f"cell-{cell.name}", write_points(points), real)
    table = (ctypes.c_void_p * max(1, len(points))).in_dll(library, "recurra_points")
    numbers = {id(point): int(table[k] or 0) for k, point in enumerate(points)}
    return Machine(made, _prepared(made.forward, numbers), _prepared(made.backward, numbers), library)


def _prepared(sweep: Sweep, addresses: Mapping[int, int]) -> Prepared:
    homes: dict[Home, int] = {}

    def number(home: Home) -> int:
        return homes.setdefault(home, len(homes))

    ops = np.zeros((len(sweep.ops), 9), np.int64)
    lists = []
    for k, op in enumerate(sweep.ops):
        given = arguments(op.point) if op.point is not None else op.homes
        entries = np.array([number(a) if isinstance(a, Home) else -1 - a for a in given], np.int64)
        lists.append(entries)
        address = addresses[id(op.point)] if op.point is not None else 0
        argument = number(op.argument) if op.argument is not None else 0
        ops[k, :5] = KINDS[op.kind], address, entries.ctypes.data, len(entries), argument
        ops[k, 7] = op.gates
    assert len(homes) <= MOST_VALUES and max((op.gates for op in sweep.ops), default=0) <= MOST_GATES
    modes = np.array([home.mode for home in homes], np.int64)
    return Prepared(sweep, tuple(homes), modes, ops, tuple(lists))


@dataclass
class Clock:
    """The rows of a batch in time, as the loop reads them, and which rows each thread takes."""

    sizes: np.ndarray
    starts: np.ndarray
    split: np.ndarray

    @staticmethod
    def of(time: Time, threads: int) -> Clock:
        sizes = np.array(time.sizes, np.int64)
        starts = np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes)[:-1]))
        threads = max(1, min(threads, time.alive))
        if time.lengths is None or threads == 1:
            split = np.linspace(0, time.alive, threads + 1).round().astype(np.int64)
        else:
            work = np.concatenate((np.zeros(1, np.int64), np.cumsum(time.lengths.numpy()[: time.alive])))
            split = np.searchsorted(work, work[-1] * np.arange(threads + 1) / threads).astype(np.int64)
        return Clock(sizes, starts, split)

    @property
    def threads(self) -> int:
        return len(self.split) - 1


def run(
    prepared: Prepared,
    clock: Clock,
    tensors: Mapping[str, Tensor],
    packed: Mapping[str, tuple[Tensor, int]],
    widths: Mapping[str, int],
    *,
    backwards: bool = False,
    truncate: int = 0,
) -> None:
    """Let a sweep run over all steps.

    `tensors`: arrays by name, rows × columns with columns side by side; those not named are the step's own. `packed`:
    weight → its panels and the depth of its product. `widths`: entries of "H", "P" and "1".
    """
    some = next(iter(tensors.values()))
    item, dtype = some.element_size(), some.dtype
    rows = int(clock.sizes[0])
    values = np.empty((len(prepared.homes), 3), np.int64)
    offsets: dict[Home, int] = {}
    scratch = 0
    for k, home in enumerate(prepared.homes):
        width = widths[home.width]
        if home.array in tensors:
            array = tensors[home.array]
            values[k] = array.data_ptr() + home.column * width * item, array.stride(0), home.mode
        else:
            if home not in offsets:
                offsets[home] = scratch
                scratch += -(-rows * width // 16) * 16
            values[k] = offsets[home], width, Mode.SCRATCH
    ops = prepared.ops.copy()
    for k, op in enumerate(prepared.sweep.ops):
        if op.kind == "product":
            panels, ops[k, 6] = packed[op.weight]
            ops[k, 5] = panels.data_ptr()
        ops[k, 8] = widths[op.width]
    area = memory.empty(max(1, scratch * clock.threads), dtype)
    call = np.array(
        [
            values.ctypes.data,
            len(values),
            ops.ctypes.data,
            len(ops),
            clock.sizes.ctypes.data,
            clock.starts.ctypes.data,
            len(clock.sizes),
            rows,
            backwards,
            truncate,
            clock.threads,
            clock.split.ctypes.data,
            area.data_ptr(),
            scratch,
        ],
        np.int64,
    )
    kernel(REALS[dtype]).recurra_run(call.ctypes.data, NORM_EPSILON)


def pack(matrix: Tensor, gates: int, bias: Tensor | None = None, transposed: bool = False) -> tuple[Tensor, int]:
    """A weight [gates · units, depth] as panels, and the depth; transposed, the product with it from the other side."""
    row, column = matrix.stride()
    if transposed:
        (depth, units), row, column = matrix.shape, column, row
    else:
        units, depth = matrix.shape[0] // gates, matrix.shape[1]
    library = kernel(REALS[matrix.dtype])
    panels = memory.empty(library.recurra_packed_size(depth, gates, units), matrix.dtype)
    start = bias.data_ptr() if bias is not None else None
    library.recurra_pack(matrix.data_ptr(), row, column, start, depth, gates, units, panels.data_ptr())
    return panels, depth


def products(sweep: Sweep) -> Sequence[Op]:
    """The ops of a sweep that need packed weights."""
    return [op for op in sweep.ops if op.kind == "product"]
