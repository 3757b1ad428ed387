"""Data sets known by name: which files belong to which part, and what their bytes must be; `sets.toml` lists them."""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

from recurra.data.files import counted, read_lines
from recurra.errors import ConfigError, DataError, UnknownName
from recurra.registry import construct
from recurra.types import Example

VARIABLE = "RECURRA_DATA"
PARTS = ("train", "valid", "test")
ALL = "*"
"""In the place of a file's name: all files of the folder, whose sum is that of their names and sums."""


@dataclass(frozen=True)
class Lines:
    """The lines of a file that belong to one part: line k of the file `by` names the part of line k of `path`."""

    path: Path
    by: Path
    part: str


@dataclass(frozen=True)
class Marked:
    """The examples of a file that belong to one part, as each of them says itself: its "split" names the part, or its
    "group" is one of the part's."""

    path: Path
    part: str
    groups: tuple[str, ...] | None = None

    def holds(self, example: Example) -> bool:
        """Whether an example belongs to the part."""
        return example.get("split") == self.part if self.groups is None else example.get("group") in self.groups


@dataclass(frozen=True)
class ReadAs:
    """Files that a reader with settings of its own reads together: other columns, some rows."""

    paths: tuple[Path, ...]
    settings: Mapping[str, Any]
    """Of the reader, its kind among them."""


@dataclass(frozen=True)
class Listed:
    """The examples of a file that belong to one part: those whose "id" stands in a line of the file `by`."""

    path: Path
    by: Path


Source = Path | Lines | Marked | ReadAs | Listed | Example
"""What a part of a set is made of: files or folders that a reader reads, some lines or examples of a file, a file read
in a way of its own, or an example that needs no reading."""


class Reader(Protocol):
    """What reads files, as text or as bytes; see `recurra.data.readers.text`. Its `fields` say which form each field
    has that it gives, its `recipe` what is trained of them first, and its `sample` what it reads. With an attribute
    `ordered` that is true, its examples follow each other in time, and are cut in that order."""

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The examples in the files, in the order given."""


@dataclass(frozen=True)
class DataSet:
    """The parts of a set. A part without sources is not in the set."""

    name: str
    train: tuple[Source, ...]
    valid: tuple[Source, ...] = ()
    test: tuple[Source, ...] = ()
    fractions: tuple[float, float] | None = None
    """Shares of train and test where the set's own split is an exact cut of `train`: see `split.cut(…, exact=True)`."""
    steps: tuple[int, int, int] | None = None
    """How many steps of each series are train, valid and test, in this order, where that is the set's own split."""
    continues: bool = False
    """Whether each test series goes on where the training series of the same `id` ends."""
    split: str | None = None
    """The set's own split in words."""
    reader: Mapping[str, Any] | None = None
    """Settings of the reader that reads its files, for a recipe that leaves the choice to the set."""


def set_names() -> list[str]:
    """The names `find_set` knows, sorted."""
    return sorted([*(name for name, described in _table().items() if "train" in described), "pydoc"])


def vector_names() -> list[str]:
    """The names `find_vectors` knows, sorted."""
    return sorted(name for name, described in _table().items() if "vectors" in described)


def check_set(name: str) -> None:
    """Raise `UnknownName` for a name that is no set's; looks for no file."""
    if name in vector_names():
        raise ConfigError(
            f"{name!r} holds word vectors, expected a set of examples. Name it for the words instead: "
            f"--set vocabulary.vectors={name}"
        )
    if name not in set_names():
        raise UnknownName("data set", name, set_names())


def set_reader(name: str) -> dict[str, Any] | None:
    """The settings of the reader that reads the set; None where its examples need none. Looks for no file."""
    check_set(name)
    reader: dict[str, Any] | None = _table().get(name, {}).get("reader")
    return None if reader is None else dict(reader)


def find_set(name: str) -> DataSet:
    """The set called `name`; its files lie in the folder that the environment variable RECURRA_DATA names.

    "pydoc" needs no folder: it is the prose of Python's own `pydoc_data.topics` and differs between Python versions.

    Raises `UnknownName`, or `DataError` where the variable, the folder or a file is missing or a file's bytes differ.
    """
    check_set(name)
    if name == "pydoc":
        return DataSet(name, ({"text": _pydoc(), "path": "pydoc_data.topics"},))
    described = _table()[name]
    folder = _folder(name)
    files = {part: _sources(name, folder, described.get(part, {})) for part in (*PARTS, "lines")}
    lists = {part: _sources(name, folder, sums) for part, sums in described.get("ids", {}).items()}
    parts: dict[str, tuple[Source, ...]] = {part: files[part] for part in PARTS}
    if files["lines"]:
        parts = {part: (Lines(files["train"][0], files["lines"][0], part),) for part in PARTS}
    if marked := described.get("marked"):
        named = PARTS if marked is True else marked
        parts = {part: tuple(Marked(file, part) for file in files["train"]) for part in named}
    if "groups" in described:
        groups = described["groups"]
        parts = {part: tuple(Marked(f, part, tuple(groups[part])) for f in files["train"]) for part in groups}
    for part, own in described.get("reading", {}).items():
        parts[part] = (ReadAs(files[part], {**described["reader"], **own}),)
    if lists:
        parts = {part: (Listed(files["train"][0], lists[part][0]),) for part in PARTS}
    fractions = described.get("fractions")
    return DataSet(
        name,
        **parts,
        fractions=fractions and (fractions[0], fractions[1]),
        steps=described.get("steps") and tuple(described["steps"]),
        continues=described.get("continues", False),
        split=described.get("split"),
        reader=set_reader(name),
    )


