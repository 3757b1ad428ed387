"""Arrays of numpy as sequences: all steps behind each other with offsets, or one array for all or for each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from recurra.data.arrays import Arrays
from recurra.data.files import counted, read_start
from recurra.data.sample import Sample
from recurra.data.stacked import bounds, packed, side_by_side, with_differences
from recurra.errors import ConfigError, DataError, did_you_mean
from recurra.registry import part
from recurra.types import Example

NAMES = ("label", "labels", "y", "tags")
"""What an array of names is called, where the settings do not say."""
INPUTS = ("x", "X", "vectors", "series", "data")


@part("reader", "npz")
class NpzReader:
    """An example for each sequence in `.npz` files: its `vectors` [T, W], a `label` or `tags`, a `group`, its `place`.

    `arrays` hold the numbers, side by side where they are several, all axes behind the steps flattened; "auto": `x` or
    the like, else all numbers that are as long as the offsets say. Sequence i is rows `offsets[i]` to `offsets[i + 1]`;
    in a file without the array `offsets` an array of three axes and more is [sequences, steps, …], of fewer one
    sequence. `label` names the array of labels, one for each sequence, or one for each step, which are then `tags`;
    "auto": one of `NAMES`, where there is one. `group` names the array that says who or what each sequence is of: a
    group is never cut into two parts.
    `origin`, of numbers with an axis of points such as joints, [steps, points, …], is the point, from 0, that all
    others are told from; `zeros` "drop" leaves out steps at which all numbers are 0, as where nothing was seen.
    With `differences` each number stands beside what it changed by since the step before, 0 at the first.

    Raises `DataError` for what is no such file, for arrays that are missing or do not fit each other, for numbers that
    are not finite; no pickle is ever read.
    """

    recipe = "activity"
    fields: ClassVar[Mapping[str, str]] = {"vectors": "vectors", "label": "label", "tags": "tags"}
    sample: ClassVar[Sample] = Sample(
        {
            "a.npz": packed(x=np.arange(10.0).reshape(5, 2), offsets=[0, 2, 5], label=["ü", "b"]),
            "b.npz": packed(x=np.ones((2, 3, 2)), label=[1, 2]),
        },
        4,
    )

    def __init__(
        self,
        arrays: tuple[str, ...] | Literal["auto"] = "auto",
        offsets: str = "offsets",
        label: str | None = "auto",
        group: str | None = None,
        origin: int | None = None,
        zeros: Literal["keep", "drop"] = "keep",
        differences: bool = False,
    ) -> None:
        if origin is not None and origin < 0:
            raise ConfigError(f"reader.origin = {origin}, expected the number of a point from 0.")
        self.arrays, self.offsets, self.label, self.group = arrays, offsets, label, group
        self.origin, self.zeros, self.differences = origin, zeros, differences

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The sequences of the files, in the order given."""
        for path in map(Path, paths):
            held = Arrays(path)
            ends, steps = bounds(held, self.offsets, self._inputs(held))
            numbers = side_by_side(steps, self.origin, str(path))
            names, groups = self._names(held), self._named(held, self.group, "group")
            count = len(ends) - 1
            if groups is not None and len(groups) != count:
                raise _misfit(path, self.group or "", len(groups), count)
            if names is not None and len(names) not in (count, len(numbers)):
                raise _misfit(path, self.label or "", len(names), count)
            for k in range(count):
                rows = slice(int(ends[k]), int(ends[k + 1]))
                kept = numbers[rows].any(1) if self.zeros == "drop" else np.ones(rows.stop - rows.start, bool)
                vectors = numbers[rows][kept]
                if self.differences:
                    vectors = with_differences(vectors)
                example: dict[str, object] = {"vectors": vectors, "place": f"{path}, sequence {k}"}
                if names is not None and len(names) == count:
                    example["label"] = str(names[k])
                elif names is not None:
                    example["tags"] = [str(name) for name in names[rows][kept]]
                if groups is not None:
                    example["group"] = str(groups[k])
                yield example

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the file; None where it is no zip archive of arrays."""
        head = read_start(Path(path), 512)
        return "arrays of numpy (.npz)" if head.startswith(b"PK\3\4") and b".npy" in head else None

    def _inputs(self, held: Arrays) -> dict[str, NDArray[np.generic]]:
        if self.arrays != "auto":
            return {name: _array(held, name, "arrays") for name in self.arrays}
        for name in INPUTS:
            if name in held:
                return {name: held[name]}
        aside = {self.offsets, self.group, self.label, *NAMES}
        found = {name: held[name] for name in held if name not in aside}
        if self.offsets in held:
            ends = held[self.offsets]
            total = int(ends[-1]) if ends.ndim == 1 and len(ends) and ends.dtype.kind in "iu" else -1
            found = {name: each for name, each in found.items() if each.ndim and len(each) == total}
        found = {name: each for name, each in found.items() if each.ndim and each.dtype.kind in "biuf"}
        if not found:
            raise DataError(f"{held.path}: {', '.join(held)}, none of them numbers of steps. Name one: reader.arrays.")
        return found

    def _names(self, held: Arrays) -> NDArray[np.generic] | None:
        if self.label != "auto":
            return self._named(held, self.label, "label")
        return next((np.atleast_1d(held[name]) for name in NAMES if name in held), None)

    def _named(self, held: Arrays, name: str | None, setting: str) -> NDArray[np.generic] | None:
        return None if name is None else np.atleast_1d(_array(held, name, setting))


def _array(held: Arrays, name: str, setting: str) -> NDArray[np.generic]:
    if name not in held:
        raise DataError(
            f"{held.path}: no array {name!r} (reader.{setting}){did_you_mean(name, held)} There are {', '.join(held)}."
        )
    return held[name]


def _misfit(path: Path, name: str, found: int, sequences: int) -> DataError:
    return DataError(
        f"{path}: the array {name} has {counted(found, 'entry' if found == 1 else 'entrie')}, expected one for each of "
        f"{counted(sequences, 'sequence')}. Name another array."
    )
