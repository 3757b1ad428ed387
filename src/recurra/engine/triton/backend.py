"""The backend "triton": the native engine's sweeps on a GPU, everything over all steps in torch.

Memory between forward and backward, for N packed rows: the kept values and the states, N · H each.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from recurra.engine.bptt import again, autocast, readable
from recurra.engine.demands import rows
from recurra.engine.layer import Layer
from recurra.engine.native import whole
from recurra.engine.native.plan import Native
from recurra.engine.native.sweep import Mode, Sweep
from recurra.engine.triton import graphs, kernels, loop
from recurra.engine.triton.kernels import INTERPRETER, Code, code, interpreted, missing, trouble

REALS = (torch.float32, torch.float64)
WEIGHTS = ("weight_", "bias_")


def refuses(layer: Layer, x: Tensor) -> str | None:
    """Why this layer cannot run on Triton's kernels; None: it can."""
    if x.device.type != "cuda" and not (x.device.type == "cpu" and interpreted()):
        return f"it is for GPUs, x is on {x.device.type} (there it needs Triton's interpreter: {INTERPRETER}=1)"
    if x.dtype not in REALS:
        return f"it is for float32 and float64, x is {x.dtype}"
    if (low := autocast(x)) is not None:
        return f"it has no short products, autocast asks for {low}"
    if layer.record is not None:
        return "it does not record gradient norms"
    return missing() or (trouble(x.device) if x.is_cuda else None)


def _filled(native: Native, n: int, alive: int, widths: whole.Widths, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Arrays that the backward fills: [n, ·], and [blocks of rows, ·] of zeros for sums."""
    like = next(iter(given.values()))
    locations = [
        location for op in native.backward.ops for location in loop.locations_of(op) if location.array not in given
    ]
    rows = {Mode.WHOLE: n, Mode.ACCUMULATOR: -(-alive // kernels.ROWS)}
    out = {}
    for mode, count in rows.items():
        for name, width in whole.columns([h for h in locations if h.mode is mode], widths).items():
            out[name] = like.new_zeros(count, width) if mode is Mode.ACCUMULATOR else like.new_empty(count, width)
    return out


def _sweep(
    made: Code,
    which: str,
    layer: Layer,
    arrays: dict[str, Tensor],
    tensors: Mapping[str, Tensor],
    widths: Mapping[str, int],
) -> None:
    """The sweep "forward", "inference" or "backward" over all steps, by a graph where one is wanted."""
    sweep: Sweep = getattr(made.native, which)
    backwards = which == "backward"
    matrices = {n: t for n, t in tensors.items() if n.startswith(WEIGHTS)}

    def steps(given: Mapping[str, Tensor]) -> None:
        found = {}
        for name in (n.removeprefix("weight_") for n in matrices if n.startswith("weight_")):
            weight = given[f"weight_{name}"]
            found[name] = (weight, None) if backwards else (weight.t(), given.get(f"bias_{name}"))
        values = {n: t for n, t in given.items() if n not in matrices}
        truncate = layer.truncate if backwards else 0
        loop.run(made, sweep, layer.time, values, found, tuple(widths.values()), backwards=backwards, truncate=truncate)

    if not graphs.wanted(arrays["x"], layer.time):
        steps(arrays | matrices)
        return
    key = (made, which, layer.time.sizes, layer.truncate)
    read = {
        name: t for name, t in arrays.items() if name in {h.array for op in sweep.ops for h in loop.locations_of(op)}
    }
    graphs.run(key, steps, {"x": arrays["x"]} | read | matrices, loop.written(sweep) & read.keys())


class TritonFunction(torch.autograd.Function):
    """x [N, I], states [alive, ·] → h [N, ·], final states [alive, ·]."""

    @staticmethod
    def forward(ctx: Any, layer: Layer, own: tuple[str, ...], names: tuple[str, ...], x: Tensor, *rest: Tensor) -> Any:
        cell, time = layer.cell, layer.time
        states = rest[: len(cell.state)]
        tensors = dict(zip(names, rest[len(cell.state) :], strict=True))
        made = code(cell, layer.variant, layer.also)
        native, widths = made.native, whole.entries(x, states, tensors)
        n, alive = x.shape[0], time.alive
        arrays = {"x": rows(x)} | whole.values(tensors)
        if "weight_ih" in tensors:
            matrix, bias = tensors["weight_ih"].t(), tensors.get("bias_ih")
            arrays["A_ih"] = torch.mm(x, matrix) if bias is None else torch.addmm(bias, x, matrix)
        for name, initial in zip(cell.state, states, strict=True):
            arrays[f"hist_{name}"] = history = x.new_empty(alive + n, initial.shape[1])
            history[:alive] = initial
        keep = any(ctx.needs_input_grad)
        if keep:
            sizes = whole.columns(native.kept.values(), widths)
            arrays |= {name: x.new_empty(n, count) for name, count in sizes.items()}
        _sweep(made, "forward" if keep else "inference", layer, arrays, tensors, widths)
        histories = [arrays[f"hist_{s}"] for s in cell.state]
        last = torch.arange(n, n + alive) if time.lengths is None else time.last
        finals = [h.index_select(0, last.to(h.device)) for h in histories]
        saved = {k: t for k, t in arrays.items() if k == "A_ih" or k.startswith(("hist_", "kept_", "scale"))}
        if not native.reads_inputs:
            saved.pop("A_ih", None)
        ctx.save_for_backward(x, *rest, *saved.values())
        ctx.layer, ctx.own, ctx.names, ctx.saved = layer, own, names, tuple(saved)
        ctx.set_materialize_grads(False)
        given = [histories[k][alive:] for k in layer.given]
        return (torch.cat(given, 1) if layer.also else given[0].detach(), *finals)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Any:
        layer: Layer = ctx.layer
        cell = layer.cell
        count, everything = 1 + len(cell.state) + len(ctx.names), ctx.saved_tensors
        inputs = everything[:count]
        if torch.is_grad_enabled() or not readable(grads):
            return (None, None, None, *again(layer, ctx, inputs, grads))
        x, states = inputs[0], inputs[1 : 1 + len(cell.state)]
        tensors = dict(zip(ctx.names, inputs[1 + len(cell.state) :], strict=True))
        made = code(cell, layer.variant, layer.also)
        native, widths = made.native, whole.entries(x, states, tensors)
        n = x.shape[0]
        arrays = {"x": rows(x)} | whole.values(tensors)
        arrays |= dict(zip(ctx.saved, everything[count:], strict=True))
        given = whole.arriving(layer, x, states, grads)
        arrays |= given
        arrays |= _filled(native, n, layer.time.alive, widths, arrays)
        _sweep(made, "backward", layer, arrays, tensors, widths)
        back = whole.gradients(native, layer, tensors, arrays, widths, ctx.own, _multiply)
        wanted = ctx.needs_input_grad[3]
        dx = whole.input_gradient(native, tensors, arrays, widths["H"], _multiply, _new) if wanted else None
        return (
            None,
            None,
            None,
            dx,
            *(given[f"carry_{s}"] for s in cell.state),
            *(back.get(name) for name in ctx.names),
        )


run = partial(whole.run, TritonFunction)
"""As `reference.run`."""


def _new(rows: int, columns: int, like: Tensor) -> Tensor:
    return like.new_empty(rows, columns)


def _multiply(a: Tensor, b: Tensor, out: Tensor) -> None:
    torch.mm(a, b, out=out)
