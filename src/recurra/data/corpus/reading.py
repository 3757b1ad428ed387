"""A corpus as training reads it: examples by their number, whose arrays lie in files; nothing is loaded before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from recurra.data.codecs import file as codec_file
from recurra.data.corpus import kept
from recurra.data.corpus.index import CODECS, ENDS, PARTS, Index, array_name, check_arrays, check_files, read_index
from recurra.data.shuffled import Parts

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOGETHER = 1 << 20
"""Examples, about, that are shuffled together: so many shards are drawn for them."""


def read_corpus(folder: str | Path) -> Corpus:
    """Open a corpus, whose checksums are compared. Raises `DataError` where it is not whole."""
    index = read_index(Path(folder))
    check_files(index)
    check_arrays(index)
    return Corpus(index)


def parts_of(folder: str | Path) -> Parts:
    """The examples of a corpus that are kept as they were read: all that are scored, and of training what baselines
    learn from."""
    index = read_index(Path(folder))
    check_files(index)
    train, valid, test = (kept.read(index.folder / kept.name_of(part)) for part in PARTS)
    notes = list(index.notes)
    if index.kept < index.whole:
        unit = "characters" if index.long else "training examples"
        notes.append(
            f"A corpus keeps {index.kept:,} of its {index.whole:,} {unit} as they were read, evenly spaced: from these "
            "the baselines are learned, and where the model's biases begin."
        )
    reader = None if index.reader is None else dict(index.reader)
    return Parts(train, valid, test, index.split, notes, index.fingerprint, reader)


class Corpus:
    """What was encoded for training."""

    def __init__(self, index: Index) -> None:
        self.index = index

    def codecs(self) -> dict[str, Any]:
        """The codecs that it was encoded with, by the name they are saved under."""
        return codec_file.load(self.index.folder / CODECS)

    def train(self) -> Sequence[Mapping[str, Any]]:
        """The training examples as they are encoded; of a long text the one."""
        if not self.index.long:
            return Encoded(self.index)
        arrays = {name: _rows(self.index, name) for name in self.index.fields}
        return [{"place": str(self.index.folder), **arrays}]


class Encoded(Sequence[Mapping[str, Any]]):
    """Many encoded examples, each made of what lies in files when it is asked for."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._arrays = {name: _rows(index, name) for name in index.fields}
        self._ends = {
            name: _opened(index.folder / array_name(f"{name}.{ENDS}"), index.examples)
            for name, stored in index.fields.items()
            if stored.ragged
        }

    def __len__(self) -> int:
        return self._index.examples

    @overload
    def __getitem__(self, row: int) -> Mapping[str, Any]: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[Mapping[str, Any]]: ...
    def __getitem__(self, row: int | slice) -> Any:
        if isinstance(row, slice):
            return [self[each] for each in range(*row.indices(len(self)))]
        row = row + len(self) if row < 0 else row
        if not 0 <= row < len(self):
            raise IndexError(f"example {row} of {len(self)}")
        found: dict[str, Any] = {"place": f"{self._index.folder}, training example {row + 1:,}"}
        for name, stored in self._index.fields.items():
            begin, end = row, row + 1
            if stored.ragged:
                begin, end = self._begin(name, row), int(self._ends[name][row])
            found[name] = stored.example(self._arrays[name][begin:end])
        return found

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return (self[row] for row in range(len(self)))

    def lengths(self, field: str) -> NDArray[np.int32]:
        """How long the arrays of a field are, without reading them; 0 where there is no such field."""
        found = np.zeros(len(self), np.int32)
        for first in range(0, len(self) if field in self._ends else 0, TOGETHER):
            ends = self._ends[field][first : first + TOGETHER]
            found[first : first + len(ends)] = np.diff(ends, prepend=self._begin(field, first))
        return found

    def drawn(self, random: np.random.Generator) -> Iterator[NDArray[np.int64]]:
        """All rows, as many as are shuffled together at a time: those of shards that are drawn at random, but for a
        corpus that is no larger."""
        counts = np.array([shard["examples"] for shard in self._index.shards], np.int64)
        firsts = np.cumsum(counts) - counts
        if len(self) <= TOGETHER:
            yield np.arange(len(self))
            return
        held: list[NDArray[np.int64]] = []
        for shard in random.permutation(len(counts)).tolist():
            held.append(np.arange(firsts[shard], firsts[shard] + counts[shard]))
            if sum(map(len, held)) >= TOGETHER:
                yield np.concatenate(held)
                held = []
        if held:
            yield np.concatenate(held)

    def _begin(self, field: str, row: int) -> int:
        return int(self._ends[field][row - 1]) if row else 0


def _rows(index: Index, field: str) -> NDArray[Any]:
    return index.fields[field].opened(str(index.folder / array_name(field)), index.rows(field))


def _opened(path: Path, count: int) -> NDArray[np.int64]:
    return np.memmap(path, "<i8", "r", shape=(count,)).view(np.ndarray) if count else np.zeros(0, np.int64)
