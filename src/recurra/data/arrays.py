"""Arrays in an `.npz` file: never a pickle, and nothing larger than the file may be."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.data.files import most_unpacked, read_bytes
from recurra.errors import DataError

KINDS = "biufUS"
"""Of numpy's types those that are read: numbers and texts."""
AXES = 8
ENTRIES = 1_000
"""Arrays in a file, at most."""


class Arrays(Mapping[str, NDArray[Any]]):
    """The arrays of an `.npz` file by name, each read when it is asked for, its type and its size checked before.

    Raises `DataError` for what is no such file, for objects, which only a pickle could hold, for arrays that are not as
    large as they say, and for a file that unpacks to more than it may.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        raw = read_bytes(path)
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(raw))
            self._entries = {entry.filename.removesuffix(".npy"): entry for entry in self._zip.infolist()}
        except Exception as error:  # zipfile has many
            raise self._none(error) from error
        entries = self._zip.infolist()
        if not entries or len(entries) > ENTRIES or not all(each.filename.endswith(".npy") for each in entries):
            raise DataError(
                f"{path}: a zip archive of {len(entries):,} files, expected 1 to {ENTRIES:,} arrays, as numpy.savez "
                "writes them. Name another file."
            )
        if sum(each.file_size for each in entries) > most_unpacked(len(raw)):
            raise DataError(
                f"{path}: {len(raw):,} bytes unpack to more than {most_unpacked(len(raw)):,}, which no data do. Is it "
                "what you think? If so, save it unpacked: numpy.savez."
            )

    def __getitem__(self, name: str) -> NDArray[Any]:
        entry = self._entries[name]
        try:
            with self._zip.open(entry) as file:
                return self._array(file, name, entry.file_size)
        except DataError:
            raise
        except Exception as error:  # numpy and zipfile have many
            raise self._none(error) from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def _array(self, file: Any, name: str, size: int) -> NDArray[Any]:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"version {version[0]}.{version[1]} of its format")
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, by_columns, dtype = read(file)
        if dtype.kind not in KINDS or dtype.names is not None:
            raise DataError(
                f"{self.path}: the array {name} holds {dtype}, expected numbers or texts. Save it as such; a pickle is "
                "never read."
            )
        count = math.prod(shape)
        if len(shape) > AXES or count * dtype.itemsize != size - file.tell():
            raise ValueError(f"the array {name} is not as large as it says")
        found = np.frombuffer(file.read(count * dtype.itemsize), dtype)
        return found.reshape(shape[::-1]).T if by_columns else found.reshape(shape)

    def _none(self, error: BaseException) -> DataError:
        said = " ".join(str(error).split())[:80] or type(error).__name__
        return DataError(f"{self.path}: no readable .npz file ({said}). Save it anew: numpy.savez.")
