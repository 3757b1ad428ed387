"""The `.ts` files of the time-series classification archives: labelled sequences of one or several dimensions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from recurra.data.archives import Word, header_of, moment, number, yes
from recurra.data.files import check_encoding, counted, head_lines, read_lines, shortened
from recurra.data.sample import Sample
from recurra.data.stacked import with_differences
from recurra.data.table_cells import Filling, filled
from recurra.errors import DataError
from recurra.registry import part
from recurra.types import Example

SPARSEST, FEW = 100, 1_000_000
"""A line may stand for so many times the values that it holds, and for so many more: the others are missing."""
_PAIR = re.compile(r"\(([^(),]+),([^(),]+)\)")


@dataclass
class _Header:
    """What a file says of its lines; None where it says nothing."""

    stamped: bool = False
    dimensions: int | None = None
    labelled: bool = False
    labels: Sequence[str] = ()
    equal: bool = False
    length: int | None = None


@part("reader", "ts")
class TsReader:
    """An example for each line: its `vectors` [T, dimensions], its `label` where there is one, and its `place`.

    Dimensions stand behind colons, their values behind commas, `?` or `NaN` for one that is missing; with `@timeStamps
    true` values are pairs `(time,value)`, times that rise, the same in every dimension. A dimension may end earlier
    than others: what it lacks is missing. `missing` says what becomes of missing values: they are refused, filled
    "forward" from the value before, or on a straight line between both sides ("linear", which looks ahead); in front of
    a dimension's first value by that one, behind its last by that. Missing values at the end of all dimensions, as
    padding of unequal lengths is written, are left out. With `differences` each number stands beside what it changed by
    since the step before, 0 at the first.

    Raises `DataError`, with the line, for a header or a value that is none, for another number of dimensions than
    the header or the first line says, for another length than `@seriesLength`, for a label that `@classLabel` does not
    name, and for missing values unless they are filled.
    Source: Bagnall et al. 2018, The UEA multivariate time series classification archive.
    """

    recipe = "activity"
    fields: ClassVar[Mapping[str, str]] = {"vectors": "vectors", "label": "label"}
    sample: ClassVar[Sample] = Sample(
        {"a.ts": "# é\n@problemName é\n@timeStamps false\n@classLabel true ü b\n@data\n1,2,3:4,5,6:ü\n1,2:-4,5e1:b\n"},
        2,
    )

    def __init__(self, encoding: str = "utf-8", missing: Filling = "refuse", differences: bool = False) -> None:
        self.encoding, self.missing, self.differences = check_encoding(encoding), missing, differences

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The sequences of the files, in the order given; all have the dimensions of the first."""
        width: int | None = None
        for path in map(Path, paths):
            lines = list(read_lines(path, self.encoding))
            words, rest = header_of(path, lines)
            header = _header(words)
            found = False
            for line, text in rest:
                place = f"{path}:{line}"
                vectors, label = self._sequence(text, header, place)
                wanted = header.dimensions or width
                if wanted is not None and vectors.shape[1] != wanted:
                    who = "@dimensions says" if header.dimensions else "the first sequence has"
                    raise DataError(
                        f"{place}: {counted(vectors.shape[1], 'dimension')}, expected {wanted:,} as {who}. Is a colon "
                        "missing, or one too many?"
                    )
                width, found = vectors.shape[1], True
                called = [f"dimension {k + 1}" for k in range(width)]
                vectors = filled(vectors, self.missing, called, path, [line] * len(vectors), "this sequence")
                yield {"vectors": with_differences(vectors) if self.differences else vectors, **label, "place": place}
            if not found:
                raise DataError(f"{path}: no sequence behind @data, expected one a line. Name another file.")

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the file; None where it has no header of such a file."""
        words = [line.split()[0].lower() for line in head_lines(Path(path), self.encoding) if line.startswith("@")]
        if "@classlabel" in words or ("@problemname" in words and "@attribute" not in words):
            return "sequences of an archive (.ts)"
        return None

    def _sequence(self, text: str, header: _Header, place: str) -> tuple[NDArray[np.float64], dict[str, str]]:
        *parts, last = _dimensions(text)
        label: dict[str, str] = {}
        if header.labelled:
            name = last.strip()
            if header.labels and name not in header.labels:
                raise DataError(
                    f"{place}: the label {shortened(name)}, expected one of @classLabel: {', '.join(header.labels)}. "
                    "Is it missing at the end of the line?"
                )
            if not name:
                raise DataError(f"{place}: no label behind the last colon, expected one. Write it there.")
            label = {"label": name}
        else:
            parts = [*parts, last]
        if not parts:
            raise DataError(f"{place}: no values before the label, expected them and a colon. Write them there.")
        read = _stamped if header.stamped else _plain
        columns = [read(part, place) for part in parts]
        steps = len({time for column in columns for time in column})
        if steps * len(columns) > SPARSEST * sum(map(len, columns)) + FEW:
            raise DataError(
                f"{place}: {counted(len(columns), 'dimension')} with {steps:,} steps between them, of which nearly all "
                "values are missing. Is a colon written for a comma?"
            )
        if header.stamped:
            vectors = _joined(columns, place)
        else:
            vectors = np.full((max(map(len, columns)), len(columns)), np.nan)
            for k, column in enumerate(columns):
                vectors[: len(column), k] = list(column.values())
        known = np.flatnonzero(~np.isnan(vectors).all(1))
        vectors = vectors[: known[-1] + 1] if len(known) else vectors[:0]
        if not len(vectors):
            raise DataError(f"{place}: no value that is known, expected some. Leave the line out.")
        if header.equal and header.length is not None and len(vectors) > header.length:
            raise DataError(
                f"{place}: {counted(len(vectors), 'step')}, expected {header.length:,} as @seriesLength says. Is a "
                "comma one too many?"
            )
        return vectors, label


def _header(words: Sequence[Word]) -> _Header:
    found = _Header()
    for word, value, place in words:
        if word == "timestamps":
            found.stamped = yes(value, word, place)
        elif word == "equallength":
            found.equal = yes(value, word, place)
        elif word in ("dimensions", "dimension", "serieslength"):
            if not value.isdecimal() or not 1 <= int(value[:10]) < 1 << 31:
                raise DataError(f"{place}: @{word} {shortened(value)}, expected a whole number from 1.")
            if word == "serieslength":
                found.length = int(value)
            else:
                found.dimensions = int(value)
        elif word == "classlabel":
            there, *labels = value.split() or [""]
            found.labelled, found.labels = yes(there, word, place), labels
        elif word == "targetlabel" and yes(value.split()[0] if value else "", word, place):
            raise DataError(f"{place}: numbers are the targets (@targetLabel), expected names (@classLabel).")
        elif word == "univariate" and yes(value, word, place):
            found.dimensions = 1
    return found


def _dimensions(text: str) -> list[str]:
    """The parts of a line between colons; those inside of brackets, as times have them, part nothing."""
    if "(" not in text:
        return text.split(":")
    parts, depth, begin = [], 0, 0
    for k, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if sign == ":" and depth <= 0:
            parts.append(text[begin:k])
            begin = k + 1
    return [*parts, text[begin:]]


def _plain(text: str, place: str) -> dict[float, float]:
    """The values of a dimension by their number."""
    return {k: number(cell, place) for k, cell in enumerate(text.split(","))} if text.strip() else {}


def _stamped(text: str, place: str) -> dict[float, float]:
    """The values of a dimension by their time."""
    found: dict[float, float] = {}
    end = 0
    for pair in _PAIR.finditer(text):
        between = text[end : pair.start()].strip()
        if between != ("," if found else ""):
            raise DataError(f"{place}: {shortened(between)} before {pair.group()}, expected (time,value),(time,value)…")
        time = moment(pair.group(1), place)
        if found and time <= next(reversed(found)):
            raise DataError(f"{place}: the time {pair.group(1).strip()} does not rise, expected times in their order.")
        found[time], end = number(pair.group(2), place), pair.end()
    if text[end:].strip():
        raise DataError(f"{place}: {shortened(text[end:].strip())}, expected pairs (time,value), as @timeStamps says.")
    return found


def _joined(columns: Sequence[dict[float, float]], place: str) -> NDArray[np.float64]:
    """Dimensions side by side at all times of any of them; a value that one lacks is missing."""
    times = sorted({time for column in columns for time in column})
    vectors = np.array([[column.get(time, np.nan) for column in columns] for time in times])
    return vectors.reshape(len(times), len(columns))
