"""The backend "native": the derived sweeps compiled for this processor, everything over all steps in torch.

Memory between forward and backward, for N packed rows: the kept values and the states, N · H each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from recurra.engine.bptt import again, autocast
from recurra.engine.layer import Layer
from recurra.engine.native import build, memory
from recurra.engine.native.machine import REALS, WIDTHS, Clock, Machine, machine, pack, products
from recurra.engine.native.machine import run as run_sweep
from recurra.engine.native.sweep import Mode

Sizes = tuple[int, int, int, int]


def refuses(layer: Layer, x: Tensor) -> str | None:
    """Why this layer cannot run natively; None: it can."""
    if x.device.type != "cpu":
        return f"it is for the CPU, x is on {x.device.type}"
    if x.dtype not in REALS:
        return f"it is for float32 and float64, x is {x.dtype}"
    if layer.record is not None:
        return "it does not record gradient norms"
    if (low := autocast(x)) not in (None, torch.bfloat16):
        return f"its short products are of bfloat16, autocast asks for {low}"
    return build.no_compiler()


def run(
    layer: Layer, x: Tensor, state: tuple[Tensor, ...], weights: Mapping[str, Tensor], masks: Mapping[str, Tensor]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """As `reference.run`."""
    if not layer.time.sizes:
        return x.new_zeros(0, sum(state[k].shape[1] for k in layer.given)), state
    names = (*weights, *masks)
    outputs = _Native.apply(layer, tuple(weights), names, x, *state, *weights.values(), *masks.values())
    return outputs[0], tuple(outputs[1:])


def _rows(tensor: Tensor) -> Tensor:
    """With entries of a row side by side."""
    return tensor if tensor.stride(-1) == 1 or tensor.shape[-1] == 1 else tensor.contiguous()


def _new(rows: int, width: int, like: Tensor) -> Tensor:
    return memory.empty(rows * width, like.dtype).view(rows, width)


def _widths(x: Tensor, state: tuple[Tensor, ...], weights: Mapping[str, Tensor]) -> Sizes:
    """Entries of machine.WIDTHS."""
    units = weights["weight_hr"].shape[1] if "weight_hr" in weights else state[-1].shape[1]
    return units, state[0].shape[1], 1, x.shape[1]


class _Native(torch.autograd.Function):
    """x [N, I], states [alive, ·] → h [N, ·], final states [alive, ·]."""

    @staticmethod
    def forward(ctx: Any, layer: Layer, own: tuple[str, ...], names: tuple[str, ...], x: Tensor, *rest: Tensor) -> Any:
        cell, time = layer.cell, layer.time
        low = autocast(x) is not None
        if low:
            x, rest = x.float(), tuple(r.float() for r in rest)
        states = rest[: len(cell.state)]
        tensors = dict(zip(names, rest[len(cell.state) :], strict=True))
        found = machine(cell, layer.variant, REALS[x.dtype], layer.also)
        widths = _widths(x, states, tensors)
        n, alive = x.shape[0], time.alive
        arrays = {name: _rows(t) for name, t in tensors.items() if not name.startswith(("weight_", "bias_"))}
        arrays["x"] = _rows(x)
        if "weight_ih" in tensors:
            matrix, bias = tensors["weight_ih"], tensors.get("bias_ih")
            arrays["A_ih"] = inputs = _new(n, matrix.shape[0], x)
            if bias is None or low:
                _product(x, matrix.t(), inputs, low)
            else:
                torch.addmm(bias, x, matrix.t(), out=inputs)
            if bias is not None and low:
                inputs += bias
        for name, initial in zip(cell.state, states, strict=True):
            arrays[f"hist_{name}"] = history = _new(alive + n, initial.shape[1], x)
            history[:alive] = initial
        keep = any(ctx.needs_input_grad)
        if keep:
            arrays |= _kept(found, n, widths, x)
        packed = {
            op.weight: pack(tensors[f"weight_{op.weight}"], op.gates, tensors.get(f"bias_{op.weight}"), low=low)
            for op in products(found.native.forward)
        }
        clock = Clock.of(time, torch.get_num_threads())
        run_sweep(found.forward if keep else found.inference, clock, arrays, packed, widths, low=low)
        histories = [arrays[f"hist_{s}"] for s in cell.state]
        last = slice(n, n + alive) if time.lengths is None else time.last
        finals = [h[last].clone() for h in histories]
        saved = {
            name: t for name, t in arrays.items() if name == "A_ih" or name.startswith(("hist_", "kept_", "scale"))
        }
        if not found.native.reads_inputs:
            saved.pop("A_ih", None)
        ctx.save_for_backward(x, *rest, *saved.values())
        ctx.layer, ctx.own, ctx.names, ctx.saved, ctx.low = layer, own, names, tuple(saved), low
        ctx.set_materialize_grads(False)
        given = [histories[k][alive:] for k in layer.given]
        return (torch.cat(given, 1) if layer.also else given[0].detach(), *finals)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Any:
        layer: Layer = ctx.layer
        cell, time = layer.cell, layer.time
        count = 1 + len(cell.state) + len(ctx.names)
        inputs = ctx.saved_tensors[:count]
        if torch.is_grad_enabled():
            return (None, None, None, *again(layer, ctx, inputs, grads))
        x, states = inputs[0], inputs[1 : 1 + len(cell.state)]
        tensors = dict(zip(ctx.names, inputs[1 + len(cell.state) :], strict=True))
        found = machine(cell, layer.variant, REALS[x.dtype], layer.also)
        widths = _widths(x, states, tensors)
        n = x.shape[0]
        arrays = {name: _rows(t) for name, t in tensors.items() if not name.startswith(("weight_", "bias_"))}
        arrays |= dict(zip(ctx.saved, ctx.saved_tensors[count:], strict=True)) | {"x": _rows(x)}
        arriving = [states[k].shape[1] for k in layer.given]
        gy = _rows(grads[0]) if grads[0] is not None else x.new_zeros(1, sum(arriving)).expand(n, -1)
        arrays |= {f"gy_{cell.state[k]}": g for k, g in zip(layer.given, gy.split(arriving, 1), strict=True)}
        carries = {}
        for name, late, initial in zip(cell.state, grads[1:], states, strict=True):
            carries[name] = (
                torch.zeros_like(initial) if late is None else late.clone(memory_format=torch.contiguous_format)
            )
            arrays[f"carry_{name}"] = carries[name]
        clock = Clock.of(time, torch.get_num_threads())
        sums = _backward_arrays(found, n, widths, clock.threads, x, arrays)
        packed = {
            op.weight: pack(tensors[f"weight_{op.weight}"], 1, transposed=True, low=ctx.low)
            for op in products(found.native.backward)
        }
        run_sweep(found.backward, clock, arrays, packed, widths, low=ctx.low, backwards=True, truncate=layer.truncate)
        if ctx.low:
            arrays |= _short(found, arrays)
        back = _gradients(found, layer, tensors, arrays, sums, widths, set(ctx.own), ctx.low)
        dx = _input_gradient(found, tensors, arrays, widths, ctx.low) if ctx.needs_input_grad[3] else None
        return (None, None, None, dx, *carries.values(), *(back.get(name) for name in ctx.names))


def _kept(found: Machine, n: int, widths: Sizes, like: Tensor) -> dict[str, Tensor]:
    """Arrays for what the backward reads."""
    columns: dict[str, int] = {}
    for home in found.native.kept.values():
        columns[home.array] = max(columns.get(home.array, 0), (home.column + 1) * widths[WIDTHS.index(home.width)])
    return {name: _new(n, count, like) for name, count in columns.items()}


def _backward_arrays(
    found: Machine, n: int, widths: Sizes, threads: int, like: Tensor, arrays: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Makes the arrays that the backward fills; gives those of sums."""
    columns: dict[str, int] = {}
    sums: dict[str, Tensor] = {}
    for index, column, width, mode in found.backward.homes.tolist():
        name = found.backward.arrays[index]
        if mode == Mode.ACCUMULATOR:
            sums[name] = like.new_zeros(threads, widths[width])
        elif mode == Mode.WHOLE and name not in arrays:
            columns[name] = max(columns.get(name, 0), (column + 1) * widths[width])
    arrays |= {name: _new(n, count, like) for name, count in columns.items()} | sums
    return sums


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


