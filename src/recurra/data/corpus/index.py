"""The index of a corpus: what it holds and how it was made; whether it is whole. Needs no torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recurra import forms, storage
from recurra.data.corpus.form import Stored
from recurra.errors import DataError, did_you_mean
from recurra.forms import ANYTHING, TRUTH, Items, Table, Text, Whole
from recurra.progress import steps

INDEX, BEGUN = "corpus.json", "encoding.json"
"""The index, written last; and what says of a folder without one that its encoding was begun."""
VERSION = 1
PARTS = ("train", "valid", "test")
CODECS = "codecs.json"
ENDS = "ends"
DIGITS = 16
"""Of a checksum, the first hexadecimal ones of SHA-256."""
LARGEST = 1 << 34
"""Bytes of a file beside the arrays."""
CHUNK = 1 << 24
"""Bytes that are read at once where checksums are compared."""
_AGAIN = "Copy it again from where it was whole, or encode anew."
_SUMS = Table(others=Text(DIGITS))
_FORM = Table(
    {
        "version": Whole(0),
        "sections": Table(others=ANYTHING),
        "long": TRUTH,
        "fields": Table(others=Table({"dtype": Text(8), "row": Items(Whole(1)), "ragged": TRUTH, "texts": TRUTH})),
        "codecs": Table(others=Text()),
        "split": Text(),
        "notes": Items(Text()),
        "sizes": Table(others=ANYTHING),
        "kept": Whole(0),
        "whole": Whole(0),
        "files": Table(others=Text(DIGITS)),
        "settled": Table(others=ANYTHING),
        "shards": Items(
            Table({"examples": Whole(0), "rows": Table(others=Whole(0)), "sums": _SUMS}),
        ),
    },
    {"reader": Table(others=ANYTHING)},
)


@dataclass(frozen=True)
class Index:
    """What a corpus holds."""

    folder: Path
    sections: Mapping[str, Any]
    """The sections of the config that it was encoded by."""
    long: bool
    """Whether it is one long sequence, else many."""
    fields: Mapping[str, Stored]
    codecs: Mapping[str, str]
    """Field → the kind of its codec."""
    split: str
    notes: list[str]
    sizes: Mapping[str, Any]
    """How much the training examples hold, as a report has it."""
    kept: int
    """Characters of a long text, or examples, of training that are kept as they were read; of so many in `whole`."""
    whole: int
    files: Mapping[str, str]
    """The checksum of each file beside the arrays."""
    shards: list[dict[str, Any]]
    """Of each: how many "examples", "rows" by field, "sums" by the ending of the file."""
    settled: Mapping[str, Any]
    """Settings of the task that the data have settled."""
    reader: Mapping[str, Any] | None = None
    """The settings of the reader that "auto" found."""

    @property
    def examples(self) -> int:
        """Training examples."""
        return sum(shard["examples"] for shard in self.shards)

    def rows(self, field: str) -> int:
        """Rows of a field in all training examples."""
        return sum(shard["rows"][field] for shard in self.shards)

    @property
    def fingerprint(self) -> str:
        """Of the training examples as they are encoded."""
        held = {"sums": [shard["sums"] for shard in self.shards], "codecs": self.files[CODECS]}
        return hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()[:DIGITS]

    def written(self) -> str:
        """As it stands in the file."""
        held = {
            "version": VERSION,
            **{name: value for name, value in vars(self).items() if name != "folder" and value is not None},
            "fields": {name: stored.as_json() for name, stored in self.fields.items()},
        }
        return json.dumps(held, indent=1, ensure_ascii=True) + "\n"

    def spans(self) -> Iterator[tuple[str, int, int, str]]:
        """The pieces of files that checksums are of: the file's name, first byte, how many, and the sum."""
        at: dict[str, int] = {}
        for shard in self.shards:
            for ending, digest in shard["sums"].items():
                name = array_name(ending)
                count = bytes_of(self.fields, shard, ending)
                yield name, at.get(name, 0), count, digest
                at[name] = at.get(name, 0) + count


def array_name(ending: str) -> str:
    """The file of a field's arrays, or of their ends: `train.input.bin`, `train.input.ends.bin`."""
    return f"train.{ending}.bin"


def bytes_of(fields: Mapping[str, Stored], shard: Mapping[str, Any], ending: str) -> int:
    """Bytes of a shard in one of its files."""
    field, _, ends = ending.partition(".")
    return 8 * int(shard["examples"]) if ends else int(shard["rows"][field]) * fields[field].size


