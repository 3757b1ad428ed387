"""Large arrays that outlive a call are taken from those that nobody holds any more: fresh pages cost more than sums."""

from __future__ import annotations

import threading

import torch
from torch import Tensor

SMALLEST = 1 << 16
"""Bytes below which torch's own allocator is as fast."""
MOST = 16
"""Arrays kept."""

_lock = threading.Lock()
_held: list[Tensor] = []


def empty(entries: int, dtype: torch.dtype) -> Tensor:
    """A flat array, its contents left over. It may be handed out again only when no tensor shares its storage: that is
    what the count of its storage's users says, so a graph that is kept keeps its arrays."""
    size = entries * dtype.itemsize
    if size < SMALLEST:
        return torch.empty(entries, dtype=dtype)
    with _lock:
        for k, array in enumerate(_held):
            storage = array.untyped_storage()
            if array.dtype == dtype and size <= storage.nbytes() <= 2 * size and _users(storage) == 1:
                _held.append(_held.pop(k))
                return array[:entries]
        made = torch.empty(entries + entries // 8, dtype=dtype)
        _held.append(made)
        while len(_held) > MOST:
            _held.pop(next((k for k, a in enumerate(_held) if _users(a.untyped_storage()) == 1), 0))
        return made[:entries]


def _users(storage: torch.UntypedStorage) -> int:
    """Tensors and Python objects that hold a storage, this one not counted."""
    return int(torch._C._storage_Use_Count(storage._cdata)) - 1
