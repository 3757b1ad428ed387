"""How a core goes on by a step or a few: as the module it is, or from weights that were packed for it once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from threading import Lock
from typing import Any, Literal, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from recurra.decoding.state import leaves, rebuilt
from recurra.errors import ConfigError, RecurraError, did_you_mean
from recurra.types import Gaps, Lengths

How = Literal["auto", "module", "float32", "bfloat16", "int8"]
"""Which of the two, and in what numbers weights are packed; "auto": float32 where that can be, else the module."""
WEIGHTS = ("float32", "bfloat16", "int8")
MOST = 64
"""Sequences that packed weights take in one call; twice as many are two calls."""


class Steps(Protocol):
    """A core, step by step; a state has its batch on axis −2, and is None before the first step. `gaps` are those of
    x, dt [B] or [T], seen and since [B, D] or [T, D]."""

    how: str

    def one(self, x: Tensor, state: Any, gaps: Gaps | None = None) -> tuple[Tensor, Any]:
        """A step of B sequences: x [B, D] → y [B, H], and the state behind it."""

    def several(self, x: Tensor, state: Any, gaps: Gaps | None = None) -> tuple[Iterable[Tensor], Any]:
        """T steps of one sequence: x [T, D] → T times y [1, H], and the state behind them."""

    def own(self, state: Any) -> Any:
        """The core's own state, of one sequence."""

    def taken(self, own: Any) -> Any:
        """The state to go on with from the core's own one."""


class ModuleSteps:
    """The core as it is: on every device, and several steps at once."""

    how = "module"

    def __init__(self, core: Any) -> None:
        self._core = core

    def one(self, x: Tensor, state: Any, gaps: Gaps | None = None) -> tuple[Tensor, Any]:
        y, state = self._core(x[:, None], _along(gaps, 1), state)
        return y[:, 0], state

    def several(self, x: Tensor, state: Any, gaps: Gaps | None = None) -> tuple[Iterable[Tensor], Any]:
        y, state = self._core(x[None], _along(gaps, 0), state)
        return y[0].split(1), state

    def own(self, state: Any) -> Any:
        return state

    def taken(self, own: Any) -> Any:
        return own


