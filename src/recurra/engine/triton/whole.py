"""What is done for all steps at once, before and after a sweep: its arrays, and gradients that are sums over rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from recurra.engine.layer import Layer
from recurra.engine.native.plan import Native
from recurra.engine.native.sweep import Home, Mode
from recurra.engine.triton import kernels
from recurra.engine.triton.loop import homes_of

Widths = Mapping[str, int]
"""Entries of a home's width, by its letter."""


def kept(native: Native, n: int, widths: Widths, like: Tensor) -> dict[str, Tensor]:
    """Arrays [n, ·] for what the backward reads."""
    return {name: like.new_empty(n, count) for name, count in _columns(native.kept.values(), widths).items()}


def _columns(homes: Iterable[Home], widths: Widths) -> dict[str, int]:
    found: dict[str, int] = {}
    for home in homes:
        found[home.array] = max(found.get(home.array, 0), (home.column + 1) * widths[home.width])
    return found


def filled(native: Native, n: int, alive: int, widths: Widths, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Arrays that the backward fills: [n, ·], and [blocks of rows, ·] of zeros for sums."""
    like = next(iter(given.values()))
    homes = [home for op in native.backward.ops for home in homes_of(op) if home.array not in given]
    rows = {Mode.WHOLE: n, Mode.ACCUMULATOR: -(-alive // kernels.ROWS)}
    out = {}
    for mode, count in rows.items():
        for name, width in _columns([h for h in homes if h.mode is mode], widths).items():
            out[name] = like.new_zeros(count, width) if mode is Mode.ACCUMULATOR else like.new_empty(count, width)
    return out


def _runs(places: tuple[tuple[str, int], ...]) -> list[tuple[str, int, int, int]]:
    """Neighbouring columns at once: (array, first column, columns, first row block of the weight)."""
    runs: list[tuple[str, int, int, int]] = []
    for row, (array, column) in enumerate(places):
        if runs and runs[-1][0] == array and runs[-1][1] + runs[-1][2] == column:
            array, begin, count, first = runs.pop()
            runs.append((array, begin, count + 1, first))
        else:
            runs.append((array, column, 1, row))
    return runs


def gradients(
    native: Native,
    layer: Layer,
    tensors: Mapping[str, Tensor],
    arrays: Mapping[str, Tensor],
    widths: Widths,
    own: tuple[str, ...],
) -> dict[str, Tensor]:
    """Of every weight, parameter and other leaf but x."""
    out: dict[str, Tensor] = {}
    for weight, (argument, names) in native.derivation.weight_gradients.items():
        if f"weight_{weight}" not in tensors:
            continue
        value = _argument(native, layer, argument, arrays, widths)
        matrix = tensors[f"weight_{weight}"]
        width = matrix.shape[0] // len(names)
        total = torch.empty_like(matrix, memory_format=torch.contiguous_format)
        for array, begin, count, first in _runs(native.columns[weight]):
            slab = arrays[array].narrow(1, begin * width, count * width)
            torch.mm(slab.t(), value, out=total.narrow(0, first * width, count * width))
        out[f"weight_{weight}"] = total
        if f"bias_{weight}" in tensors:
            out[f"bias_{weight}"] = torch.cat([arrays[native.sums[f"bias:{name}"]].sum(0) for name in names])
    for name in native.derivation.cell.parameters:
        if name in native.sums:
            total = arrays[native.sums[name]].sum(0)
            out[name] = total if len(tensors[name]) > 1 or widths["H"] == 1 else total.sum().view(1)
    return out | {leaf: arrays[array] for leaf, array in native.leaves.items() if leaf != "x" and leaf not in own}


def _argument(native: Native, layer: Layer, name: str, arrays: Mapping[str, Tensor], widths: Widths) -> Tensor:
    """What a product was of, all rows."""
    if name.endswith("_prev"):
        history = arrays[f"hist_{name.removesuffix('_prev')}"]
        if layer.time.lengths is None:
            return history[: layer.time.rows]
        return history.index_select(0, layer.time.previous.to(history.device))
    if name in arrays:
        return arrays[name]
    home: Home = native.kept[name]
    return arrays[home.array].narrow(1, home.column * widths[home.width], widths[home.width])


def input_gradient(
    native: Native, tensors: Mapping[str, Tensor], arrays: Mapping[str, Tensor], units: int
) -> Tensor | None:
    """∂L/∂x [N, I]: the transposed input product over all steps, and what the equations read of x itself."""
    found = arrays.get(native.leaves.get("x", ""))
    if "weight_ih" in tensors:
        for array, begin, count, first in _runs(native.columns["ih"]):
            slab = arrays[array].narrow(1, begin * units, count * units)
            matrix = tensors["weight_ih"].narrow(0, first * units, count * units)
            found = torch.mm(slab, matrix) if found is None else found.addmm_(slab, matrix)
    return found
