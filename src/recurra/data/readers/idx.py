"""IDX files, the format of MNIST: pictures as sequences of pixels or rows, and their labels."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from recurra.config import check_seed
from recurra.data.files import counted, read_bytes, read_start, unpacked
from recurra.data.sample import Sample
from recurra.errors import DataError
from recurra.registry import part
from recurra.types import Example

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
"""The third byte of a file, and the numbers it stands for."""
AXES = 4
"""Of an array, at most."""


def packed(array: NDArray[np.uint8]) -> bytes:
    """An array as such a file holds it."""
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@part("reader", "idx")
class IdxReader:
    """An example for each picture: its `vectors` or its `image`, its `label` where a file of labels follows that of the
    pictures, and its `place`, numbered from 0.

    `steps` "pixels": a number a step, [rows · columns, 1], line by line; "rows": a row a step, [rows, columns];
    "picture": the `image` as it is, uint8 [rows, columns], for a codec of pictures.
    `permute`, a seed, puts the pixels of every picture in one other order, the same for all, before they are steps.
    An array of two axes is one of sequences of numbers, one of one axis are labels. Files may be in gzip.

    Raises `DataError` for what is no IDX file, for one that is shorter or longer than it says, for labels that are not
    as many as the pictures before them, or have none, and for numbers that are not finite.
    Source: LeCun, Cortes & Burges, The MNIST database.
    """

    recipe = "pixels"
    fields: ClassVar[Mapping[str, str]] = {"vectors": "vectors", "image": "image", "label": "label"}
    sample: ClassVar[Sample] = Sample(
        {
            "images": packed(np.arange(24, dtype=np.uint8).reshape(4, 2, 3)),
            "labels": packed(np.array([1, 0, 1, 2], np.uint8)),
        },
        4,
    )

    def __init__(self, steps: Literal["pixels", "rows", "picture"] = "pixels", permute: int | None = None) -> None:
        self.steps = steps
        self.permute = permute if permute is None else check_seed(permute, "reader.permute")

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The pictures of the files, in the order given."""
        pictures: tuple[Path, NDArray[np.generic]] | None = None
        for path in map(Path, paths):
            array = array_of(path)
            if array.ndim > 1:
                if pictures is not None:
                    yield from self._examples(*pictures)
                pictures = path, array
                continue
            if pictures is None:
                raise DataError(
                    f"{path}: labels, and no pictures before them. Name the pictures' file first, then that of their "
                    "labels."
                )
            if len(array) != len(pictures[1]):
                raise DataError(
                    f"{path}: {counted(len(array), 'label')}, expected one for each of {len(pictures[1]):,} pictures "
                    f"of {pictures[0]}. Name the files that belong together."
                )
            yield from self._examples(*pictures, array)
            pictures = None
        if pictures is not None:
            yield from self._examples(*pictures)

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the file; None where it does not begin as such files do."""
        head = read_start(Path(path), 4)
        if len(head) == 4 and head[:2] == b"\0\0" and head[2] in TYPES and 1 <= head[3] <= AXES:
            return "an IDX file, as MNIST's are"
        return None

    def _examples(
        self, path: Path, array: NDArray[np.generic], labels: NDArray[np.generic] | None = None
    ) -> Iterator[Example]:
        if self.steps == "picture" and (array.ndim != 3 or array.dtype != np.uint8):
            raise DataError(
                f"{path}: {array.dtype.name} in {array.ndim} axes, expected pictures: bytes in three. Set "
                'reader.steps = "pixels".'
            )
        flat = array.reshape(len(array), -1)
        if self.permute is not None:
            flat = flat[:, np.random.default_rng(self.permute).permutation(flat.shape[1])]
        width = array.shape[-1] if self.steps == "rows" and array.ndim > 2 else 1
        for k, picture in enumerate(flat):
            label = {} if labels is None else {"label": str(labels[k])}
            place = f"{path}, picture {k}"
            if self.steps == "picture":
                yield {"image": picture.reshape(array.shape[1:]), **label, "place": place}
            else:
                yield {"vectors": picture.reshape(-1, width), **label, "place": place}


def array_of(path: Path) -> NDArray[np.generic]:
    """The array of a file, its shape checked before it is made."""
    raw = unpacked(str(path), read_bytes(path))
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] not in TYPES or not 1 <= raw[3] <= AXES:
        raise DataError(
            f"{path}: begins with {raw[:4].hex(' ') or 'nothing'}, expected an IDX file: 00 00, a type of numbers, and "
            "how many axes there are. Name another file."
        )
    numbers, axes = np.dtype(TYPES[raw[2]]), raw[3]
    begin = 4 + 4 * axes
    if len(raw) < begin:
        raise DataError(f"{path}: ends inside its header, after {counted(len(raw), 'byte')}. Copy it again.")
    shape = struct.unpack(f">{axes}I", raw[4:begin])
    expected = begin + math.prod(shape) * numbers.itemsize
    if len(raw) != expected:
        raise DataError(
            f"{path}: {len(raw):,} bytes, expected {expected:,}: {' × '.join(map(str, shape))} numbers of "
            f"{counted(numbers.itemsize, 'byte')} behind a header of {begin}. Copy it again."
        )
    if 0 in shape:
        raise DataError(f"{path}: {' × '.join(map(str, shape))} numbers, which is none. Name another file.")
    array: NDArray[np.generic] = np.frombuffer(raw, numbers, offset=begin).reshape(shape)
    if numbers.kind == "f" and not np.isfinite(array.astype(np.float64)).all():
        raise DataError(f"{path}: numbers that are not finite. Fill them, or leave those pictures out.")
    return array
