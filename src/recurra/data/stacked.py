"""Sequences in arrays, one behind the other."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recurra.data.files import counted
from recurra.errors import DataError

if TYPE_CHECKING:
    from recurra.data.arrays import Arrays

Generic = NDArray[np.generic]


def packed(**arrays: Any) -> bytes:
    """The bytes of an `.npz` file of these arrays."""
    held = io.BytesIO()
    np.savez(held, allow_pickle=False, **{name: np.asarray(each) for name, each in arrays.items()})
    return held.getvalue()


def bounds(held: Arrays, offsets: str, inputs: Mapping[str, Generic]) -> tuple[Generic, dict[str, Generic]]:
    """Where sequences end, [N + 1], and the arrays with all steps on their first axis.

    Raises `DataError` for offsets that do not rise from 0 to the number of steps, and for arrays of different lengths.
    """
    path, some = held.path, next(iter(inputs.values()))
    if offsets in held:
        ends, steps = held[offsets], dict(inputs)
        for name, each in inputs.items():
            total = len(each) if each.ndim else 0
            rises = ends.ndim == 1 and len(ends) > 1 and ends.dtype.kind in "iu" and bool((ends[1:] >= ends[:-1]).all())
            if not rises or int(ends[0]) != 0 or int(ends[-1]) != total:
                raise DataError(
                    f"{path}: the array {offsets} of {counted(ends.size, 'number')}, expected whole numbers that rise "
                    f"from 0 to {total:,}, the steps of {name}. Name another: reader.offsets."
                )
        return ends, steps
    if len({each.shape[: 2 if some.ndim > 2 else 1] for each in inputs.values()}) > 1 or not some.ndim:
        raise DataError(
            f"{path}: arrays of the shapes {', '.join(f'{name} {each.shape}' for name, each in inputs.items())}, "
            "expected steps of equal number. Name those that belong together: reader.arrays."
        )
    if some.ndim > 2:
        count, length = some.shape[:2]
        ends = np.arange(count + 1) * length
        return ends, {name: each.reshape(count * length, *each.shape[2:]) for name, each in inputs.items()}
    return np.array([0, len(some)]), dict(inputs)


def side_by_side(steps: Mapping[str, Generic], origin: int | None, path: str) -> Generic:
    """The numbers of all steps, [T, W], told from the point `origin`; see the reader "npz".

    Raises `DataError` for what is no number or not finite, and for a point that is not there.
    """
    found = []
    for name, each in steps.items():
        if each.dtype.kind not in "biuf":
            raise DataError(
                f"{path}: the array {name} holds {each.dtype}, expected numbers. Name others: reader.arrays."
            )
        if each.dtype.kind == "f" and not np.isfinite(each).all():
            row = int(np.argwhere(~np.isfinite(each))[0][0])
            raise DataError(
                f"{path}: {name} has {counted(int((~np.isfinite(each)).sum()), 'number')} that are not finite, the "
                f"first at row {row:,}. Fill them, or leave those steps out."
            )
        if origin is not None:
            if each.ndim < 3 or origin >= each.shape[1]:
                raise DataError(
                    f"{path}: reader.origin = {origin}, but {name} has the shape {each.shape}, expected [steps, "
                    f"points, numbers] with more than {origin:,} points. Leave the setting away, or name another point."
                )
            points = each.astype(np.float64)
            seen = np.flatnonzero(points.reshape(len(points), -1).any(1))  # of what was not seen nothing is to be told
            points[seen] -= points[seen, origin : origin + 1]
            each = points
        found.append(each.reshape(len(each), -1) if each.size else each.reshape(len(each), max(1, each[:1].size)))
    return found[0] if len(found) == 1 else np.concatenate(found, 1)


def with_differences(vectors: Generic) -> Generic:
    """[T, 2 W]: each number, and beside them what each changed by since the step before, 0 at the first."""
    return np.concatenate((vectors, np.diff(vectors.astype(np.float64), axis=0, prepend=vectors[:1])), 1)
