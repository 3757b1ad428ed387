"""torch's own fused kernels (oneDNN on the CPU, cuDNN on a GPU) for the cells whose equations they are.

Not derived from the equations: tested equal to them. It knows no masks, zoneout, truncation, projection or recording.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch
from torch import _VF, Tensor
from torch.autograd.graph import get_gradient_edge

from recurra.engine.bptt import again, autocast, readable
from recurra.engine.layer import Layer
from recurra.equations.derive import PLAIN
from recurra.registry import find

KERNELS: dict[str, Callable[..., tuple[Tensor, ...]]] = {
    "lstm": _VF.lstm,
    "gru": _VF.gru,
    "rnn-tanh": _VF.rnn_tanh,
    "rnn-relu": _VF.rnn_relu,
}


def refuses(layer: Layer) -> str | None:
    """Why torch has no kernel for this layer; None: it has one."""
    if layer.cell.name not in KERNELS:
        return f"torch has no kernel for the cell {layer.cell.name!r} (it has {', '.join(KERNELS)})"
    if layer.cell is not find("cell", layer.cell.name):
        return f"torch's kernel is for the registered cell {layer.cell.name!r}, this is another of that name"
    if layer.variant != PLAIN:
        return "torch's kernels know no recurrent dropout, zoneout or projection here"
    if layer.truncate or layer.record is not None:
        return "torch's kernels neither truncate the backward nor record gradient norms"
    return None


def lacks(layer: Layer, x: Tensor, learns: bool) -> str | None:
    """Why this processor cannot run torch's kernel for the layer on x of this type; None: it can.

    Found out by running it once, as small as can be: what oneDNN has differs by type and processor, and a processor's
    flags do not say it (ONEDNN_MAX_CPU_ISA takes away what they promise).
    """
    if x.device.type != "cpu":
        return None
    return _lacks(layer.cell.name, x.dtype, autocast(x), learns, bool(torch.backends.mkldnn.enabled))


@cache
def _lacks(cell: str, dtype: torch.dtype, short: torch.dtype | None, learns: bool, onednn: bool) -> str | None:
    """`onednn`: whether torch is to use it now, which changes the answer."""
    kernel, gates = KERNELS[cell], {"lstm": 4, "gru": 3}.get(cell, 1)
    device = torch.device("cpu")
    with torch.inference_mode(False), torch.set_grad_enabled(learns):
        x = torch.zeros(1, 1, 1, dtype=dtype, device=device)
        weights = [torch.zeros(gates, 1, dtype=dtype, device=device, requires_grad=learns) for _ in range(2)]
        try:
            with torch.autocast("cpu", short, enabled=short is not None):
                y = kernel(x, (x, x) if cell == "lstm" else x, weights, False, 1, 0.0, False, False, False)[0]
            if learns:
                torch.autograd.grad(y.sum(), weights)
        except RuntimeError as error:
            if "could not create a primitive" not in str(error):
                raise
            limit = os.environ.get("ONEDNN_MAX_CPU_ISA")
            return (
                f"torch (oneDNN) has no {cell} of {short or dtype} for this processor"
                f"{f', as ONEDNN_MAX_CPU_ISA={limit} leaves it' if limit else ''}"
            )
    return None


def run(
    layer: Layer, x: Tensor, state: tuple[Tensor, ...], weights: Mapping[str, Tensor], masks: Mapping[str, Tensor]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """As `reference.run`."""
    if not layer.time.sizes:
        return x.new_zeros(0, state[0].shape[1]), state
    if torch.is_grad_enabled() and any(t.requires_grad for t in (x, *state, *weights.values())):
        out = _Twice.apply(layer, tuple(weights), tuple(weights), x, *state, *weights.values())
    else:
        out = _kernel(layer, x, state, tuple(weights.values()))
    return out[0], tuple(out[1:])


def _kernel(layer: Layer, x: Tensor, state: tuple[Tensor, ...], flat: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    kernel, time = KERNELS[layer.cell.name], layer.time
    hidden: Any = tuple(s[None] for s in state) if len(state) > 1 else state[0][None]
    biased = len(flat) > 2
    if time.lengths is None:
        rows = x.view(len(time.sizes), time.batch, -1)
        y, *finals = kernel(rows, hidden, flat, biased, 1, 0.0, False, False, False)
        y = y.reshape(x.shape[0], -1)
    else:
        y, *finals = kernel(x, torch.tensor(time.sizes, device="cpu"), hidden, flat, biased, 1, 0.0, False, False)
    return (y, *(f[0] for f in finals))


class _Enter(torch.autograd.Function):
    """The same tensors at the beginning of a graph that holds none of them: their gradients are asked for at its edge,
    so its backward never runs."""

    @staticmethod
    def forward(ctx: Any, token: Tensor, *tensors: Tensor) -> Any:
        return tuple(t.detach() for t in tensors)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        raise AssertionError("the gradients are taken before this")


class _Twice(torch.autograd.Function):
    """torch's kernel with its own backward, and the reference loop where that backward is differentiated again.

    The kernel's graph holds numbers in the place of tensors. The tensors are saved with this function's, so that they
    are freed with them, and a second backward is refused as everywhere.
    """

    @staticmethod
    def forward(ctx: Any, layer: Layer, own: tuple[str, ...], names: tuple[str, ...], *inputs: Tensor) -> Any:
        need, states = ctx.needs_input_grad[3:], len(layer.cell.state)
        ctx.layer, ctx.own, ctx.names = layer, own, names
        kept: list[Tensor] = []
        shelf: dict[int, Tensor] = {}
        ctx.shelf = shelf

        def put(tensor: Tensor) -> int:
            kept.append(tensor.detach())
            return len(kept) - 1

        with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(put, shelf.__getitem__):
            token = torch.empty(0, device=inputs[0].device, requires_grad=True)
            entered = iter(_Enter.apply(token, *(t for t, n in zip(inputs, need, strict=True) if n)))
            fresh = [next(entered) if n else t.detach() for t, n in zip(inputs, need, strict=True)]
            outputs = _kernel(layer, fresh[0], tuple(fresh[1 : 1 + states]), tuple(fresh[1 + states :]))
        ctx.outputs = [get_gradient_edge(o) for o in outputs]
        ctx.wanted = [get_gradient_edge(f) for f, n in zip(fresh, need, strict=True) if n]
        ctx.save_for_backward(*inputs, *kept)
        kept.clear()  # the graph holds `put`, and with it the list
        ctx.set_materialize_grads(False)
        return tuple(o.detach() for o in outputs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Any:
        need, everything = ctx.needs_input_grad[3:], ctx.saved_tensors
        if torch.is_grad_enabled() or not readable(grads):
            return (None, None, None, *again(ctx.layer, ctx, everything[: len(need)], grads))
        pairs = [(o, g) for o, g in zip(ctx.outputs, grads, strict=True) if g is not None]
        ctx.shelf.update(enumerate(everything[len(need) :]))
        try:
            found = iter(
                torch.autograd.grad(
                    [o for o, _ in pairs], ctx.wanted, [g for _, g in pairs], retain_graph=True, allow_unused=True
                )
            )
        finally:
            ctx.shelf.clear()
        return (None, None, None, *(next(found) if n else None for n in need))
