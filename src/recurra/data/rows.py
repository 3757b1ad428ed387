"""The rows of a plain table of numbers and names: no line breaks inside of cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from recurra.data.files import counted, read_lines
from recurra.data.table_cells import cells_of, separator_of
from recurra.errors import DataError, did_you_mean

Row = tuple[str, list[str]]
"""The place of a row, and its cells."""


def table(path: Path, encoding: str) -> tuple[list[str], Iterator[Row]]:
    """The names in the first line of a table, and its rows. Raises `DataError` where rows have not as many cells, for
    a name that is there twice, and for a table without a row."""
    lines = [(number, line) for number, line in read_lines(path, encoding) if line.strip()]
    if len(lines) < 2:
        raise DataError(f"{path}: no row below a header, expected a table with names of columns. Name another file.")
    separator = separator_of(lines[0][1])
    names = cells_of(lines[0][1], separator)
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise DataError(
            f"{path}:{lines[0][0]}: two columns are called {twice!r}, expected a name for each. Rename one."
        )

    def rows() -> Iterator[Row]:
        for number, line in lines[1:]:
            cells = cells_of(line, separator)
            if len(cells) != len(names):
                raise DataError(
                    f"{path}:{number}: {counted(len(cells), 'cell')}, expected {len(names):,} as in the first line. Is "
                    f"there a separator ({separator!r}) inside a cell, or one missing?"
                )
            yield f"{path}:{number}", cells

    return names, rows()


def place_of(name: str, names: Sequence[str], path: Path, setting: str) -> int:
    """Where a column stands. Raises `DataError` where none is called so."""
    if name not in names:
        raise DataError(
            f"{path}:1: no column {name!r} (reader.{setting}){did_you_mean(name, names)} The columns are "
            f"{', '.join(names)}."
        )
    return list(names).index(name)
