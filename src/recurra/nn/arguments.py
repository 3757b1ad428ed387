"""What a recurrent layer is given in a call: input, packed sequences and states that fit its weights, or an error."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from recurra.engine.operator import NO_KERNEL
from recurra.equations.language import Cell
from recurra.errors import ConfigError, WrongTensor, WrongType, WrongValue
from recurra.limits import check_layers, check_size
from recurra.nn.starts import check_starts


def check_sizes(input_size: int, hidden_size: int, num_layers: int, proj_size: int) -> None:
    """Raises WrongType for what is no whole number, WrongValue for one that is too small or, of proj_size, too large.

    The first words are torch.nn's, which programs look for in the message.
    """
    named = {"input_size": input_size, "hidden_size": hidden_size, "num_layers": num_layers, "proj_size": proj_size}
    for name, size in named.items():
        if not isinstance(size, int) or isinstance(size, bool):
            raise WrongType(f"{name} should be of type int, got: {type(size).__name__} ({size!r}).")
        (check_layers if name == "num_layers" else check_size)(name, size)
        if name != "proj_size" and size < 1:
            raise WrongValue(f"{name} must be greater than zero, it is {size}.")
    if not 0 <= proj_size < hidden_size:
        raise WrongValue(f"proj_size = {proj_size}, expected 0 (no projection) to below hidden_size = {hidden_size}.")


def check_shares(dropout: float, **others: float) -> None:
    """Raises WrongValue unless each is a share from 0 to below 1; of dropout everything may go."""
    for name, share in {"dropout": dropout, **others}.items():
        number = isinstance(share, (int, float)) and not isinstance(share, bool)
        if not number or not 0 <= share <= 1 or (share == 1 and name != "dropout"):
            most = "1" if name == "dropout" else "below 1"
            raise WrongValue(f"{name} = {share!r}, expected a share from 0 to {most}.")


def check_switches(**switches: bool) -> None:
    """Raises WrongType for what is neither True nor False; the first words are torch.nn's."""
    for name, switch in switches.items():
        if not isinstance(switch, bool):
            raise WrongType(f"{name} should be of type bool, got: {type(switch).__name__} ({switch!r}).")


def check_cell(cell: Cell, weight_dropout: float) -> None:
    """Raises ConfigError for what a cell reads or starts at that a layer cannot give it."""
    for node in cell.nodes:
        if node.op == "mask":
            raise ConfigError(
                f"cell {cell.name!r} reads mask({node.label!r}), which Recurrent does not feed: run the layer with "
                "recurra.engine.run."
            )
    if weight_dropout and not cell.has_recurrent_product:
        raise ConfigError(
            f"weight_dropout = {weight_dropout} zeroes entries of W_hh, but cell {cell.name!r} has no product "
            "W_hh·h. Set weight_dropout = 0, or take a cell with one, such as 'lstm'."
        )
    for state in cell.reads_below:
        if state not in cell.state:
            raise ConfigError(
                f"cell {cell.name!r} reads lower({state!r}), which is no state of the layer below. "
                f"States: {', '.join(cell.state)}."
            )
    check_starts(cell)


def check_input(x: Tensor, weight: Tensor, width: int, batch_first: bool) -> None:
    """Raises WrongType, WrongTensor or WrongValue unless x is [T, B, width] ([B, T, width]) or [T, width] of the type
    and on the device of the weights."""
    if not isinstance(x, Tensor):
        raise WrongType(f"input is a {type(x).__name__}, expected a tensor or a PackedSequence.")
    if x.ndim not in (2, 3) or x.shape[-1] != width:
        raise WrongTensor(
            f"input has shape {tuple(x.shape)}, expected [{'batch, time' if batch_first else 'time, batch'}, {width}] "
            f"or [time, {width}]."
        )
    if not x.shape[1 if batch_first and x.ndim == 3 else 0]:
        raise WrongTensor(f"input has shape {tuple(x.shape)}: no time step, expected at least 1.")
    _same_kind("RNN input", "input", x, weight)


def check_packed(x: PackedSequence, weight: Tensor, width: int) -> None:
    """Raises as `check_input` for rows that are not [N, width], and for counts of rows that no batch has."""
    rows, sizes, order = x.data, x.batch_sizes, x.sorted_indices
    if rows.ndim != 2 or rows.shape[1] != width:
        raise WrongTensor(f"input is a PackedSequence of rows {tuple(rows.shape)}, expected [N, {width}].")
    _same_kind("RNN input", "input", rows, weight)
    counts = sizes.tolist()
    falling = all(a >= b for a, b in pairwise(counts))
    if sizes.ndim != 1 or not counts or counts[-1] < 1 or not falling or sum(counts) != len(rows):
        some = f"{counts[:8]}{' …' if len(counts) > 8 else ''}"
        raise WrongValue(
            f"input is a PackedSequence of {len(rows)} rows with batch_sizes {some}, "
            "expected whole numbers that never grow and sum to the rows: make it with pack_padded_sequence."
        )
    if order is not None and order.shape != (counts[0],):
        raise WrongTensor(
            f"input is a PackedSequence of {counts[0]} sequences with sorted_indices of shape {tuple(order.shape)}: "
            "make it with pack_padded_sequence."
        )


def check_recorded(packed: bool, watched: bool, backend: str) -> None:
    """Raises WrongValue for a call that no recorded program can hold."""
    if packed:
        raise WrongValue(
            "input is a PackedSequence, whose counts are values, and a recorded program (torch.compile, torch.export, "
            "torch.jit.trace) knows shapes: give the layer the padded tensor and lengths=."
        )
    if watched:
        raise WrongValue(
            "record and trace are lists that a call fills, which a recorded program (torch.compile, torch.export, "
            "torch.jit.trace) does not do: leave them out of it, and hand them to the layer itself."
        )
    if backend == "aten":
        raise ConfigError(NO_KERNEL)


def check_states(states: Sequence[Tensor], shapes: Sequence[tuple[int, ...]], cell: Cell, weight: Tensor) -> None:
    """Raises as `check_input` unless the states have these shapes, the type and the device of the weights."""
    got = [tuple(s.shape) if isinstance(s, Tensor) else type(s).__name__ for s in states]
    if got != list(shapes):
        raise WrongTensor(f"state of {cell.name!r} has shapes {got}, expected {list(shapes)} ({cell.state}).")
    for name, state in zip(cell.state, states, strict=True):
        _same_kind(f"state {name}", "hx", state, weight)


def _same_kind(name: str, argument: str, given: Tensor, weight: Tensor) -> None:
    """Refuse another type, which autocast alone may mix, or another device. Of the type in torch.nn's words, which
    programs look for."""
    if given.device != weight.device:
        raise WrongTensor(
            f"{name} is on {given.device}, the layer's weights are on {weight.device}. Move one with .to(…)."
        )
    if given.dtype == weight.dtype:
        return
    low = torch.is_autocast_enabled(given.device.type) and given.is_floating_point()
    if not low or torch.float64 in (given.dtype, weight.dtype):
        raise WrongValue(
            f"{name} dtype {given.dtype} does not match weight dtype {weight.dtype}. Convert {argument}: "
            f"{argument}.to({weight.dtype}), or convert model: model.to({given.dtype})."
        )
