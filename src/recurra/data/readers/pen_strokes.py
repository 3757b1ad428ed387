"""Drawings as the movements of a pen, in arrays of numpy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from recurra.data.arrays import Arrays
from recurra.data.sample import Sample
from recurra.data.sets import PARTS
from recurra.data.stacked import bounds, packed
from recurra.errors import DataError
from recurra.registry import part
from recurra.types import Example


@part("reader", "pen-strokes")
class PenStrokesReader:
    """An example for each drawing in `.npz` files: its `moves` [T, 3], how far the pen went along and down and whether
    it was lifted then, and its `place`.

    A file has arrays `train`, `valid` and `test` [steps, 3] of all drawings behind each other, drawing i from
    `train_offsets[i]` on; `part` is which is read, by default all there are.

    Raises `DataError` for what is no such file, and for a pen that is neither lifted (1) nor down (0).
    """

    recipe = "strokes"
    fields: ClassVar[Mapping[str, str]] = {"moves": "moves"}
    sample: ClassVar[Sample] = Sample(
        {
            "a.npz": packed(
                train=np.array([[1, 0, 0], [0, 2, 1], [3, 3, 1]], np.int16),
                train_offsets=[0, 2, 3],
                test=np.array([[5, 5, 1]], np.int16),
                test_offsets=[0, 1],
            )
        },
        3,
    )

    def __init__(self, part: Literal["all", "train", "valid", "test"] = "all") -> None:
        self.part = part

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The drawings of the files, in the order given."""
        for path in map(Path, paths):
            held = Arrays(path)
            parts = [name for name in PARTS if name in held] if self.part == "all" else [self.part]
            missing = [name for name in (parts or PARTS[:1]) if name not in held]
            if missing:
                raise DataError(f"{path}: no array {missing[0]!r}, found {', '.join(held)}. Name another part.")
            for name in parts:
                steps = held[name]
                if steps.ndim != 2 or steps.shape[1] != 3 or steps.dtype.kind not in "iuf":
                    raise DataError(
                        f"{path}: {name!r} has the shape {list(steps.shape)}, expected [steps, 3]: along, down, lifted."
                    )
                if not np.isfinite(steps.astype(np.float64)).all() or not np.isin(steps[:, 2], (0, 1)).all():
                    raise DataError(
                        f"{path}: {name!r} has steps that are no moves, expected finite numbers, the third 0 or 1."
                    )
                ends, _ = bounds(held, f"{name}_offsets", {name: steps})
                for k in range(len(ends) - 1):
                    moves = steps[int(ends[k]) : int(ends[k + 1])].astype(np.float64)
                    yield {"moves": moves, "place": f"{path}, {name} {k}"}

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the file; None where it has no movements."""
        path = Path(path)
        if path.suffix != ".npz" or not path.is_file():
            return None
        try:
            held = Arrays(path)
        except DataError:
            return None
        there = [name for name in PARTS if name in held and f"{name}_offsets" in held]
        return "movements of a pen with offsets" if there else None
