"""The `.tsf` files of the forecasting archive: a series of numbers a line, behind attributes such as its name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from recurra.data.archives import Word, header_of, moment, number
from recurra.data.files import check_encoding, counted, head_lines, read_lines, shortened
from recurra.data.sample import Sample
from recurra.data.table_cells import Filling, filled
from recurra.errors import DataError
from recurra.registry import part
from recurra.types import Example

TYPES = ("string", "numeric", "date")


@part("reader", "tsf")
class TsfReader:
    """An example for each line: the `series` of its values, [T, 1], its `names`, that of the series, and its `place`.

    In front of the values stands, parted by colons, a value of each `@attribute`, of which the first of the type
    `string` is the name; the others are checked and left aside, and so are `@frequency` and `@horizon`. `?` is a value
    that is missing: refused, or filled as `missing` says, "forward" from the value before or on a straight line
    ("linear", which looks ahead), in front of the first value by that one.

    Raises `DataError`, with the line, for a header or a value that is none, for a line with fewer attributes than the
    header has, and for missing values unless they are filled.
    Source: Godahewa et al. 2021, Monash time series forecasting archive.
    """

    recipe = "forecast"
    fields: ClassVar[Mapping[str, str]] = {"series": "vectors"}
    sample: ClassVar[Sample] = Sample(
        {
            "a.tsf": "# é\n@relation é\n@attribute series_name string\n@attribute start_timestamp date\n"
            "@frequency monthly\n@data\nTü:1979-01-01 00-00-00:1,2,3\nT2:1979-01-01 00-00-00:-4,5e1\n"
        },
        2,
    )

    def __init__(self, encoding: str = "utf-8", missing: Filling = "refuse") -> None:
        self.encoding, self.missing = check_encoding(encoding), missing

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The series of the files, in the order given."""
        for path in map(Path, paths):
            words, rest = header_of(path, list(read_lines(path, self.encoding)))
            attributes = _attributes(words)
            found = False
            for line, text in rest:
                found = True
                yield self._series(text, attributes, path, line)
            if not found:
                raise DataError(f"{path}: no series behind @data, expected one a line. Name another file.")

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the file; None where it has no header of such a file."""
        words = {line.split()[0].lower() for line in head_lines(Path(path), self.encoding) if line.startswith("@")}
        return "series of an archive (.tsf)" if words >= {"@attribute", "@relation"} else None

    def _series(self, text: str, attributes: Sequence[tuple[str, str]], path: Path, line: int) -> Example:
        place = f"{path}:{line}"
        *values, last = text.split(":", len(attributes))
        if len(values) < len(attributes):
            raise DataError(
                f"{place}: {counted(len(values), 'attribute')} before the values, expected {len(attributes):,}: "
                f"{', '.join(name for name, _ in attributes)}. Is a colon missing?"
            )
        names = []
        for (name, kind), value in zip(attributes, values, strict=True):
            if kind == "date":
                moment(value, place)
            elif kind == "numeric":
                number(value, place)
            else:
                names.append(value.strip() or name)
        series = np.array([number(cell, place) for cell in last.split(",")])[:, None]
        if np.isnan(series).all():
            raise DataError(f"{place}: no value that is known, expected some. Leave the line out.")
        name = (names or ["1"])[0]
        series = filled(series, self.missing, ["the series"], path, [line] * len(series), name)
        return {"series": series, "names": [name], "place": place}


def _attributes(words: Sequence[Word]) -> list[tuple[str, str]]:
    """The attributes that stand in front of the values, with their types."""
    found = []
    for word, value, place in words:
        if word != "attribute":
            continue
        name, _, kind = value.rpartition(" ")
        if not name or kind.strip() not in TYPES:
            raise DataError(f"{place}: @attribute {shortened(value)}, expected a name and {', '.join(TYPES)}.")
        found.append((name.strip(), kind.strip()))
    return found
