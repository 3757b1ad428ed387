"""How the arrays of a field lie in a batch: stacked, padded, or as their codec lays them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import torch

from recurra.data.codecs.contract import Lays
from recurra.errors import DataError
from recurra.types import IGNORED

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

Encoded = Mapping[str, Any]
"""An example in arrays, by field; "place" says where it comes from, for messages."""


@runtime_checkable
class HasLengths(Protocol):
    """Encoded examples that know how long their arrays are, and which of them are shuffled together."""

    def lengths(self, field: str) -> NDArray[Any]:
        """Of the arrays of a field, 0 where there is none."""

    def drawn(self, random: np.random.Generator) -> Iterable[NDArray[np.int64]]:
        """All rows, as many as are shuffled together at a time."""


@dataclass(frozen=True)
class Layout:
    """How the arrays of a field lie in a batch."""

    shape: tuple[int | None, ...] = (None,)
    """Of one example's array; None for an axis of any length, which can be the first one alone."""
    padding: float = 0
    """What stands behind its end."""
    along: bool = False
    """As long as the input; else of its own length."""
    following: str | None = None
    """The name of its value one step later, in a batch that is cut from long sequences."""
    lays: Lays | None = None
    """The codec, where it lays them into a batch in a way of its own."""

    @property
    def ragged(self) -> bool:
        """Whether examples have arrays of different lengths."""
        return self.shape[:1] == (None,)


SYMBOLS: Mapping[str, Layout] = {"input": Layout(along=True)}
"""Of a text in symbols, and nothing beside it."""


def layout_of(codec: Any, along: bool, learned: bool, following: str | None = None) -> Layout:
    """The layout of a codec's arrays. What is learned is padded with what losses leave out, where it is symbols."""
    symbols = np.issubdtype(codec.dtype, np.integer)
    padding = IGNORED if learned and symbols else codec.padding
    return Layout(codec.shape, padding, along, following, codec if isinstance(codec, Lays) else None)


def laid(
    chosen: Sequence[Encoded], layouts: Mapping[str, Layout], longest: int | None = None
) -> tuple[dict[str, Tensor], Tensor | None, dict[str, Tensor]]:
    """The fields of a batch, the lengths of its input where they differ, and those of each other ragged field.

    Fields are those that the examples have. Steps of the input behind `longest` are left out, and those of all fields
    along it. Ragged fields are time-major in memory, [B, T, …] with T of 1 at least. Raises `DataError` for examples
    with different fields.
    """
    for encoded in chosen[1:]:
        check_alike(chosen[0], encoded)
    held = {name: layout for name, layout in layouts.items() if name in chosen[0]}
    lengths = np.array([len(encoded["input"][:longest]) for encoded in chosen])
    T = max(1, int(lengths.max()))
    valid = None if bool((lengths == T).all()) else np.arange(T)[:, None] < lengths  # [T, B]
    fields: dict[str, Tensor] = {}
    own: dict[str, Tensor] = {}
    for name, layout in held.items():
        arrays = [encoded[name] for encoded in chosen]
        if layout.along:
            arrays = [array[:longest] for array in arrays]
        if layout.lays is not None:
            fields |= {key: torch.from_numpy(array) for key, array in layout.lays.batched(arrays, T).items()}
        elif not layout.ragged:
            fields[name] = torch.from_numpy(np.stack(arrays))
        elif layout.along:
            fields[name] = padded(arrays, T, valid, layout.padding)
        else:
            counts = np.array([len(array) for array in arrays])
            U = max(1, int(counts.max()))
            there = None if bool((counts == U).all()) else np.arange(U)[:, None] < counts
            fields[name] = padded(arrays, U, there, layout.padding)
            own[name] = torch.from_numpy(counts)
    return fields, None if valid is None else torch.from_numpy(lengths), own


def padded(arrays: Sequence[NDArray[Any]], steps: int, valid: NDArray[np.bool_] | None, padding: float) -> torch.Tensor:
    """Arrays [T, …] side by side, [B, steps, …], time-major in memory; `valid` [steps, B] are there, with None all."""
    if valid is None:
        return torch.from_numpy(np.stack(arrays, axis=1)).transpose(0, 1)
    held = np.full((len(arrays), steps, *arrays[0].shape[1:]), padding, arrays[0].dtype)
    held[valid.T] = np.concatenate(arrays)
    return torch.from_numpy(np.ascontiguousarray(held.swapaxes(0, 1))).transpose(0, 1)


def long_arrays(encoded: Sequence[Encoded], layouts: Mapping[str, Layout]) -> dict[str, NDArray[Any]]:
    """The fields along the input of examples that are read one after the other, as one long array each."""
    names = [name for name, layout in layouts.items() if layout.along and layout.lays is None]
    held = {name: [each[name] for each in encoded] for name in names if all(name in each for each in encoded)}
    return {name: arrays[0] if len(arrays) == 1 else np.concatenate(arrays) for name, arrays in held.items()}


def check_alike(one: Encoded, other: Encoded) -> None:
    """Raise `DataError` for examples with different fields."""
    if one.keys() != other.keys():
        raise _unlike(one, other)


def lengths_of(encoded: Sequence[Encoded], field: str) -> NDArray[Any]:
    """How long the arrays of a field are, 0 where there is none; of examples that lie in files without reading them."""
    if isinstance(encoded, HasLengths):
        return encoded.lengths(field)
    return np.array([len(each.get(field, ())) for each in encoded], np.int64)


def _unlike(one: Encoded, other: Encoded) -> DataError:
    names: Any = sorted(one.keys() ^ other.keys())
    with_it, without = (one, other) if names[0] in one else (other, one)
    return DataError(
        f"{without['place']}: no {names[0]}, expected as {with_it['place']} has. Label all examples of a part, or none."
    )
