"""Large arrays that outlive a call are taken from those that nobody holds any more: fresh pages cost more than sums."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass

import torch
from torch import Tensor

SMALLEST = 1 << 16
"""Bytes below which torch's own allocator is as fast."""
LASTING = 128
"""Requests after which an array is forgotten that was not asked for again: a step of six layers in two directions."""


@dataclass(slots=True)
class _Held:
    size: int
    dtype: torch.dtype
    array: Tensor
    asked: int
    """The number of the request it was handed out at."""


_lock = threading.Lock()
_held: list[_Held] = []
"""In the order in which they were last handed out: the first ones are the likeliest to be free."""
_requests = 0


def empty(entries: int, dtype: torch.dtype) -> Tensor:
    """A flat array, its contents left over. It may be handed out again only when nothing shares its storage: that is
    what the counts of its storage's users say, so a graph that is kept keeps its arrays."""
    size = entries * dtype.itemsize
    if size < SMALLEST:
        return torch.empty(entries, dtype=dtype, device="cpu")
    global _requests
    with _lock:
        _requests += 1
        for k, held in enumerate(_held):
            if held.dtype == dtype and size <= held.size <= 2 * size and _free(held):
                del _held[k]
                if held.array.is_shared() or held.array.untyped_storage().nbytes() != held.size:
                    break  # sent to another process, whose use is not counted here; or resized by whoever had it
                held.asked = _requests
                _held.append(held)
                return held.array[:entries]
        while _held and _held[0].asked < _requests - LASTING:
            del _held[0]
        # An array of inference mode could not be used for training.
        with torch.inference_mode(False):
            made = torch.empty(entries + entries // 8, dtype=dtype, device="cpu")
        _held.append(_Held(made.untyped_storage().nbytes(), dtype, made, _requests))
        return made[:entries]


def _free(held: _Held) -> bool:
    return _users(held.array) == _ALONE


def _users(array: Tensor) -> tuple[int, int]:
    """Tensors that hold an array's storage, and Python's names for the storage itself."""
    storage = array.untyped_storage()
    return int(torch._C._storage_Use_Count(storage._cdata)), sys.getrefcount(storage)


_ALONE = _users(torch.empty(1, device="cpu"))


def _new_lock() -> None:
    """A thread of the parent that held it at a fork is not there to let go."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock)
