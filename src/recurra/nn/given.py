"""What a recurrent layer is given in a call: input, packed sequences and states that fit its weights, or an error."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from recurra.equations.language import Cell
from recurra.errors import WrongTensor, WrongType, WrongValue


def check_input(x: Tensor, weight: Tensor, width: int, batch_first: bool) -> None:
    """Raises WrongType, WrongTensor or WrongValue unless x is [T, B, width] ([B, T, width]) or [T, width] of the type
    and on the device of the weights."""
    if not isinstance(x, Tensor):
        raise WrongType(f"x is a {type(x).__name__}, expected a tensor or a PackedSequence.")
    if x.ndim not in (2, 3) or x.shape[-1] != width:
        raise WrongTensor(
            f"x has shape {tuple(x.shape)}, expected [{'batch, time' if batch_first else 'time, batch'}, {width}] or "
            f"[time, {width}]."
        )
    _same_kind("x", x, weight)


def check_packed(x: PackedSequence, weight: Tensor, width: int) -> None:
    """Raises as `check_input` for rows that are not [N, width], and for counts of rows that no batch has."""
    rows, sizes, order = x.data, x.batch_sizes, x.sorted_indices
    if rows.ndim != 2 or rows.shape[1] != width:
        raise WrongTensor(f"x is a PackedSequence of rows {tuple(rows.shape)}, expected [N, {width}].")
    _same_kind("x, a PackedSequence,", rows, weight)
    counts = sizes.tolist()
    falling = all(a >= b for a, b in pairwise(counts))
    if sizes.ndim != 1 or not counts or counts[-1] < 1 or not falling or sum(counts) != len(rows):
        some = f"{counts[:8]}{' …' if len(counts) > 8 else ''}"
        raise WrongValue(
            f"x is a PackedSequence of {len(rows)} rows with batch_sizes {some}, "
            "expected whole numbers that never grow and sum to the rows: make it with pack_padded_sequence."
        )
    if order is not None and order.shape != (counts[0],):
        raise WrongTensor(
            f"x is a PackedSequence of {counts[0]} sequences with sorted_indices of shape {tuple(order.shape)}: make "
            "it with pack_padded_sequence."
        )


def check_states(states: Sequence[Tensor], shapes: Sequence[tuple[int, ...]], cell: Cell, weight: Tensor) -> None:
    """Raises as `check_input` unless the states have these shapes, the type and the device of the weights."""
    got = [tuple(s.shape) if isinstance(s, Tensor) else type(s).__name__ for s in states]
    if got != list(shapes):
        raise WrongTensor(f"state of {cell.name!r} has shapes {got}, expected {list(shapes)} ({cell.state}).")
    for name, state in zip(cell.state, states, strict=True):
        _same_kind(f"state {name}", state, weight)


def _same_kind(name: str, given: Tensor, weight: Tensor) -> None:
    """Refuse another type, which autocast alone may mix, or another device."""
    if given.device != weight.device:
        raise WrongTensor(
            f"{name} is on {given.device}, the layer's weights are on {weight.device}. Move one of them with .to(…)."
        )
    if given.dtype == weight.dtype:
        return
    low = torch.is_autocast_enabled(given.device.type) and given.is_floating_point()
    if not low or torch.float64 in (given.dtype, weight.dtype):
        raise WrongValue(
            f"{name} is {given.dtype}, the layer's weights are {weight.dtype}. Convert it with .to({weight.dtype}), or "
            f"the layer with .to({given.dtype})."
        )
