"""Files inside of a zip archive, each read when it is asked for, and never more of it than may be."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from recurra.data.files import read_bytes
from recurra.errors import DataError, did_you_mean

LARGEST = 1 << 27
"""Bytes of a file in an archive, 128 MiB unpacked."""
ENTRIES = 1_000_000
"""Files in an archive, at most."""
ZIP = b"PK\3\4"


class Zipped:
    """The files of a zip archive by name. Raises `DataError` for what is none, and for a file that is not in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        raw = read_bytes(path)
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(raw))
            self._entries = {entry.filename: entry for entry in self._zip.infolist() if not entry.is_dir()}
        except Exception as error:  # zipfile has many
            raise self._unsound(str(path), error) from error
        if len(self._entries) > ENTRIES:
            raise DataError(f"{path}: {len(self._entries):,} files in it, expected {ENTRIES:,} at most. Split it.")

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def read(self, name: str) -> bytes:
        """The bytes of one file in it."""
        entry = self._entries.get(name)
        if entry is None:
            raise DataError(f"{self.path}: no {name!r} in it{did_you_mean(name, list(self._entries)[:10_000])} Add it.")
        where = f"{self.path}, {name}"
        if entry.file_size > LARGEST:
            raise DataError(f"{where}: {entry.file_size:,} bytes unpacked, expected {LARGEST:,} at most. Leave it out.")
        try:
            with self._zip.open(entry) as file:
                return file.read(entry.file_size + 1)
        except Exception as error:
            raise self._unsound(where, error) from error

    def _unsound(self, where: str, error: BaseException) -> DataError:
        said = " ".join(str(error).split())[:80] or type(error).__name__
        return DataError(f"{where}: no readable zip archive ({said}). Copy it again.")
