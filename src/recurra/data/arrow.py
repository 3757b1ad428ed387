"""Columns of Parquet and Arrow files, some rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recurra.data.files import check_file, read_start
from recurra.errors import ConfigError, DataError, did_you_mean

PARQUET, ARROW, STREAM = b"PAR1", b"ARROW1", b"\xff\xff\xff\xff"
"""How files begin: Parquet; Arrow's own, also called Feather; and Arrow's as a stream, as Hugging Face keeps data."""
ROWS = 1024
"""Rows that are read at once."""


def format_of(path: Path) -> str | None:
    """What a file is by its first bytes; None of another."""
    begin = read_start(path, len(ARROW))
    names = {PARQUET: "Parquet", ARROW: "Arrow", STREAM: "an Arrow stream"}
    return next((name for magic, name in names.items() if begin.startswith(magic)), None)


def blocks_of(path: Path) -> list[int] | None:
    """The bytes of each block of rows that can be read by itself; None of a stream, which is read from its begin."""
    with _opened(path) as (kind, file):
        if kind == "Parquet":
            groups = file.metadata
            return [groups.row_group(k).total_byte_size for k in range(groups.num_row_groups)]
        if kind == "Arrow":
            return [file.get_batch(k).nbytes for k in range(file.num_record_batches)]
        return None


def rows_of(
    path: Path, columns: Sequence[str], blocks: tuple[int, int] | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows, numbered from 1 within what is read: the values of these columns; of the blocks from one to before another,
    or of all.

    Raises `ConfigError` without pyarrow, `DataError` for a file that is none and for a column that it has not.
    """
    number = 0
    with _opened(path) as (kind, file):
        _check(path, file.schema_arrow.names if kind == "Parquet" else file.schema.names, columns)
        if kind == "Parquet":
            groups = None if blocks is None else [*range(*blocks)]
            batches = file.iter_batches(ROWS, row_groups=groups, columns=list(columns))
        elif kind == "Arrow":
            batches = (file.get_batch(k) for k in range(*(blocks or (0, file.num_record_batches))))
        else:
            batches = file
        for batch in batches:
            for begin in range(0, batch.num_rows, ROWS):
                for row in batch.select(list(columns)).slice(begin, ROWS).to_pylist():
                    number += 1
                    yield number, row


def _check(path: Path, there: Sequence[str], wanted: Sequence[str]) -> None:
    for name in wanted:
        if name not in there:
            raise DataError(
                f"{path}: no column {name!r}{did_you_mean(name, there)} Found {', '.join(there[:8])}. Name it: --set "
                "reader.text=COLUMN (or reader.label, …)"
            )


@contextmanager
def _opened(path: Path) -> Iterator[tuple[str, Any]]:
    """What a file is, and it open; errors of the library as ours."""
    check_file(path)
    kind = format_of(path)
    if kind is None:
        raise DataError(
            f"{path}: neither Parquet nor Arrow by its first bytes. Name its format: --set reader.kind=text, "
            "reader.kind=table, or another."
        )
    try:
        import pyarrow
        from pyarrow import ipc, parquet
    except ImportError as error:
        raise ConfigError(f"{path} wants pyarrow to be read: pip install 'recurra[parquet]'") from error
    try:
        if kind == "Parquet":
            with parquet.ParquetFile(path) as file:
                yield kind, file
        else:
            with pyarrow.memory_map(str(path)) as source:
                yield kind, ipc.open_file(source) if kind == "Arrow" else ipc.open_stream(source)
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{path}: {kind} that cannot be read ({reason}). Copy it again, or write it anew.") from error
