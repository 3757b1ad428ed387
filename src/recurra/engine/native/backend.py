"""The backend "native": the derived sweeps compiled for this processor, everything over all steps in torch.

Memory between forward and backward, for N packed rows: the kept values and the states, N · H each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from recurra.engine.bptt import again, autocast, readable
from recurra.engine.demands import rows
from recurra.engine.layer import Layer
from recurra.engine.native import build, memory, whole
from recurra.engine.native.machine import REALS, Clock, Machine, low_kind, machine, pack, products
from recurra.engine.native.machine import run as run_sweep
from recurra.engine.native.plan import RECORDED
from recurra.engine.native.products import product, rounded
from recurra.engine.native.sweep import Mode

FEW_INPUTS = 8
"""Entries of x up to which its product is made step by step: over all steps it would be mostly traffic."""


def refuses(layer: Layer, x: Tensor) -> str | None:
    """Why this layer cannot run natively; None: it can."""
    if x.device.type != "cpu":
        return f"it is for the CPU, x is on {x.device.type}"
    if x.dtype not in REALS:
        return f"it is for float32 and float64, x is {x.dtype}"
    if (low := autocast(x)) not in (None, torch.bfloat16):
        return f"its short products are of bfloat16, autocast asks for {low}"
    return build.no_compiler()


def _split(
    layer: Layer, names: tuple[str, ...], inputs: Sequence[Tensor], low: bool
) -> tuple[Tensor, Sequence[Tensor], dict[str, Tensor]]:
    """x, the states, and the other tensors by name, wide."""
    found = [t.float() for t in inputs] if low else inputs
    states = len(layer.cell.state)
    return found[0], found[1 : 1 + states], dict(zip(names, found[1 + states :], strict=True))


def _machine(layer: Layer, x: Tensor, tensors: Mapping[str, Tensor]) -> Machine:
    inside = x.shape[1] <= FEW_INPUTS and "weight_ih" in tensors
    return machine(layer.cell, layer.variant, REALS[x.dtype], layer.also, inside, layer.record is not None)


def _new(rows: int, width: int, like: Tensor) -> Tensor:
    return memory.empty(rows * width, like.dtype).view(rows, width)


class NativeFunction(torch.autograd.Function):
    """x [N, I], states [alive, ·] → h [N, ·], final states [alive, ·]."""

    @staticmethod
    def forward(ctx: Any, layer: Layer, own: tuple[str, ...], names: tuple[str, ...], x: Tensor, *rest: Tensor) -> Any:
        cell, time = layer.cell, layer.time
        inputs, low = (x, *rest), autocast(x) is not None
        x, states, tensors = _split(layer, names, inputs, low)
        found = _machine(layer, x, tensors)
        widths = whole.entries(x, states, tensors)
        n, alive = x.shape[0], time.alive
        arrays = whole.values(tensors)
        arrays["x"] = rows(x)
        inside = any(op.weight == "ih" for op in products(found.native.forward))
        keep = any(ctx.needs_input_grad)
        if "weight_ih" in tensors and (not inside or (keep and found.native.reads_inputs)):
            matrix = tensors["weight_ih"]
            arrays["A_ih"] = _new(n, matrix.shape[0], x)
            if not inside:
                factors = (rounded(arrays["x"]), rounded(matrix)) if low else (arrays["x"], matrix)
                product(factors[0], factors[1].t(), arrays["A_ih"], tensors.get("bias_ih"))
        for name, initial in zip(cell.state, states, strict=True):
            arrays[f"hist_{name}"] = history = _new(alive + n, initial.shape[1], x)
            history[:alive] = initial
        if keep:
            sizes = whole.columns(found.native.kept.values(), widths)
            arrays |= {name: _new(n, count, x) for name, count in sizes.items()}
        clock = Clock.of(time, torch.get_num_threads())
        kind = low_kind(low, clock.rows // clock.threads)
        packed = {
            op.weight: pack(tensors[f"weight_{op.weight}"], op.gates, tensors.get(f"bias_{op.weight}"), low=kind)
            for op in products(found.native.forward)
        }
        run_sweep(found.forward if keep else found.inference, clock, arrays, packed, tuple(widths.values()), low=kind)
        histories = [arrays[f"hist_{s}"] for s in cell.state]
        last = slice(n, n + alive) if time.lengths is None else time.last
        finals = [h[last].clone() for h in histories]
        saved = {
            name: t for name, t in arrays.items() if name == "A_ih" or name.startswith(("hist_", "kept_", "scale"))
        }
        if not found.native.reads_inputs:
            saved.pop("A_ih", None)
        ctx.save_for_backward(*inputs, *saved.values())
        ctx.layer, ctx.own, ctx.names, ctx.saved, ctx.low = layer, own, names, tuple(saved), low
        ctx.set_materialize_grads(False)
        given = [histories[k][alive:] for k in layer.given]
        return (torch.cat(given, 1) if layer.also else given[0].detach(), *finals)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Any:
        layer: Layer = ctx.layer
        cell, time = layer.cell, layer.time
        count, everything = 1 + len(cell.state) + len(ctx.names), ctx.saved_tensors
        inputs = everything[:count]
        if torch.is_grad_enabled() or not readable(grads):
            return (None, None, None, *again(layer, ctx, inputs, grads))
        x, states, tensors = _split(layer, ctx.names, inputs, ctx.low)
        found = _machine(layer, x, tensors)
        widths = whole.entries(x, states, tensors)
        n = x.shape[0]
        arrays = whole.values(tensors)
        arrays |= dict(zip(ctx.saved, everything[count:], strict=True)) | {"x": rows(x)}
        given = whole.arriving(layer, x, states, grads)
        arrays |= given
        clock = Clock.of(time, torch.get_num_threads())
        _backward_arrays(found, n, widths, clock.threads, x, arrays)
        kind = low_kind(ctx.low, clock.rows // clock.threads)
        packed = {
            op.weight: pack(tensors[f"weight_{op.weight}"], 1, transposed=True, low=kind)
            for op in products(found.native.backward)
        }
        run_sweep(
            found.backward,
            clock,
            arrays,
            packed,
            tuple(widths.values()),
            low=kind,
            backwards=True,
            truncate=layer.truncate,
        )
        if layer.record is not None:
            layer.record.add_all(arrays[RECORDED], time.sizes)
        if ctx.low:
            arrays |= _short(found, arrays)
        back = whole.gradients(found.native, layer, tensors, arrays, widths, ctx.own, product)
        if ctx.low and "weight_ih" in tensors:
            tensors |= {"weight_ih": rounded(tensors["weight_ih"])}
        dx = None
        if ctx.needs_input_grad[3]:
            dx = whole.input_gradient(
                found.native, tensors, arrays, widths["H"], product, lambda rows, width, _: _new(rows, width, x)
            )
        return (
            None,
            None,
            None,
            dx,
            *(given[f"carry_{s}"] for s in cell.state),
            *(back.get(name) for name in ctx.names),
        )


run = partial(whole.run, NativeFunction)
"""As `reference.run`."""


def _backward_arrays(
    found: Machine, n: int, widths: whole.Widths, threads: int, like: Tensor, arrays: dict[str, Tensor]
) -> None:
    """Makes the arrays that the backward fills: a row for every step, or one a thread for sums."""
    locations = [location for location in found.backward.locations_by_number if location.array not in arrays]
    sums = whole.columns((location for location in locations if location.mode is Mode.ACCUMULATOR), widths)
    wholes = whole.columns((location for location in locations if location.mode is Mode.WHOLE), widths)
    arrays |= {name: like.new_zeros(threads, count) for name, count in sums.items()}
    arrays |= {name: _new(n, count, like) for name, count in wholes.items()}


def _short(found: Machine, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What the products over all steps read, rounded to bfloat16: each array once."""
    names = {array for places in found.native.columns.values() for array, _ in places}
    for argument, _ in found.native.derivation.weight_gradients.values():
        location = found.native.kept.get(argument)
        before = f"hist_{argument.removesuffix('_prev')}"
        names.add(before if argument.endswith("_prev") else location.array if location is not None else argument)
    return {name: rounded(arrays[name]) for name in names}