def _gradients(
    found: Machine,
    layer: Layer,
    tensors: Mapping[str, Tensor],
    arrays: Mapping[str, Tensor],
    sums: Mapping[str, Tensor],
    widths: Sizes,
    own: set[str],
    low: bool,
) -> dict[str, Tensor]:
    """Of every weight, parameter and other leaf: sums over all rows."""
    native, time = found.native, layer.time
    out: dict[str, Tensor] = {}
    for weight, (argument, names) in native.derivation.weight_gradients.items():
        if f"weight_{weight}" not in tensors:
            continue
        if argument.endswith("_prev"):
            history = arrays[f"hist_{argument.removesuffix('_prev')}"]
            value = history[: time.rows] if time.lengths is None else history[time.previous]
        elif argument in arrays:
            value = arrays[argument]
        else:
            home = native.kept[argument]
            width = widths[WIDTHS.index(home.width)]
            value = arrays[home.array][:, home.column * width : (home.column + 1) * width]
        matrix = tensors[f"weight_{weight}"]
        width = matrix.shape[0] // len(names)
        total = torch.empty_like(matrix, memory_format=torch.contiguous_format)
        for array, begin, count, first in _runs(native.columns[weight]):
            slab = arrays[array][:, begin * width : (begin + count) * width]
            _product(slab.t(), value, total[first * width : (first + count) * width], low)
        out[f"weight_{weight}"] = total
        if f"bias_{weight}" in tensors:
            out[f"bias_{weight}"] = torch.cat([sums[native.sums[f"bias:{name}"]].sum(0) for name in names])
    for name in native.derivation.cell.parameters:
        if name in native.sums:
            total = sums[native.sums[name]].sum(0)
            out[name] = total if len(tensors[name]) > 1 or widths[0] == 1 else total.sum().view(1)
    out |= {leaf: arrays[array] for leaf, array in native.leaves.items() if leaf != "x" and leaf not in own}
    return out


