"""The derived backward through time, in torch operations: runs wherever torch runs.

The time loop and the pointwise code come from `generate`; here are the products, the stretches of time, and what
autograd needs. Memory between forward and backward, for N packed rows: the kept values and the states, N · H each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from recurra.engine import reference
from recurra.engine.demands import plain, stored
from recurra.engine.generate import generate
from recurra.engine.layer import Layer, Record
from recurra.engine.short import factor

CACHED = 262144
"""Entries of one array, rows · H, that the backward works on at a time; measured with 1 MiB of L2 cache a core."""


class Weights:
    """The products of one layer; with `low`, a 16-bit type, the factors are rounded to it and sums kept wide."""

    def __init__(self, tensors: Mapping[str, Tensor], low: torch.dtype | None, units: int) -> None:
        self.tensors = tensors
        self.bias = "bias_hh" in tensors or "bias_ih" in tensors
        self.gradients: dict[str, Tensor] = {}
        """Sums over the stretches of time seen so far."""
        self.matrices = {
            n.removeprefix("weight_"): t if low is None else factor(t, low) for n, t in tensors.items() if t.ndim == 2
        }
        self.units = tensors["weight_hr"].shape[1] if "weight_hr" in tensors else units
        """Hidden units H, before a projection."""
        self.turned = {n: t.t() for n, t in self.matrices.items()}

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def rows(self, name: str) -> int:
        return self.matrices[name].shape[0]

    def product(self, name: str, v: Tensor, low: torch.dtype | None, also: str | None = None) -> Tensor:
        """v · Wᵀ + bias [n, rows]; `also`: another product's bias added with it."""
        bias = self.tensors.get(f"bias_{name}")
        if bias is not None and also is not None:
            bias = bias + self.tensors[f"bias_{also}"]
        if low is None:
            return torch.mm(v, self.turned[name]) if bias is None else torch.addmm(bias, v, self.turned[name])
        wide = torch.mm(factor(v, low), self.turned[name]).to(torch.float32)
        return wide if bias is None else wide.add_(bias)

    def accumulate(self, name: str, v: Tensor, slab: Tensor, low: torch.dtype | None) -> None:
        """slab += v · Wᵀ."""
        if low is None:
            slab.addmm_(v, self.turned[name])
        else:
            slab.add_(torch.mm(factor(v, low), self.turned[name]))

    def transposed(
        self, name: str, d: Tensor, low: torch.dtype | None, first: int = 0, end: int | None = None
    ) -> Tensor:
        """d · W, or d times the rows `first` to `end` of W."""
        matrix = self.matrices[name] if end is None else self.matrices[name][first:end]
        return torch.mm(d, matrix) if low is None else torch.mm(factor(d, low), matrix).to(torch.float32)

    def add_gradient(self, name: str, d: Tensor, v: Tensor, first: int, end: int, low: torch.dtype | None) -> None:
        """Rows `first` to `end` of ∇W += dᵀ · v, the sum over all rows of local error times local input; ∇b += Σ d."""
        total = self._total(f"weight_{name}")[first:end]
        if low is None:
            total.addmm_(d.t(), v)
        else:
            total.add_(torch.mm(factor(d.t(), low), factor(v, low)))
        for bias in {"ih": ["bias_ih"], "hh": ["bias_hh"]}.get(name, []):
            if bias in self.tensors:
                self._total(bias)[first:end] += d.sum(0)

    def add_sum(self, name: str, gradient: Tensor) -> None:
        """A vector's gradient [n, H] summed over rows, a scalar's over everything."""
        total = self._total(name)
        total += gradient.sum(0) if len(total) > 1 else gradient.sum()

    def _total(self, name: str) -> Tensor:
        if name not in self.gradients:
            self.gradients[name] = torch.zeros_like(self.tensors[name], memory_format=torch.contiguous_format)
        return self.gradients[name]


