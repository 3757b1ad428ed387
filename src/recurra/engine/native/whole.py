"""What engines with sweeps do for all steps at once: what arrives from above, and gradients that are sums over rows.

Shared by the backends "native" and "triton", which differ in who multiplies and where arrays come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from recurra.engine.demands import rows
from recurra.engine.layer import Layer
from recurra.engine.native.plan import Native
from recurra.engine.native.sweep import Location

Widths = dict[str, int]
"""Entries of a location's width, by its letter, in the order of `machine.WIDTHS`."""
Multiply = Callable[[Tensor, Tensor, Tensor], None]
"""`multiply(a, b, out)`: out = a · b."""
New = Callable[[int, int, Tensor], Tensor]
"""`new(rows, columns, like)`: an array with anything in it, of the type and on the device of `like`."""


def run(
    function: type[torch.autograd.Function],
    layer: Layer,
    x: Tensor,
    state: tuple[Tensor, ...],
    weights: Mapping[str, Tensor],
    masks: Mapping[str, Tensor],
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """As `reference.run`, by an autograd function of the layer, names of its own weights and of all, x, states, tensors
    by these names."""
    if not layer.time.sizes:
        return x.new_zeros(0, sum(state[k].shape[1] for k in layer.given)), state
    names = (*weights, *masks)
    outputs = function.apply(layer, tuple(weights), names, x, *state, *weights.values(), *masks.values())
    return outputs[0], tuple(outputs[1:])


def entries(x: Tensor, state: Sequence[Tensor], weights: Mapping[str, Tensor]) -> Widths:
    """The widths of a layer's values."""
    units = weights["weight_hr"].shape[1] if "weight_hr" in weights else state[-1].shape[1]
    return {"H": units, "P": state[0].shape[1], "1": 1, "I": x.shape[1]}


def values(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What a sweep reads of a layer's tensors: parameters, masks and states from below, but no matrices."""
    return {name: rows(t) for name, t in tensors.items() if not name.startswith(("weight_", "bias_"))}


def arriving(layer: Layer, x: Tensor, states: Sequence[Tensor], grads: Sequence[Tensor | None]) -> dict[str, Tensor]:
    """`gy_<state>` [N, ·], the gradients at every step, and `carry_<state>` [alive, ·], those of the final states,
    which the backward writes to."""
    names, widths = layer.cell.state, [states[k].shape[1] for k in layer.given]
    gy = rows(grads[0]) if grads[0] is not None else x.new_zeros(1, sum(widths)).expand(x.shape[0], -1)
    out = {f"gy_{names[k]}": g for k, g in zip(layer.given, gy.split(widths, 1), strict=True)}
    for name, late, initial in zip(names, grads[1:], states, strict=True):
        out[f"carry_{name}"] = (
            x.new_zeros(initial.shape) if late is None else late.clone(memory_format=torch.contiguous_format)
        )
    return out


def columns(locations: Iterable[Location], widths: Widths) -> dict[str, int]:
    """Array → its entries a row."""
    found: dict[str, int] = {}
    for location in locations:
        found[location.array] = max(found.get(location.array, 0), (location.column + 1) * widths[location.width])
    return found


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
    multiply: Multiply,
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
            multiply(slab.t(), value, total.narrow(0, first * width, count * width))
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
    location: Location = native.kept[name]
    return arrays[location.array].narrow(1, location.column * widths[location.width], widths[location.width])


def input_gradient(
    native: Native,
    tensors: Mapping[str, Tensor],
    arrays: Mapping[str, Tensor],
    units: int,
    multiply: Multiply,
    new: New,
) -> Tensor | None:
    """∂L/∂x [N, I]: the transposed input product over all steps, and what the equations read of x itself."""
    found = arrays.get(native.leaves.get("x", ""))
    if "weight_ih" in tensors:
        for array, begin, count, first in _runs(native.columns["ih"]):
            slab = arrays[array].narrow(1, begin * units, count * units)
            matrix = tensors["weight_ih"].narrow(0, first * units, count * units)
            part = new(len(slab), matrix.shape[1], matrix)
            multiply(slab, matrix, part)
            found = part if found is None else found.add_(part)
    return found
