"""What every engine demands of the tensors it is handed, checked here before any of them runs.

| tensor | shape |
|---|---|
| x | [N, I], a row for each valid step of each sequence |
| states | [alive, P] the first, [alive, H] the others; P = H without a projection |
| `weight_ih`, `weight_hh`, `weight_hr` | [gates · H, I], [gates · H, P], [P, H] |
| `weight_<product>` | as `Cell.product_shape` says |
| `bias_ih`, `bias_hh` | [gates · H] where there are any |
| a cell's own parameters | [H] of units, [I] of those of the input's width, [1] of scalars |
| masks, values of the layer below | [N, H]; of the first state [N, P] |
| `given_dt`; `given_seen`, `given_since` | [N, H]; [N, I] |

All of them are floating point and of one type, unless autocast mixes them; on one device; strided, and with memory of
their own type behind them. Strides and views are free: `run` resolves views that only say that their sign is turned,
and whoever takes an address makes the strides plain first (`rows`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

import torch
from torch import Tensor

from recurra.engine.layer import Layer
from recurra.equations.derive import Variant
from recurra.equations.language import Cell
from recurra.errors import WrongTensor, WrongValue

Shapes = dict[str, torch.Size]
PLAIN = Tensor.__torch_dispatch__
"""What tensors have whose operations are torch's own; fake ones have another."""


def check(
    layer: Layer, x: Tensor, state: tuple[Tensor, ...], weights: Mapping[str, Tensor], masks: Mapping[str, Tensor]
) -> tuple[bool, bool]:
    """Whether all tensors have memory (`stored`), and whether some must be made `plain`.

    Raises WrongTensor or WrongValue for what no engine may be given.
    """
    cell, time = layer.cell, layer.time
    rows = time.rows
    if x.ndim != 2 or x.shape[0] != rows:
        raise WrongTensor(f"x has shape {tuple(x.shape)}, expected [{rows}, inputs]: a row for each valid step.")
    if len(state) != len(cell.state) or any(s.ndim != 2 for s in state):
        shapes = [tuple(s.shape) for s in state]
        raise WrongTensor(f"states of {cell.name!r} have shapes {shapes}, expected {cell.state}, each [alive, units].")
    units, outputs = _units(layer.variant, state[-1].shape[1], weights), state[0].shape[1]
    for name, s in zip(cell.state, state, strict=True):
        expected = (time.alive, outputs if name == cell.state[0] else units)
        if s.shape != expected:
            raise _wrong_shape(f"state {name}", s, expected, cell)
    check_weights(cell, layer.variant, weights, (x.shape[1], units, outputs))
    needed = _masks(cell, layer.variant)
    widths = {"I": x.shape[1], "H": units, "P": outputs}
    for name, width in needed.items():
        if name not in masks:
            raise WrongTensor(f"cell {cell.name!r} reads {name}, which is not given.")
        if masks[name].shape != (expected := (rows, widths[width])):
            raise _wrong_shape(name, masks[name], expected, cell)
    return _one_kind(x, state, weights, {name: masks[name] for name in needed})


def check_weights(cell: Cell, variant: Variant, weights: Mapping[str, Tensor], widths: tuple[int, int, int]) -> None:
    """Raises WrongTensor unless the weights are those of the cell; `widths`: inputs I, units H, outputs P."""
    required, optional = _weights(cell, variant, *widths)
    for name, shape in required.items():
        if name not in weights:
            raise WrongTensor(f"cell {cell.name!r} needs {name} of shape {tuple(shape)}, which is not given.")
    for name, tensor in weights.items():
        wanted = required.get(name) or optional.get(name)
        if wanted is None:
            known = ", ".join((*required, *optional))
            raise WrongTensor(f"{name} is no weight of cell {cell.name!r}, which has {known}.")
        if tensor.shape != wanted:
            raise _wrong_shape(name, tensor, wanted, cell)


def check_kind(named: Iterable[tuple[str, Tensor]], like: Tensor) -> None:
    """Raises WrongValue or WrongTensor unless all tensors have the type and the device of `like` and memory."""
    for name, tensor in named:
        if tensor.dtype != like.dtype or tensor.device != like.device:
            raise _wrong_kind(name, tensor, like)
        if not stored(tensor):
            raise WrongTensor(f"{name} has no memory behind it ({describe(tensor)}), and native code reads memory.")


def stored(tensor: Tensor) -> bool:
    """Whether it has memory that may be read by address; fake, meta and sparse tensors and those that torch.func's
    transforms hand in have none."""
    if type(tensor).__torch_dispatch__ is not PLAIN:
        return False
    try:
        return tensor.data_ptr() != 0 or (tensor.numel() == 0 and not tensor.is_meta)
    except RuntimeError:
        return False


def address(tensor: Tensor, dtype: torch.dtype) -> int:
    """Where a contiguous tensor of this type lies in the CPU's memory; 0 where it is no such tensor."""
    if (
        tensor.dtype is not dtype
        or not tensor.is_cpu
        or type(tensor).__torch_dispatch__ is not PLAIN
        or not tensor.is_contiguous()
        or tensor.is_neg()
    ):
        return 0
    try:
        return tensor.data_ptr()
    except RuntimeError:  # one of torch.func's transforms has it
        return 0


