"""Columns by number: from 1 at the left, from -1 at the right."""

from __future__ import annotations

from recurra.errors import ConfigError


def check_column(name: str, column: int) -> None:
    """Raise `ConfigError` for the number 0, which no column has; `name` is the reader's setting."""
    if column == 0:
        raise ConfigError(f"reader.{name} = 0, expected a column counted from 1, or from -1 backwards.")


def from_left(column: int, width: int) -> int:
    """The place of a column among the cells of a row, from 0."""
    return column - 1 if column > 0 else width + column