class PackedSteps:
    """A core with `packed` weights, on the CPU. A state is one row [B, entries] for each sequence.

    Weights are packed anew for 1, 2, 4 … `MOST` sequences, when so many first come.
    """

    def __init__(self, core: Any, weights: Literal["float32", "bfloat16", "int8"]) -> None:
        self.how: str = weights
        self._core, self._weights = core, weights
        self._alone = core.packed(1, weights)
        self._for = {1: self._alone}
        self._start = self._alone.start()[None]
        self._states = self._alone.split(self._alone.start())  # each [layers, 1, H]
        self._lock = Lock()  # a step has room for one call at a time

    def one(self, x: Tensor, state: Any, gaps: Gaps | None = None) -> tuple[Tensor, Any]:
        beside = {} if gaps is None else gaps.taken(self._alone.takes)
        if len(x) == 1:
            with self._lock:
                found: tuple[Tensor, Tensor] = self._alone(x, self._start if state is None else state, **beside)
                return found
        rows = self._start.expand(len(x), -1) if state is None else state
        parts = []
        for k in range(0, len(x), MOST):
            own = {name: each[k : k + MOST] for name, each in beside.items()}
            parts.append(self._together(x[k : k + MOST], rows[k : k + MOST], own))
        y, state = (torch.cat(each) for each in zip(*parts, strict=True))
        return y, state

    def several(self, x: Tensor, state: Any, gaps: Gaps | None = None) -> tuple[Iterable[Tensor], Any]:
        ys = []
        for t, frame in enumerate(x.split(1)):
            own = None if gaps is None else gaps.each(itemgetter(slice(t, t + 1)))
            y, state = self.one(frame, state, own)
            ys.append(y)
        return ys, state

    def own(self, state: Any) -> Any:
        if state is None:
            return None
        found = self._alone.split(state[0])
        return found if len(found) > 1 else found[0]

    def taken(self, own: Any) -> Any:
        return None if own is None else self._alone.join(own)[None]

    def _together(self, x: Tensor, rows: Tensor, beside: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """A step of B sequences, 1 < B ≤ `MOST`, in one call."""
        B = len(x)
        size = 1 << (B - 1).bit_length()
        widths = [s.numel() for s in self._states]
        layers = len(self._states[0])
        with self._lock:
            if size not in self._for:
                self._for[size] = self._core.packed(size, self._weights)
            step = self._for[size]
            parts = F.pad(rows, (0, 0, 0, size - B)).split(widths, 1)
            before = tuple(part.unflatten(1, (layers, -1)).transpose(0, 1) for part in parts)  # each [layers, size, H]
            whole = {name: torch.cat((each, each.new_ones(size - B, *each.shape[1:]))) for name, each in beside.items()}
        y, flat = step(F.pad(x, (0, 0, 0, size - B)), step.join(before), **whole)
        after = [part[:, :B].transpose(0, 1).flatten(1) for part in step.split(flat)]
        return y[:B], torch.cat(after, 1)


def _along(gaps: Gaps | None, axis: int) -> Lengths:
    """The structure of sequences whose axis of the batch, or of time, is yet to be put at `axis`."""
    return Lengths() if gaps is None else Lengths(gaps=gaps.each(lambda one: one.unsqueeze(axis)))


def make_steps(model: Any, how: How) -> Steps:
    """The steps of a model's core. Raises `ConfigError` where these weights cannot be packed for it."""
    if how not in ("auto", "module", *WEIGHTS):
        known = ("auto", "module", *WEIGHTS)
        raise ConfigError(f"step = {how!r}{did_you_mean(how, known)} Expected one of {', '.join(known)}.")
    if how == "module":
        return ModuleSteps(model.core)
    if not hasattr(model.core, "packed"):
        if how == "auto":
            return ModuleSteps(model.core)
        kind = model.config["core"]["kind"]
        raise ConfigError(
            f"step = {how!r} packs the weights of a recurrent core, this one is {kind!r}. Say step = 'module'."
        )
    if how != "auto":
        return PackedSteps(model.core, how)
    try:
        return PackedSteps(model.core, "float32")
    except RecurraError:  # a GPU, a half precision, no compiler: what `auto` is for
        return ModuleSteps(model.core)


def joined(states: Sequence[Any]) -> Any:
    """One state of several, each of one sequence, side by side. A state that grows with time, on axis −3, has the
    newest step last: what it lacks of the longest is zeros in front."""
    if len(states) == 1:
        return states[0]
    together = []
    for tensors in zip(*map(leaves, states), strict=True):
        longest = max(map(_steps, tensors))
        filled = [t if _steps(t) == longest else F.pad(t, (0, 0, 0, 0, longest - _steps(t), 0)) for t in tensors]
        together.append(torch.cat(filled, -2))
    return rebuilt(states[0], together)


def parted(state: Any, before: Sequence[Any], steps: int) -> list[Any]:
    """The states of single sequences out of one of several, `steps` behind those `before` that it was `joined` from,
    None where they were at their begin; in storage of their own, and as long as if each had gone alone."""
    if len(before) == 1:
        return [state]
    found = []
    for row, old in enumerate(before):
        own = []
        for k, tensor in enumerate(leaves(state)):
            one = tensor.narrow(-2, row, 1)
            if tensor.dim() > 2 and old is not None:
                kept = min(_steps(one), _steps(leaves(old)[k]) + steps)
                one = one.narrow(-3, _steps(one) - kept, kept)
            own.append(one.clone())
        found.append(rebuilt(state, own))
    return found


def _steps(tensor: Tensor) -> int:
    """Of a state that grows, how many steps it holds."""
    return tensor.shape[-3] if tensor.dim() > 2 else 1