def describe(tensor: Tensor) -> str:
    """A tensor in an error message."""
    strides = f", strides {tensor.stride()}" if tensor.layout is torch.strided else f", {tensor.layout}"
    return f"{list(tensor.shape)} of {tensor.dtype} on {tensor.device}{strides}"


def plain(tensor: Tensor) -> Tensor:
    """The same numbers as they lie in memory: views that only say that their sign is turned are copied."""
    return tensor.resolve_neg() if tensor.is_neg() else tensor


def rows(tensor: Tensor) -> Tensor:
    """As `plain`, and with the entries of a row side by side."""
    tensor = plain(tensor)
    return tensor if tensor.shape[-1] == 1 or tensor.stride(-1) == 1 else tensor.contiguous()


def _units(variant: Variant, state: int, weights: Mapping[str, Tensor]) -> int:
    """H: that of the last state, which is the projected one where it is the only one."""
    if not variant.projected:
        return state
    if (matrix := weights.get("weight_hr")) is None or matrix.ndim != 2:
        raise WrongTensor("a projected layer needs weight_hr of shape [outputs, units].")
    return matrix.shape[1]


@lru_cache(maxsize=512)
def _weights(cell: Cell, variant: Variant, inputs: int, units: int, outputs: int) -> tuple[Shapes, Shapes]:
    """Shapes of the weights there must be, and of those there may be."""
    gates = {"ih": len(cell.input_gates) * units, "hh": len(cell.recurrent_gates) * units}
    required = {
        f"weight_{name}": (count, width)
        for (name, count), width in zip(gates.items(), (inputs, outputs), strict=True)
        if count
    }
    if variant.projected:
        required["weight_hr"] = (outputs, units)
    required |= {f"weight_{name}": cell.product_shape(name, units, inputs) for name in cell.products}
    own = {name: cell.parameter_shape(name, units, inputs) for name in cell.parameters}
    optional = {f"bias_{name}": (count,) for name, count in gates.items() if count}
    return (
        {name: torch.Size(shape) for name, shape in (required | own).items()},
        {name: torch.Size(shape) for name, shape in optional.items()},
    )


@lru_cache(maxsize=512)
def _masks(cell: Cell, variant: Variant) -> dict[str, str]:
    """What the equations read beside x, a row a step → its width: H units, I inputs, or P as the first state."""
    beside = [node for node in cell.nodes if node.op in ("mask", "lower", "given")]
    found = {f"{node.op}_{node.label}": "I" if node.wide else "H" for node in beside}
    found |= {f"mask_zoneout_{name}": "P" if name == cell.state[0] else "H" for name in variant.zoneout}
    return found | ({"mask_recurrent": "P"} if variant.recurrent_mask else {})


def _one_kind(x: Tensor, state: tuple[Tensor, ...], *named: Mapping[str, Tensor]) -> tuple[bool, bool]:
    weights = named[0]
    like = next(iter(weights.values()), x)
    dtype, device = like.dtype, like.device
    if not dtype.is_floating_point:
        raise WrongValue(f"the weights are {dtype}, expected floating point numbers.")
    mixed = dtype != torch.float64 and torch.is_autocast_enabled(device.type)
    everything, turned = True, False
    for k, tensor in enumerate((x, *state, *weights.values(), *named[1].values())):
        if tensor.dtype is not dtype or tensor.device != device:
            wide = tensor.dtype == torch.float64 or not tensor.dtype.is_floating_point
            if tensor.device != device or not mixed or wide:
                names = ("x", *(f"state {number}" for number in range(len(state))), *weights, *named[1])
                raise _wrong_kind(names[k], tensor, like)
        if not stored(tensor):
            if tensor.layout is not torch.strided:
                names = ("x", *(f"state {number}" for number in range(len(state))), *weights, *named[1])
                raise WrongTensor(f"{names[k]} is {tensor.layout}, expected a dense tensor: {names[k]}.to_dense().")
            everything = False
        turned = turned or tensor.is_neg()
    return everything, turned


def _wrong_shape(name: str, tensor: Tensor, expected: tuple[int, ...], cell: Cell) -> WrongTensor:
    return WrongTensor(f"{name} of cell {cell.name!r} has shape {tuple(tensor.shape)}, expected {tuple(expected)}.")


def _wrong_kind(name: str, tensor: Tensor, like: Tensor) -> WrongTensor | WrongValue:
    if tensor.device != like.device:
        return WrongTensor(
            f"{name} is on {tensor.device}, the layer's weights are on {like.device}. Move one of them with .to(…)."
        )
    return WrongValue(
        f"{name} is {tensor.dtype}, the layer's weights are {like.dtype}; one type is expected. Convert it with "
        f".to({like.dtype}), or the layer with .to({tensor.dtype})."
    )
