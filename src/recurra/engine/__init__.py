"""Carries any cell through time: several engines, one meaning.

`reference` is the equations in a plain loop, `torch` the derived backward through time in torch operations, `native`
the same compiled for this processor, `triton` the same as kernels for a GPU, `aten` torch's own kernel where it has one
for the cell. `auto` takes on the CPU what was measured faster, `native`, or `torch` where nothing can be compiled (said
once); on a GPU, where nothing was measured, `aten` for any cell of torch's, for the others `triton`, or `torch` where
that cannot run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from torch import Tensor

from recurra.engine import aten, bptt, reference
from recurra.engine.layer import Layer, Record
from recurra.engine.native import backend as compiled
from recurra.engine.native import build
from recurra.engine.time import Time
from recurra.engine.triton import backend as fused
from recurra.errors import ConfigError, did_you_mean

__all__ = ["Backend", "Layer", "Record", "Time", "check_backend", "choose", "run"]

Backend = Literal["auto", "reference", "torch", "native", "triton", "aten"]


def check_backend(backend: str) -> None:
    """Raises ConfigError for a name that is no backend's."""
    if backend not in get_args(Backend):
        known = get_args(Backend)
        raise ConfigError(f"unknown backend {backend!r}{did_you_mean(backend, known)} Known: {', '.join(known)}.")


def choose(backend: str, layer: Layer, x: Tensor) -> str:
    """The engine that runs this layer; raises ConfigError where the one asked for cannot."""
    if backend == "auto":
        if x.device.type != "cpu":
            if aten.refuses(layer) is None:
                return "aten"
            return "torch" if fused.refuses(layer, x) else "triton"
        if (reason := build.no_compiler()) is not None:
            build.say_once(f"{reason}; layers run on backend 'torch', which is slower")
        return "torch" if compiled.refuses(layer, x) else "native"
    if backend == "aten" and (reason := aten.refuses(layer)) is not None:
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

    x [N, I], states [alive, ·] in the order of the rows; gives h [N, ·] and the final states [alive, ·].
    """
    chosen = choose(backend, layer, x)
    engines = {"reference": reference.run, "torch": bptt.run, "native": compiled.run, "triton": fused.run}
    try:
        return (engines | {"aten": aten.run})[chosen](layer, x, state, weights, masks)
    except build.BuildError as error:
        if backend != "auto":
            raise
        first = str(error).partition("\n")[0].rstrip(".")
        build.say_once(f"{first}; such layers run on backend 'torch', which is slower (backend='native' says more)")
        return bptt.run(layer, x, state, weights, masks)
