"""Whether the data that a recipe names are there, asked before anything is read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from recurra.config import Data
from recurra.data.files import check_file
from recurra.data.sets import check_set
from recurra.errors import ConfigError


def check_files(paths: Iterable[str | Path], folders: bool = False) -> None:
    """Raise `DataError` for a path that is no file, before anything is read. `folders`: some readers read them."""
    for path in map(Path, paths):
        if not (folders and path.is_dir()):
            check_file(path)


def check_sources(data: Data, folders: bool = False) -> None:
    """Raise `ConfigError` where no training data or an unknown set is named, `DataError` for a path that is no file."""
    if data.corpus:
        return  # which holds all of them
    if data.set:
        check_set(data.set)
    elif not data.train:
        raise ConfigError(
            "there are no training data. Name files after the recipe, or a data set: --set data.set=pydoc (a text) …"
        )
    check_files((*data.train, *data.valid, *data.test), folders)