def digest(raw: bytes | memoryview) -> str:
    """The checksum of bytes."""
    return hashlib.sha256(raw).hexdigest()[:DIGITS]


def read_index(folder: Path) -> Index:
    """The index of a corpus. Raises `DataError` for a folder that is none, that was encoded in part or by another
    version, and where a file has another size than the index says."""
    path = folder / INDEX
    if not path.is_file():
        raise DataError(_no_corpus(folder))
    found = forms.json_file(path, Table({"version": Whole(0)}, others=ANYTHING), DataError, _AGAIN)
    if found["version"] != VERSION:
        raise DataError(
            f"{path}: a corpus of version {found['version']}, expected {VERSION}. Use the recurra that wrote it, or "
            "encode anew."
        )
    held: dict[str, Any] = forms.checked(found, _FORM, str(path), DataError, _AGAIN)
    del held["version"]
    index = Index(
        folder=folder, **{**held, "fields": {name: Stored.from_json(each) for name, each in held["fields"].items()}}
    )
    _check_index(index, path)
    return index


def _check_index(index: Index, path: Path) -> None:
    """Refuse an index that contradicts itself, or its files."""
    for shard in index.shards:
        if shard["rows"].keys() != index.fields.keys():
            raise DataError(f"{path}: a shard with other fields than {', '.join(index.fields)}. {_AGAIN}")
    expected: dict[str, int] = {}
    for name, begin, count, _ in index.spans():
        expected[name] = begin + count
    for name, size in expected.items():
        file = index.folder / name
        there = file.stat().st_size if file.is_file() else None
        if there != size:
            came = "is missing" if there is None else f"has {there:,} bytes"
            raise DataError(f"{file} {came}, expected {size:,} bytes as {INDEX} says. {_AGAIN}")
    for name in index.files:
        if not (index.folder / name).is_file():
            raise DataError(f"{index.folder / name} is missing, which {INDEX} names. {_AGAIN}")


def _no_corpus(folder: Path) -> str:
    if (folder / BEGUN).is_file():
        return (
            f"{folder} is a corpus that was not encoded to its end. Give the same command once more, recurra encode … "
            f"--out {folder}: it goes on where it was stopped."
        )
    if folder.is_file():
        return f"{folder}: a file, expected a corpus, the folder that `recurra encode … --out` made. Encode it first."
    others = [each.parent.name for each in folder.parent.glob(f"*/{INDEX}")] if folder.parent.is_dir() else []
    return (
        f"{folder} is no corpus{did_you_mean(folder.name, others)} A corpus is the folder that `recurra encode … "
        "--out` makes."
    )


def check_files(index: Index) -> None:
    """Compare the files beside the arrays with their checksums. Raises `DataError` for one that was changed."""
    for name, expected in index.files.items():
        raw = forms.read_bytes(index.folder / name, LARGEST, DataError, _AGAIN)
        if digest(raw) != expected:
            raise _changed(index.folder / name)


def check_arrays(index: Index) -> None:
    """Compare the arrays with their checksums. Raises `DataError` for a file that was changed."""
    compare(index.folder, index.spans(), lambda name: _changed(index.folder / name))


def compare(folder: Path, spans: Iterable[tuple[str, int, int, str]], error: Callable[[str], Exception]) -> None:
    """Compare pieces of files with their sums, raising the error of a file whose bytes are others."""
    spans = [*spans]
    with ThreadPoolExecutor(2) as threads:  # hashing lets go of the interpreter
        found = threads.map(lambda span: _sum(folder / span[0], span[1], span[2]), spans)
        counted = steps(zip(spans, found, strict=True), "checking the corpus", "bytes", sum(s[2] for s in spans), _size)
        for (name, _, _, expected), came in counted:
            if came != expected:
                threads.shutdown(cancel_futures=True)
                raise error(name)


def _size(compared: tuple[tuple[str, int, int, str], str]) -> int:
    return compared[0][2]


def _sum(path: Path, begin: int, count: int) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(begin)
        while count and (raw := file.read(min(CHUNK, count))):
            found.update(raw)
            count -= len(raw)
    return found.hexdigest()[:DIGITS]


def _changed(path: Path) -> DataError:
    return DataError(f"{path}: its checksum is not what {INDEX} says: the file was changed since. {_AGAIN}")


def write_index(index: Index) -> None:
    """Write it, which makes the folder a corpus."""
    storage.write_text(index.folder / INDEX, index.written())
