"""Cells of a table of numbers: parted, read, and filled where one is missing."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from recurra.data.files import counted, shortened
from recurra.errors import DataError

SEPARATORS = {"tab": "\t", "comma": ",", "semicolon": ";"}
MISSING = ("", "na", "n/a", "nan", "null", "none", "?")
"""What stands for a value that is not there, in any case."""
Filling = Literal["refuse", "forward", "linear", "keep"]
_DECIMAL_COMMA = re.compile(r"-?\d+,\d+")
_THOUSANDS = re.compile(r"-?\d{1,3}(,\d{3})+(\.\d+)?")


def cells_of(line: str, separator: str) -> list[str]:
    """The cells of a row, without white space and quotation marks around them."""
    return [cell.strip().removeprefix('"').removesuffix('"').strip() for cell in line.split(separator)]


def separator_of(line: str) -> str:
    """What parts the cells of a line: a tab, else a semicolon, else a comma."""
    return next((mark for mark in ("\t", ";", ",") if mark in line), ",")


def number_in(cell: str) -> float | None:
    """A finite or infinite number; None of anything else, 1_000 included, which Python alone takes for one."""
    if "_" in cell or is_missing(cell):
        return None
    try:
        return float(cell)
    except ValueError:
        return None


def is_missing(cell: str) -> bool:
    """Whether a cell stands for a value that is not there."""
    return cell.strip().lower() in MISSING


def value_of(cell: str, place: str) -> float:
    """The number of a cell, NaN of one that is missing. Raises `DataError` for anything else, and for infinity."""
    number = number_in(cell)
    if number is None and is_missing(cell):
        return math.nan
    if number is None:
        move = "Leave the column out: --set reader.columns=… names the others."
        if _THOUSANDS.fullmatch(cell):
            move = "Write thousands without separators."
        elif _DECIMAL_COMMA.fullmatch(cell):
            move = "Write decimals with a point."
        raise DataError(f"{place}: {shortened(cell)} is no number. {move}")
    if math.isinf(number):
        raise DataError(f"{place}: {cell} is not finite, expected a number. Leave it empty if it is not known.")
    return number


def filled(
    values: np.ndarray, how: Filling, names: Sequence[str], path: Path, lines: Sequence[int], several: str = ""
) -> np.ndarray:
    """Values [T, W] with none missing: by the value before, or on a straight line between both sides; in front of the
    first there is by that one, behind the last by that. "keep" leaves them NaN.

    `names` are those of the columns, `lines` of the file where each row stands, `several` the name of this series where
    the file holds others. Raises `DataError` for missing values that are to be refused, and for a column without any.
    """
    gaps = np.isnan(values)
    if how == "keep" or not gaps.any():
        return values
    of = f" of {several}" if several else ""
    row, column = map(int, np.argwhere(gaps)[0])
    if how == "refuse":
        raise DataError(
            f"{path}:{lines[row]}: no value of {names[column]}{of}, and {counted(int(gaps.sum()), 'value')} missing in "
            "all. Fill them: --set reader.missing=forward, or =linear"
        )
    for k, name in enumerate(names):
        known = np.flatnonzero(~gaps[:, k])
        if not len(known):
            move = "Leave the series out." if several else "Leave the column out: --set reader.columns=…"
            raise DataError(f"{path}:{lines[0]}: no value of {name}{of} at all. {move}")
        if how == "linear":
            values[:, k] = np.interp(np.arange(len(values)), known, values[known, k])
        else:
            before = np.maximum(np.searchsorted(known, np.arange(len(values)), side="right") - 1, 0)
            values[:, k] = values[known[before], k]
    return values
