"""One layer in one direction as an operator of torch's: what torch.compile and torch.export see of an engine.

They see shapes in and shapes out, and call the engine when the program runs. Its backward runs the forward once more,
since what an engine keeps in between has no shape that is known beforehand where there are lengths. It is used for
tracing only: an operator costs tens of microseconds a call that a plain one does not.

What a program holds of a layer is one string of its own, so that it means the same in another process: the
`signature`, the names of the tensors, the backend, and the short type of autocast. "auto" takes here "native" on the
CPU where it can, and "torch" elsewhere; another backend runs as it was asked for, or is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from recurra.engine import bptt, demands, signature
from recurra.engine.layer import Layer
from recurra.engine.native import backend as compiled
from recurra.engine.native import build
from recurra.engine.padded import Padded
from recurra.engine.time import Time
from recurra.engine.triton import backend as fused
from recurra.equations.derive import Variant
from recurra.equations.language import Cell
from recurra.errors import ConfigError

ENGINES = ("auto", "torch", "native", "triton", "aten")
SHORT = ("", "bfloat16", "float16")
NO_KERNEL = (
    "backend 'aten' cannot run in a recorded program (torch.compile, torch.export, torch.jit.trace): its gradients are "
    "those of a graph of its own. Make the layer with backend='auto', or call it outside of the program."
)

recorder: ContextVar[Callable[..., list[Tensor]] | None] = ContextVar("recorder", default=None)
"""What takes the operator's place in a program that is recorded for something else than torch."""


