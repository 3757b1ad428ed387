"""Carries any cell through time: several engines, one meaning.

`reference` is the equations in a plain loop, `torch` the derived backward through time in torch operations, `native`
the same compiled for this processor, `triton` the same as kernels for a GPU, `aten` torch's own kernel where it has one
for the cell. `auto` takes on the CPU what was measured faster: `native`, or `torch` where nothing can be compiled (said
once); a plain LSTM in 32 or 16 bits without lengths goes to `aten` (oneDNN), unless it is trained and large, or of
bfloat16 where the processor does not multiply that: there oneDNN has a slow one or none; a single step that nothing is
learnt from, as decoders take them, goes to `reference`, since others arrange the weights first, which takes longer than
the step. On a GPU, where nothing was measured, it takes `aten` for any cell of torch's and
`torch` for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, get_args

import torch
from torch import Tensor

from recurra.engine import aten, bptt, demands, reference
from recurra.engine.bptt import autocast
from recurra.engine.layer import Layer, Record
from recurra.engine.native import backend as compiled
from recurra.engine.native import build
from recurra.engine.short import widens
from recurra.engine.time import Time
from recurra.engine.trace import Trace
from recurra.engine.triton import backend as fused
from recurra.errors import ConfigError, did_you_mean

__all__ = ["Backend", "Layer", "Record", "Time", "Trace", "check_backend", "choose", "run"]

Backend = Literal["auto", "reference", "torch", "native", "triton", "aten"]


def check_backend(backend: str) -> None:
    """Raises ConfigError for a name that is no backend's."""
    if backend not in get_args(Backend):
        known = get_args(Backend)
        raise ConfigError(f"unknown backend {backend!r}{did_you_mean(backend, known)} Known: {', '.join(known)}.")


WIDE = 256
LARGE = {"avx512-bf16": 1_000_000, "avx512": 1_000_000, "avx2": 200_000, "portable": 4_000_000}
"""Units, and units times rows by instruction set, from which a trained LSTM was measured faster on `native` than on
oneDNN."""


def choose(backend: str, layer: Layer, x: Tensor, units: int = 0, learns: bool = True) -> str:
    """The engine that runs this layer of `units`; raises ConfigError where the one asked for cannot.

    `learns`: whether a backward may follow.
    """
    if backend == "auto":
        kernel = aten.refuses(layer) is None
        if x.device.type != "cpu":
            return "aten" if kernel else "torch"
        if len(layer.time.sizes) == 1 and not learns and not torch.is_autocast_enabled("cpu"):
            return "reference"
        onednn = kernel and layer.cell.name == "lstm" and layer.time.lengths is None and x.dtype != torch.float64
        onednn = onednn and not widens(x.device, autocast(x)) and aten.lacks(layer, x, learns) is None
        large = LARGE[build.instructions()]
        if onednn and not (learns and (units >= WIDE or units * layer.time.rows >= large)):
            return "aten"
        if (reason := build.no_compiler()) is not None:
            build.notify_once(f"{reason}; layers run on backend 'torch', which is slower")
            return "aten" if onednn else "torch"
        return "torch" if compiled.refuses(layer, x) else "native"
    if backend == "aten" and (reason := aten.refuses(layer) or aten.lacks(layer, x, learns)) is not None:
        raise ConfigError(f"backend 'aten' cannot run this layer: {reason}. Use backend='auto'.")
    if backend == "native" and (reason := compiled.refuses(layer, x)) is not None:
        raise ConfigError(f"backend 'native' cannot run this layer: {reason}. Use backend='auto'.")
    if backend == "triton" and (reason := fused.refuses(layer, x)) is not None:
        raise ConfigError(f"backend 'triton' cannot run this layer: {reason}. Use backend='auto'.")
    return backend


def run(
    layer: Layer,
    x: Tensor,
    state: tuple[Tensor, ...],
    weights: Mapping[str, Tensor],
    masks: Mapping[str, Tensor],
    backend: str = "auto",
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """One layer in one direction over packed rows.

    x [N, I], states [alive, ·] in the order of the rows; gives h [N, ·] and the final states [alive, ·]. Raises
    WrongTensor or WrongValue for tensors other than `demands` says, on every backend. What torch.func's transforms hand
    in has no memory that native code or a kernel could read: whatever the backend, it runs on "reference".
    """
    stored, turned = demands.check(layer, x, state, weights, masks)
    if turned:
        x, state = demands.plain(x), tuple(map(demands.plain, state))
        weights, masks = ({n: demands.plain(t) for n, t in given.items()} for given in (weights, masks))
    if not layer.time.rows:
        return _nothing(layer, x, state, weights), state
    learns = torch.is_grad_enabled() and any(t.requires_grad for t in (x, *state, *weights.values()))
    written = layer.trace is not None or (not stored and x.device.type != "meta")
    chosen = "reference" if written else choose(backend, layer, x, state[0].shape[1], learns)
    engines: dict[str, Callable[..., tuple[Tensor, tuple[Tensor, ...]]]] = {
        "reference": reference.run,
        "torch": bptt.run,
        "native": compiled.run,
        "triton": fused.run,
        "aten": aten.run,
    }
    try:
        return engines[chosen](layer, x, state, weights, masks)
    except build.BuildError as error:
        if backend != "auto":
            raise
        first = str(error).partition("\n")[0].rstrip(".")
        build.notify_once(f"{first}; such layers run on backend 'torch', which is slower (backend='native' says more)")
        return bptt.run(layer, x, state, weights, masks)


def _nothing(layer: Layer, x: Tensor, state: tuple[Tensor, ...], weights: Mapping[str, Tensor]) -> Tensor:
    """h of no rows [0, ·], which every weight has a gradient of: zeros."""
    width = sum(state[k].shape[1] for k in layer.given)
    return x.new_zeros(0, width) + sum(t.sum() for t in (x, *state, *weights.values()))