def find_vectors(name: str) -> Path:
    """The file of the word vectors called `name`; raises as `find_set` does."""
    if name not in vector_names():
        raise UnknownName("set of word vectors", name, vector_names())
    ((file, expected),) = _table()[name]["vectors"].items()
    return _checked(name, _folder(name), file, expected)


def read_sources(sources: Iterable[Source], reader: Reader) -> Iterator[Example]:
    """The examples of a part: files that follow each other are read together, examples are given as they are."""
    for _, group in groupby(sources, lambda source: isinstance(source, Path)):
        found = list(group)
        yield from reader.read(*(source for source in found if isinstance(source, Path)))
        for source in found:
            if isinstance(source, Lines):
                yield from _chosen(source, reader)
            elif isinstance(source, ReadAs):
                yield from construct("reader", source.settings).read(*source.paths)
            elif isinstance(source, Marked):
                yield from filter(source.holds, reader.read(source.path))
            elif isinstance(source, Listed):
                yield from _listed(source, reader)
            elif not isinstance(source, Path):
                yield source


@cache
def _table() -> dict[str, dict[str, Any]]:
    """Name → what `sets.toml` says of it."""
    return tomllib.loads((Path(__file__).parent / "sets.toml").read_text(encoding="utf-8"))


def _sources(name: str, folder: Path, sums: Mapping[str, str | Mapping[str, str]]) -> tuple[Path, ...]:
    """The files of a part, or its folders, every file compared with its sum."""
    paths = []
    for path, expected in sums.items():
        inside = {path: expected} if isinstance(expected, str) else {f"{path}/{f}": s for f, s in expected.items()}
        for file, digest in inside.items():
            _checked(name, folder, file, digest)
        paths.append(folder / path)
    return tuple(paths)


def _chosen(lines: Lines, reader: Reader) -> Iterator[Example]:
    """The examples whose line belongs to the part."""
    parts = [line.strip() for _, line in read_lines(lines.by, "utf-8")]
    for example in reader.read(lines.path):
        number = int(example["place"].rpartition(":")[2])
        if number > len(parts):
            raise DataError(
                f"{lines.by}: the file ends after {counted(len(parts), 'line')}, expected one for {example['place']}, "
                "the name of its part. Copy both files again."
            )
        if parts[number - 1] == lines.part:
            yield example


def _listed(source: Listed, reader: Reader) -> Iterator[Example]:
    """The examples that are named in the list, each of which must be there."""
    wanted = {line.strip() for _, line in read_lines(source.by, "utf-8") if line.strip()}
    found = [example for example in reader.read(source.path) if example.get("id") in wanted]
    if len(found) != len(wanted):
        raise DataError(
            f"{source.by}: {counted(len(wanted), 'name')}, but {source.path} has {counted(len(found), 'example')} of "
            "them, expected one for each. Copy both files again."
        )
    yield from found


def _pydoc() -> str:
    from pydoc_data.topics import topics

    return "".join(topics[key] for key in sorted(topics))


def _all_checked(name: str, folder: Path, expected: str) -> Path:
    """A folder whose files together have the sum: of their names and their own sums, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        digest.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    if digest.hexdigest() != expected:
        raise DataError(
            f"{folder}: not the files of the data set {name!r}: the SHA-256 of their names and sums is "
            f"{digest.hexdigest()[:16]}…, expected {expected[:16]}…. Copy all of them again, and nothing beside them."
        )
    return folder


def _folder(name: str) -> Path:
    value = os.environ.get(VARIABLE)
    if not value:
        raise DataError(
            f"the data set {name!r} needs {VARIABLE}, which is not set. Set it to the folder that holds {name}/, "
            "or name files of your own on the command line."
        )
    if not Path(value).is_dir():
        raise DataError(
            f"{VARIABLE} = {value} is no folder, expected the one that holds {name}/. Set it anew, "
            "or name files of your own on the command line."
        )
    return Path(value)


def _checked(name: str, folder: Path, file: str, expected: str) -> Path:
    path = folder / file
    if path.name == ALL:
        return _all_checked(name, path.parent, expected)
    if not path.is_file():
        raise DataError(
            f"{path}: no such file, expected a part of the data set {name!r}. Is {VARIABLE} = {folder} right? "
            "Or name files of your own on the command line."
        )
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != expected:
        raise DataError(
            f"{path}: not the file of the data set {name!r}: its SHA-256 is {found[:16]}…, expected {expected[:16]}…. "
            "Copy it again, or name it on the command line as a file of your own."
        )
    return path