def run(
    layer: Layer, x: Tensor, state: tuple[Tensor, ...], weights: Mapping[str, Tensor], masks: Mapping[str, Tensor]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """As `reference.run`, by the derived backward."""
    names = (*weights, *masks)
    outputs = ThroughTime.apply(layer, tuple(weights), names, x, *state, *weights.values(), *masks.values())
    return outputs[0], tuple(outputs[1:])


def _stretches(layer: Layer) -> list[tuple[int, int]]:
    """Steps of each stretch: all at once, or as many as the backward may see."""
    steps = len(layer.time.sizes)
    every = layer.truncate or max(steps, 1)
    return [(t, min(t + every, steps)) for t in range(0, steps, every)]


class ThroughTime(torch.autograd.Function):
    """x [N, I], states [alive, ·] → h [N, ·], final states [alive, ·]."""

    @staticmethod
    def forward(ctx: Any, layer: Layer, own: tuple[str, ...], names: tuple[str, ...], x: Tensor, *rest: Tensor) -> Any:
        inputs, low = (x, *rest), autocast(x)
        with torch.autocast(x.device.type, enabled=False):
            if low is not None:
                x = x.float()
                rest = tuple(r.float() for r in rest)
            states, tensors = (
                rest[: len(layer.cell.state)],
                dict(zip(names, rest[len(layer.cell.state) :], strict=True)),
            )
            w = Weights({n: tensors[n] for n in own}, low, states[-1].shape[1])
            code = generate(layer.cell, layer.variant, layer.also)
            saved, outputs, tails, current = [], [], [], states
            start, alive = 0, layer.time.alive
            for first, end in _stretches(layer):
                sizes = layer.time.sizes[first:end]
                rows = slice(start, start + sum(sizes))
                tails += [tuple(s[sizes[0] :] for s in current)] if alive > sizes[0] else []
                current = tuple(s[: sizes[0]] for s in current)
                masks = {n: t[rows] for n, t in tensors.items() if n not in own}
                histories, kept = code.forward(x[rows], sizes, current, w, masks, low)
                current, ended = _final(histories, sizes)
                tails += ended
                alive = sizes[-1]
                given = [histories[k][sizes[0] :] for k in layer.given]
                outputs.append(torch.cat(given, 1) if layer.also else given[0])
                saved.append((histories, kept))
                start = rows.stop
            finals = tuple(torch.cat(p) for p in zip(current, *reversed(tails), strict=True)) if tails else current
            y = torch.cat(outputs) if len(outputs) > 1 else outputs[0].detach() if outputs else _nothing(states, layer)
        flat = [t for histories, kept in saved for t in (*histories, *kept.values())]
        ctx.save_for_backward(*inputs, *flat)
        ctx.layer, ctx.own, ctx.names, ctx.low = layer, own, names, low
        ctx.set_materialize_grads(False)
        return (y, *(f.clone() if f is s else f for f, s in zip(finals, states, strict=True)))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Any:
        layer: Layer = ctx.layer
        cell = layer.cell
        count = 1 + len(cell.state) + len(ctx.names)
        everything = ctx.saved_tensors
        inputs, flat = everything[:count], everything[count:]
        if torch.is_grad_enabled() or not readable(grads):
            return (None, None, None, *again(layer, ctx, inputs, grads))
        if ctx.low is not None:
            inputs = tuple(i.float() for i in inputs)
        x, states = inputs[0], inputs[1 : 1 + len(cell.state)]
        tensors = dict(zip(ctx.names, inputs[1 + len(cell.state) :], strict=True))
        w = Weights({n: tensors[n] for n in ctx.own}, ctx.low, states[-1].shape[1])
        code = generate(cell, layer.variant, layer.also)
        grads = tuple(None if g is None else plain(g) for g in grads)
        gy = grads[0]
        widths = [states[k].shape[1] for k in layer.given]
        if gy is None:
            gy = x.new_zeros(()).expand(x.shape[0], sum(widths))
        arriving = gy.split(widths, 1)
        late = [g if g is not None else torch.zeros_like(s) for g, s in zip(grads[1:], states, strict=True)]
        carry: tuple[Tensor, ...] = tuple(s[:0] for s in late)
        leaves: dict[str, Tensor] = {}
        rows, stop = 0, x.shape[0]
        names = code.program.derivation.kept
        width = len(cell.state) + len(names)
        with torch.autocast(x.device.type, enabled=False):
            for k, (begin, end) in reversed(list(enumerate(_stretches(layer)))):
                sizes = layer.time.sizes[begin:end]
                values = flat[k * width : (k + 1) * width]
                histories, kept = values[: len(cell.state)], values[len(cell.state) :]
                bottom = stop - sum(sizes)
                whole = _whole(cell.state, histories, sizes) | {"x": x[bottom:stop]}
                for first, last in _pieces(sizes, states[-1].shape[1]):
                    part = slice(stop - sum(sizes[first:last]), stop)
                    inner = slice(part.start - bottom, part.stop - bottom)
                    carry, rows, found = code.backward(
                        [g[part].split(sizes[first:last]) for g in arriving],
                        late,
                        carry,
                        rows,
                        {n: v[inner] for n, v in zip(names, kept, strict=True)},
                        {n: v[inner] for n, v in whole.items()},
                        sizes[first:last],
                        w,
                        {n: t[part] for n, t in tensors.items() if n not in ctx.own},
                        ctx.low,
                        ctx.needs_input_grad[3],
                        None if layer.record is None else _recorder(layer.record, begin + first),
                    )
                    for name, gradient in found.items():
                        if gradient is not None:
                            if name not in leaves:
                                leaves[name] = gradient.new_empty(x.shape[0], gradient.shape[1])
                            leaves[name][part] = gradient
                    stop = part.start
                if layer.truncate and begin > 0:
                    carry = tuple(torch.zeros_like(c) for c in carry)
        if not layer.time.sizes:
            carry = tuple(late)
        back = [w.gradients.get(n) if n in ctx.own else leaves.get(n) for n in ctx.names]
        return (None, None, None, leaves.get("x"), *carry, *back)


def _nothing(states: Sequence[Tensor], layer: Layer) -> Tensor:
    """The rows given back where there is no step."""
    return torch.cat([states[k][:0] for k in layer.given], 1)


def _pieces(sizes: Sequence[int], hidden: int) -> list[tuple[int, int]]:
    """A stretch cut into runs of steps, latest first, short enough that the arrays of one run stay in the cache."""
    pieces, end = [], len(sizes)
    while end > 0:
        first, count = end - 1, sizes[end - 1]
        while first > 0 and (count + sizes[first - 1]) * hidden <= CACHED:
            first -= 1
            count += sizes[first]
        pieces.append((first, end))
        end = first
    return pieces


def _recorder(record: Record, first: int) -> Callable[[int, Tensor], None]:
    return lambda step, gradient: record.add(first + step, gradient)


def autocast(x: Tensor) -> torch.dtype | None:
    """The 16-bit type that autocast asks for on this device; float64 stays as it is."""
    device = x.device.type
    if x.dtype == torch.float64 or not torch.is_autocast_enabled(device):
        return None
    return torch.get_autocast_dtype(device)


def _final(histories: Sequence[Tensor], sizes: Sequence[int]) -> tuple[tuple[Tensor, ...], list[tuple[Tensor, ...]]]:
    """States of the rows alive at the last step, and of those that ended before, in the order of their ends."""
    ends = []
    position = sizes[0]
    for here, after in pairwise(sizes):
        if after < here:
            ends.append(tuple(h[position + after : position + here] for h in histories))
        position += here
    return tuple(h[position : position + sizes[-1]] for h in histories), ends


def _whole(names: Sequence[str], histories: Sequence[Tensor], sizes: Sequence[int]) -> dict[str, Tensor]:
    """New and previous states for all rows of a stretch."""
    begin, out = sizes[0], {}
    for name, history in zip(names, histories, strict=True):
        out[name] = history[begin:]
        if sizes[-1] == begin:
            out[f"{name}_prev"] = history[: history.shape[0] - begin]
        else:
            rows, position = [], 0
            for before, here in zip((begin, *sizes), sizes, strict=False):
                rows.append(history[position : position + here])
                position += before
            out[f"{name}_prev"] = torch.cat(rows)
    return out


def readable(grads: Sequence[Tensor | None]) -> bool:
    """Whether these are gradients as they come one by one: many at once, as `is_grads_batched` and a vectorised
    jacobian hand them in, have no memory of their own, and only torch's own operations carry them."""
    return all(g is None or stored(g) for g in grads)


def again(layer: Layer, ctx: Any, inputs: Sequence[Tensor], grads: Sequence[Tensor | None]) -> list[Tensor | None]:
    """The gradients by torch's own operations, the forward once more by the reference loop: they can be differentiated
    again, and taken of many at once."""
    graph = torch.is_grad_enabled()
    with torch.enable_grad():
        fresh = [i if n else i.detach() for i, n in zip(inputs, ctx.needs_input_grad[3:], strict=True)]
        mixed = len({f.dtype for f in fresh}) > 1  # under autocast
        used = [f.float() for f in fresh] if mixed else fresh
        states = tuple(used[1 : 1 + len(layer.cell.state)])
        tensors = dict(zip(ctx.names, used[1 + len(layer.cell.state) :], strict=True))
        weights = {n: tensors[n] for n in ctx.own}
        masks = {n: t for n, t in tensors.items() if n not in ctx.own}
        y, finals = reference.run(layer, used[0], states, weights, masks)
        pairs = [
            (o, g.to(o.dtype)) for o, g in zip((y, *finals), grads, strict=True) if g is not None and o.requires_grad
        ]
        wanted = [f for f, n in zip(fresh, ctx.needs_input_grad[3:], strict=True) if n]
        found = iter(
            torch.autograd.grad(
                [o for o, _ in pairs], wanted, [g for _, g in pairs], create_graph=graph, allow_unused=True
            )
        )
        return [next(found) if n else None for n in ctx.needs_input_grad[3:]]
