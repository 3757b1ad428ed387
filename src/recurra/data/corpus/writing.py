"""A corpus as it is written: shard behind shard, and a journal that says how far, so that a killed process goes on."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from recurra import storage
from recurra.data.corpus.form import Stored
from recurra.data.corpus.index import ENDS, array_name, bytes_of, digest
from recurra.errors import CheckpointError

if TYPE_CHECKING:
    from numpy.typing import NDArray

JOURNAL = "shards.jsonl"
_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True)
class Shard:
    """Some training examples, encoded and packed."""

    examples: int
    raw: Mapping[str, bytes]
    lengths: Mapping[str, NDArray[np.int64]]
    """Rows of each example, by field."""
    sums: Mapping[str, str]
    """Of `raw`."""
    sizes: Mapping[str, Any]
    """What is counted of them."""

    @classmethod
    def of(cls, fields: Mapping[str, Stored], encoded: Sequence[Mapping[str, Any]], sizes: Mapping[str, Any]) -> Shard:
        """Pack encoded examples."""
        packed = {name: stored.packed([each[name] for each in encoded]) for name, stored in fields.items()}
        raw = {name: each[0] for name, each in packed.items()}
        sums = {name: digest(each) for name, each in raw.items()}
        return cls(len(encoded), raw, {name: each[1] for name, each in packed.items()}, sums, sizes)


class Writer:
    """Writes shards in their order. Those that a former process wrote whole, as its journal says, are there already."""

    def __init__(self, folder: Path, fields: Mapping[str, Stored], long: bool) -> None:
        self._folder, self._fields, self._long = folder, fields, long
        self._endings = [*fields]
        if not long:
            self._endings += [f"{name}.{ENDS}" for name, stored in fields.items() if stored.ragged]
        self.shards = self._whole()
        sizes = {ending: sum(bytes_of(fields, shard, ending) for shard in self.shards) for ending in self._endings}
        self._files = {ending: _opened(folder / array_name(ending), size) for ending, size in sizes.items()}
        storage.write_text(folder / JOURNAL, "".join(map(_line, self.shards)))
        self._journal = _opened(folder / JOURNAL, None)
        self._ends = {name: sum(shard["rows"][name] for shard in self.shards) for name in fields}

    def append(self, shard: Shard) -> None:
        """Write a shard behind the others."""
        sums = dict(shard.sums)
        for name, raw in shard.raw.items():
            self._put(self._files[name], raw, name)
        for name in fields_with_ends(self._endings):
            ends = self._ends[name] + np.cumsum(shard.lengths[name])
            raw = ends.astype("<i8").tobytes()
            self._put(self._files[f"{name}.{ENDS}"], raw, f"{name}.{ENDS}")
            sums[f"{name}.{ENDS}"] = digest(raw)
        rows = {name: int(lengths.sum()) for name, lengths in shard.lengths.items()}
        for name, count in rows.items():
            self._ends[name] += count
        record = {"examples": shard.examples, "rows": rows, "sums": sums, "sizes": shard.sizes}
        self._put(self._journal, _line(record).encode(), JOURNAL)
        self.shards.append(record)

    def close(self) -> None:
        """Bring all to the disk."""
        for file in (*self._files.values(), self._journal):
            with contextlib.suppress(OSError):
                os.fsync(file.fileno())
            file.close()

    def _put(self, file: BinaryIO, raw: bytes, ending: str) -> None:
        try:
            rest = memoryview(raw)
            while rest:
                rest = rest[file.write(rest) :]
        except OSError as error:
            raise CheckpointError(storage.unwritable(self._folder / array_name(ending), error)) from error

    def _whole(self) -> list[dict[str, Any]]:
        """The shards that are there, whole, in all files: up to the first that is not."""
        try:
            text = storage.read_text(self._folder / JOURNAL)
        except (OSError, UnicodeDecodeError):
            return []
        found: list[dict[str, Any]] = []
        at = dict.fromkeys(self._endings, 0)
        with contextlib.ExitStack() as stack:
            try:
                files = {each: stack.enter_context((self._folder / array_name(each)).open("rb")) for each in at}
            except OSError:
                return []
            for line in text.splitlines():
                try:
                    shard = json.loads(line)
                    counts = {ending: bytes_of(self._fields, shard, ending) for ending in self._endings}
                    whole = all(digest(files[each].read(counts[each])) == shard["sums"][each] for each in counts)
                except (ValueError, KeyError, TypeError):
                    break
                if not whole:
                    break
                found.append(shard)
        return found


def fields_with_ends(endings: Sequence[str]) -> list[str]:
    """The fields that have a file of ends."""
    return [ending.removesuffix(f".{ENDS}") for ending in endings if ending.endswith(f".{ENDS}")]


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record) + "\n"


def _opened(path: Path, size: int | None) -> BinaryIO:
    """A file that is written on, cut to so many bytes; as long as it is without a size."""
    storage.check_place(path)
    try:
        descriptor = os.open(path, _FLAGS, 0o666)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise CheckpointError(f"{path} cannot be written: it is no regular file. Delete it.")
        if size is not None:
            os.ftruncate(descriptor, size)
        file = os.fdopen(descriptor, "r+b", buffering=0)
        file.seek(0, os.SEEK_END)
    except OSError as error:
        raise CheckpointError(storage.unwritable(path, error)) from error
    return file
