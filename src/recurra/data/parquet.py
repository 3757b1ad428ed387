"""Tables in Parquet files, as the rows of cells that a table of text has."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from recurra.data.files import counted
from recurra.errors import ConfigError, DataError

MOST = 50_000_000
"""Cells of a file that are read: a small file can stand for many more."""


def is_parquet(path: Path) -> bool:
    """Whether a file is called so."""
    return path.suffix == ".parquet"


def parquet_rows(path: Path) -> list[tuple[int, list[str]]]:
    """The header, then the rows, of a file, with their numbers from 1; missing values are empty cells, times as in ISO
    8601.

    Raises ConfigError without pyarrow, DataError for a file that it does not read and for one of too many cells.
    """
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise ConfigError(f"{path} wants pyarrow to be read: pip install 'recurra[parquet]'") from error
    try:
        with parquet.ParquetFile(path) as file:
            rows, width = file.metadata.num_rows, file.metadata.num_columns
            if rows * width > MOST:
                raise DataError(f"{path}: {counted(rows * width, 'cell')}, expected {MOST:,} at most. Cut the file.")
            table = file.read()
    except (ArrowException, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{path} is no Parquet file that can be read ({reason}). Write it again.") from error
    columns = [[_cell(value) for value in column.to_pylist()] for column in table.columns]
    return list(enumerate([table.column_names, *map(list, zip(*columns, strict=True))], 1))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value.isoformat(" ") if isinstance(value, datetime) else str(value)
