"""Data sets known by name: which files belong to which part, and what their bytes must be."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from recurra.errors import DataError, UnknownName
from recurra.types import Example

VARIABLE = "RECURRA_DATA"

Source = Path | Example
"""What a part of a set is made of: a file that a reader reads, or an example that needs no reading."""


class Reader(Protocol):
    """What reads a file; see `recurra.data.text`."""

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
    split: str | None = None
    """The set's own split in words."""


@dataclass(frozen=True)
class _Files:
    """A set of files: part → path below the data folder → SHA-256."""

    parts: dict[str, dict[str, str]]
    fractions: tuple[float, float] | None
    split: str


_FILES = {
    "tinyshakespeare": _Files(
        {"train": {"tinyshakespeare/input.txt": "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"}},
        (0.9, 0.1),
        "first 90 % of the characters train, last 10 % test",
    ),
    "ptb": _Files(
        {
            "train": {"ptb/ptb.train.txt.gz": "c4c6455d85f60640431f7bc738d51265ba2d55dcce10e8906322d6f9e3dcca81"},
            "valid": {"ptb/ptb.valid.txt.gz": "f2148d96d82f827399b7e5040868a4541bd2d2612ebaf5a2ff213bc07fd74eb8"},
            "test": {"ptb/ptb.test.txt.gz": "5015d206077ff3e96161868c5c280ec8a28e9ad5617ef99ee0e734aaef6130c5"},
        },
        None,
        "Mikolov's train, valid and test",
    ),
    "wikitext-2": _Files(
        {
            "train": {
                "wikitext-2/wiki.train.tokens.gz": "0c202e0b5d919429261b7291d9b5998f0db680c0a6700c0ff2a886d0abe055d4"
            },
            "valid": {
                "wikitext-2/wiki.valid.tokens.gz": "3ac34ae2b6509075d52302c50a04a8a1970739ffe1a904f2cd374fefbea3cbf2"
            },
        },
        None,
        "the official train and valid; its test is not part of this set",
    ),
}


def set_names() -> list[str]:
    """The names `find_set` knows, sorted."""
    return sorted([*_FILES, "pydoc"])


def check_set(name: str) -> None:
    """Raise `UnknownName` for a name that is no set's; looks for no file."""
    if name not in set_names():
        raise UnknownName("data set", name, set_names())


def find_set(name: str) -> DataSet:
    """The set called `name`; its files lie in the folder that the environment variable RECURRA_DATA names.

    "pydoc" needs no folder: it is the prose of Python's own `pydoc_data.topics` and differs between Python versions.

    Raises `UnknownName`, or `DataError` where the variable, the folder or a file is missing or a file's bytes differ.
    """
    if name == "pydoc":
        return DataSet(name, ({"text": _pydoc(), "path": "pydoc_data.topics"},))
    check_set(name)
    files = _FILES[name]
    folder = _folder(name)
    parts = {part: tuple(_checked(name, folder, *file) for file in of.items()) for part, of in files.parts.items()}
    return DataSet(name, **parts, fractions=files.fractions, split=files.split)


def read_sources(sources: Iterable[Source], reader: Reader) -> Iterator[Example]:
    """The examples of a part: files are read, examples are given as they are."""
    for source in sources:
        if isinstance(source, Path):
            yield from reader.read(source)
        else:
            yield source


def _pydoc() -> str:
    from pydoc_data.topics import topics

    return "".join(topics[key] for key in sorted(topics))


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