def _input_gradient(
    found: Machine, tensors: Mapping[str, Tensor], arrays: Mapping[str, Tensor], widths: Sizes, low: bool
) -> Tensor | None:
    """∂L/∂x [N, I]: the transposed input product over all steps, and what the equations read of x itself."""
    native, H = found.native, widths[0]
    dx = arrays.get(native.leaves.get("x", ""))
    if "weight_ih" in tensors:
        for array, begin, count, first in _runs(native.columns["ih"]):
            slab = arrays[array][:, begin * H : (begin + count) * H]
            matrix = tensors["weight_ih"][first * H : (first + count) * H]
            if dx is None:
                dx = matrix.new_empty(len(slab), matrix.shape[1])
                _product(slab, matrix, dx, low)
            elif low:
                dx += torch.mm(slab.bfloat16(), matrix.bfloat16())
            else:
                dx.addmm_(slab, matrix)
    return dx


def _short(found: Machine, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What the products over all steps read, in bfloat16: each array is rounded once."""
    names = {array for places in found.native.columns.values() for array, _ in places}
    for argument, _ in found.native.derivation.weight_gradients.values():
        home = found.native.kept.get(argument)
        before = f"hist_{argument.removesuffix('_prev')}"
        names.add(before if argument.endswith("_prev") else home.array if home is not None else argument)
    return {name: arrays[name].bfloat16() for name in names}


def _product(a: Tensor, b: Tensor, out: Tensor, low: bool) -> None:
    """out = a · b, with `low` of factors rounded to bfloat16."""
    if low:
        out.copy_(torch.mm(a.bfloat16(), b.bfloat16()))
    else:
        torch.mm(a, b, out=out)