def run(
    signature_text: str,
    layer: tuple[int, tuple[str, ...]],
    time: Padded,
    x: Tensor,
    state: Sequence[Tensor],
    weights: Mapping[str, Tensor],
    masks: Mapping[str, Tensor],
    backend: str,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """As `engine.run`, over x [T, B, I] to y [T, B, ·] and states [B, ·].

    `signature_text`: the layer's `signature`; `layer`: `truncate` and `also` of Layer.
    """
    truncate, also = layer
    device = x.device.type
    low = str(torch.get_autocast_dtype(device)).removeprefix("torch.") if torch.is_autocast_enabled(device) else ""
    if x.dtype == torch.float64:
        low = ""
    words = "\n".join((signature_text, ",".join(weights), ",".join(masks), ",".join(also), backend, low))
    tensors = [*weights.values(), *masks.values()]
    # torch.compile cannot read a context variable; an export records outside of it.
    call = (None if torch.compiler.is_dynamo_compiling() else recorder.get()) or torch.ops.recurra.layer
    y, *finals = call(x, time.lengths, list(state), tensors, words, truncate)
    return y, tuple(finals)


class Words(NamedTuple):
    """What the operator's string says."""

    cell: Cell
    variant: Variant
    own: tuple[str, ...]
    masks: tuple[str, ...]
    also: tuple[str, ...]
    backend: str
    low: str


@lru_cache(maxsize=256)
def read(words: str) -> Words:
    """Raises ConfigError for a layer that is not here as it was where the program was made."""
    signature_text, *rest = words.split("\n")
    cell, variant = signature.read(signature_text)
    if len(rest) == 5:
        own, masks, also = (tuple(names.split(",")) if names else () for names in rest[:3])
        if set(also) <= set(cell.state) and rest[3] in ENGINES and rest[4] in SHORT:
            return Words(cell, variant, own, masks, also, rest[3], rest[4])
    raise ConfigError(
        f"a layer of a recorded program is not as this version of recurra writes it: {rest}. {signature.AGAIN}"
    )


class _Call:
    """One call of an engine: what the operator was given, as packed rows."""

    def __init__(
        self,
        x: Tensor,
        lengths: Tensor | None,
        state: Sequence[Tensor],
        tensors: Sequence[Tensor],
        words: str,
        cut: int,
    ) -> None:
        cell, variant, self.own, masks, also, backend, self.low = read(words)
        self.names = (*self.own, *masks)
        if len(self.names) != len(tensors) or len(cell.state) != len(state):
            raise ConfigError(
                f"a layer of {cell.name!r} in a recorded program has {len(tensors)} weights and {len(state)} states, "
                f"expected {len(self.names)} and {len(cell.state)}. {signature.AGAIN}"
            )
        T, B, _ = x.shape
        self.steps, self.time = T, Time.full(T, B) if lengths is None else Time.of(lengths, T, B)
        self.layer = Layer(cell, self.time, variant, cut, also=also)
        given = [t if k < len(self.own) else self.rows(t) for k, t in enumerate(tensors)]
        self.state = [self.time.sort(s)[: self.time.alive] for s in state]
        self.inputs = (self.time.pack(x), *self.state, *given)
        values = dict(zip(self.names, given, strict=True))
        weights = {n: values[n] for n in self.own}
        with self.mixed():
            demands.check(self.layer, self.inputs[0], tuple(self.state), weights, {n: values[n] for n in masks})
            self.free, self.engine = backend == "auto", self.choose(backend)

    def mixed(self) -> torch.autocast:
        """Autocast as it was where the program was recorded, whatever it is where it runs."""
        short = getattr(torch, self.low) if self.low else None
        return torch.autocast(self.inputs[0].device.type, short, enabled=short is not None)

    def choose(self, backend: str) -> Any:
        """The engine asked for, if it can run this layer; of "auto" what the head of this file says."""
        x = self.inputs[0]
        if backend == "torch":
            return bptt.ThroughTime
        if backend == "aten":
            raise ConfigError(NO_KERNEL)
        reason = fused.refuses(self.layer, x) if backend == "triton" else compiled.refuses(self.layer, x)
        if backend == "auto":
            if x.device.type == "cpu" and (lacking := build.no_compiler()) is not None:
                build.notify_once(f"{lacking}; layers run on backend 'torch', which is slower")
            return compiled.NativeFunction if reason is None else bptt.ThroughTime
        if reason is not None:
            raise ConfigError(f"backend {backend!r} cannot run this layer: {reason}. Use backend='auto'.")
        return compiled.NativeFunction if backend == "native" else fused.TritonFunction

    def rows(self, padded: Tensor) -> Tensor:
        return self.time.pack(padded.reshape(self.steps, self.time.batch, padded.shape[-1]))

    def forward(self, needs: Sequence[bool]) -> tuple[_Context, Tensor, list[Tensor]]:
        """y [N, ·] and the final states [alive, ·], with what a backward needs where something `needs` it."""
        context = _Context(needs)
        if not self.time.sizes:
            return (
                context,
                self.inputs[0].new_zeros(0, sum(self.state[k].shape[1] for k in self.layer.given)),
                self.state,
            )
        with torch.no_grad(), self.mixed():
            try:
                y, *finals = self.engine.forward(context, self.layer, self.own, self.names, *self.inputs)
            except build.BuildError as error:
                if not self.free:
                    raise
                first = str(error).partition("\n")[0].rstrip(".")
                build.notify_once(f"{first}; such layers run on backend 'torch', which is slower")
                self.engine = bptt.ThroughTime
                y, *finals = self.engine.forward(context, self.layer, self.own, self.names, *self.inputs)
        return context, y, finals

    def back(self, found: Tensor, whole: Tensor) -> Tensor:
        """States [alive, ·] as the caller has them, [B, ·]; `whole`: those of sequences without a step."""
        return self.time.unsort(torch.cat((found, self.time.sort(whole)[self.time.alive :])))


class _Context:
    """What an engine's forward hands its backward, where autograd does not carry it."""

    saved_tensors: ClassVar[tuple[Tensor, ...]] = ()

    def __init__(self, needs: Sequence[bool]) -> None:
        self.needs_input_grad = (False, False, False, *needs)

    def save_for_backward(self, *tensors: Tensor) -> None:
        self.saved_tensors = tensors  # type: ignore[misc]

    def set_materialize_grads(self, wanted: bool) -> None:
        """Gradients that nobody gave are None here anyway."""


@torch.library.custom_op("recurra::layer", mutates_args=())
def _forward(
    x: Tensor, lengths: Tensor | None, state: Sequence[Tensor], tensors: Sequence[Tensor], words: str, truncate: int
) -> list[Tensor]:
    call = _Call(x, lengths, state, tensors, words, truncate)
    _, y, finals = call.forward([False] * len(call.inputs))
    padded = call.time.unpack(y, len(x)).clone()
    return [padded, *(call.back(f, s).clone() for f, s in zip(finals, state, strict=True))]


@_forward.register_fake
def _forward_shapes(
    x: Tensor, lengths: Tensor | None, state: Sequence[Tensor], tensors: Sequence[Tensor], words: str, truncate: int
) -> list[Tensor]:
    found = read(words)
    given = (0, *map(found.cell.state.index, found.also))
    dtype = torch.float32 if found.low else x.dtype
    y = x.new_empty((x.shape[0], x.shape[1], sum(state[k].shape[1] for k in given)), dtype=dtype)
    return [y, *(s.new_empty(s.shape, dtype=dtype) for s in state)]


@torch.library.custom_op("recurra::layer_backward", mutates_args=())
def _backward(
    grads: Sequence[Tensor],
    x: Tensor,
    lengths: Tensor | None,
    state: Sequence[Tensor],
    tensors: Sequence[Tensor],
    words: str,
    truncate: int,
) -> list[Tensor]:
    call = _Call(x, lengths, state, tensors, words, truncate)
    inputs = [x, *state, *tensors]
    context, _, _ = call.forward([True] * len(call.inputs))
    if not call.time.sizes:
        return [torch.zeros_like(x), *(g.clone() for g in grads[1:]), *map(torch.zeros_like, tensors)]
    late = [call.time.sort(g)[: call.time.alive] for g in grads[1:]]
    with torch.no_grad(), call.mixed():
        found = call.engine.backward(context, call.time.pack(grads[0]), *late)[3:]
    out = []
    for k, (g, given) in enumerate(zip(found, inputs, strict=True)):
        if g is None:
            out.append(torch.zeros_like(given))
        elif 1 <= k <= len(state):
            out.append(call.back(g, grads[k]).to(given.dtype).clone())
        elif k == 0 or k > len(state) + len(call.own):
            out.append(call.time.unpack(g, call.steps).reshape(given.shape).to(given.dtype).clone())
        else:
            out.append(g.to(given.dtype).clone())
    return out


@_backward.register_fake
def _backward_shapes(
    grads: Sequence[Tensor],
    x: Tensor,
    lengths: Tensor | None,
    state: Sequence[Tensor],
    tensors: Sequence[Tensor],
    *_: Any,
) -> list[Tensor]:
    return [torch.empty_like(t, memory_format=torch.contiguous_format) for t in (x, *state, *tensors)]


def _set_up(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    x, lengths, state, tensors, ctx.words, ctx.truncate = inputs
    ctx.states, ctx.ragged = len(state), lengths is not None
    ctx.save_for_backward(*([lengths] if ctx.ragged else []), x, *state, *tensors)


def _gradients(ctx: Any, grads: Sequence[Tensor]) -> tuple[Any, ...]:
    everything = list(ctx.saved_tensors)
    lengths = everything.pop(0) if ctx.ragged else None
    x, state, tensors = everything[0], everything[1 : 1 + ctx.states], everything[1 + ctx.states :]
    found = torch.ops.recurra.layer_backward(list(grads), x, lengths, state, tensors, ctx.words, ctx.truncate)
    return found[0], None, found[1 : 1 + ctx.states], found[1 + ctx.states :], None, None


_register: Callable[..., Any] = _forward.register_autograd
_register(_gradients, setup_context=_set_up)
