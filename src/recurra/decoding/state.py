"""A search moves its hypotheses about: the state follows, however it is nested.

A state is a nest of tuples, lists, dicts, dataclasses and `Shared` whose leaves are tensors with the batch on axis −2,
None, or plain numbers and words that all rows have in common.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from recurra.errors import ConfigError
from recurra.types import Shared

ALIKE = (type(None), bool, int, float, str, torch.dtype, torch.device)
"""Leaves that say nothing of a single row."""


def reorder(state: Any, rows: Tensor, *, within: bool = False) -> Any:
    """The state of the rows numbered `rows` [N'], int64: tensors […, N, H] → […, N', H], by axis −2.

    Rows may be repeated, left out, and moved; where nothing changes, the tensors are handed back as they are.
    `within` says that N' = N and that each row comes from one of the same source, so that what is `Shared` by a
    source's rows can stay as it is. Raises ConfigError for a leaf that has no axis −2.
    """
    chosen: dict[torch.device, Tensor] = {rows.device: rows}
    same = torch.equal(rows, torch.arange(len(rows), device=rows.device))

    def select(tensor: Tensor) -> Tensor:
        if tensor.dim() < 2:
            raise ConfigError(
                f"a state holds a tensor of shape {list(tensor.shape)}, expected two or more axes with the batch last "
                "but one: give a number per row the shape [B, 1]."
            )
        if same and tensor.shape[-2] == len(rows):
            return tensor
        if tensor.device not in chosen:
            chosen[tensor.device] = rows.to(tensor.device)
        return tensor.index_select(-2, chosen[tensor.device])

    return _map(select, state, within)


def repeat(state: Any, K: int) -> Any:
    """The state of B sources for K hypotheses each: tensors […, B, H] → […, B·K, H], a source's rows side by side."""
    N = _rows(state)
    return state if N is None else reorder(state, torch.arange(N).repeat_interleave(K))


def leaves(state: Any, *, shared: bool = True) -> list[Tensor]:
    """The tensors of a state, in the order of the nest; without `shared` those that are no rows' of a source alike."""
    found: list[Tensor] = []

    def note(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    _map(note, state, not shared)
    return found


def rebuilt(state: Any, tensors: Iterable[Tensor]) -> Any:
    """A state nested like this one, with other tensors, in the order of `leaves`."""
    others = iter(tensors)
    return _map(lambda _: next(others), state, False)


def _map(select: Callable[[Tensor], Tensor], state: Any, within: bool) -> Any:
    if isinstance(state, Tensor):
        return select(state)
    if isinstance(state, ALIKE) or (within and isinstance(state, Shared)):
        return state
    if isinstance(state, tuple):
        parts = [_map(select, part, within) for part in state]
        return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)
    if isinstance(state, list):
        return [_map(select, part, within) for part in state]
    if isinstance(state, Mapping):
        return {name: _map(select, part, within) for name, part in state.items()}
    if dataclasses.is_dataclass(state) and not isinstance(state, type):
        fields = {f.name: _map(select, getattr(state, f.name), within) for f in dataclasses.fields(state) if f.init}
        return dataclasses.replace(state, **fields)
    raise ConfigError(
        f"a state holds a {type(state).__name__}, expected tensors, None, numbers and words in tuples, lists, dicts or "
        "dataclasses."
    )


def _rows(state: Any) -> int | None:
    """How many rows the tensors of a state have; None where it holds none."""
    found = leaves(state)
    if not found:
        return None
    return found[0].shape[-2] if found[0].dim() > 1 else 0
