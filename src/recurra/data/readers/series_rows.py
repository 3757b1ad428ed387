"""Series of numbers side by side: a row a series, as in the files of the M4 competition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from recurra.data.files import check_encoding, head_lines, read_lines
from recurra.data.sample import Sample
from recurra.data.table_cells import (
    SEPARATORS,
    Filling,
    cells_of,
    filled,
    is_missing,
    number_in,
    separator_of,
    value_of,
)
from recurra.errors import DataError
from recurra.registry import part
from recurra.types import Example

SHORTEST = 3
"""Values of a first series that make a file one of series, in a guess at what it holds."""


@part("reader", "series-rows")
class SeriesRowsReader:
    """One example a line: the `id` in its first cell and the `series` behind it, [T, 1]; empty cells at its end are
    none. The `place` is the line.

    `header` "auto": the first line is one unless its second cell is a number. `separator` is told by the first line.
    `missing` says what becomes of empty cells between values, and of NA and the like, as in the reader "series".

    Raises `DataError` for a cell that is no number, for a line without a value, for a name that comes twice, for
    missing values unless they are filled, and for a file without a series.
    Source of the form: Makridakis, Spiliotis & Assimakopoulos 2020, The M4 Competition.
    """

    recipe = "forecast"
    fields: ClassVar[Mapping[str, str]] = {"series": "vectors"}
    sample: ClassVar[Sample] = Sample({"a.csv": '"V1","V2","V3","V4"\n"größe",1,2.5,4\n"H2",3,4,\n'}, 2)

    def __init__(
        self,
        encoding: str = "utf-8",
        separator: Literal["auto", "tab", "comma", "semicolon"] = "auto",
        header: bool | Literal["auto"] = "auto",
        missing: Filling = "refuse",
    ) -> None:
        self.encoding = check_encoding(encoding)
        self.separator, self.header, self.missing = separator, header, missing

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The series of the files, in the order given."""
        for path in map(Path, paths):
            yield from self._all(path)

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the file; None if its second line is no name with several numbers behind it."""
        lines = [line for line in head_lines(Path(path), self.encoding) if line.strip()][:2]
        if len(lines) < 2:
            return None
        name, *rest = cells_of(lines[1], separator_of(lines[0]))
        numbers = len(rest) >= SHORTEST and all(number_in(cell) is not None or is_missing(cell) for cell in rest)
        known = [cell for cell in rest if number_in(cell) is not None]
        return "series of numbers, one a line" if numbers and len(known) >= SHORTEST and _is_name(name) else None

    def _all(self, path: Path) -> Iterator[Example]:
        lines = [(number, line) for number, line in read_lines(path, self.encoding) if line.strip()]
        separator = SEPARATORS.get(self.separator) or separator_of(lines[0][1] if lines else "")
        if lines and self._is_header(cells_of(lines[0][1], separator)):
            del lines[0]
        if not lines:
            raise DataError(f"{path}: no series, expected one a line, a name and its numbers. Name another file.")
        seen: dict[str, int] = {}
        for line, text in lines:
            name, *cells = cells_of(text, separator)
            while cells and cells[-1] == "":
                del cells[-1]
            if not cells:
                raise DataError(f"{path}:{line}: no value behind {name!r}, expected a name and the series' numbers.")
            if name in seen:
                raise DataError(
                    f"{path}:{line}: a second series called {name}, the first is in line {seen[name]:,}. Rename one."
                )
            seen[name] = line
            place = f"{path}:{line}"
            values = np.array([[value_of(cell, place)] for cell in cells])
            values = filled(values, self.missing, [name], path, [line] * len(values))
            yield {"id": name, "series": values, "names": [name], "place": place}

    def _is_header(self, cells: list[str]) -> bool:
        numbers = any(number_in(cell) is not None for cell in cells[1:2])
        return self.header is True or (self.header == "auto" and not numbers)


def _is_name(cell: str) -> bool:
    return bool(cell) and number_in(cell) is None and not is_missing(cell)
