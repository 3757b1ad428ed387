"""What went into a system and what came out of it, side by side in a table of numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from recurra.data.files import counted, head_lines
from recurra.data.gaps import since_seen
from recurra.data.readers.series import SeriesReader
from recurra.data.sample import Sample
from recurra.data.table_cells import SEPARATORS, Filling, cells_of, separator_of
from recurra.errors import ConfigError, DataError
from recurra.registry import part
from recurra.types import Example

Columns = tuple[str | int, ...]
_RANGE = re.compile(r"(\d*):(\d*)")


@part("reader", "signals")
class SignalsReader:
    """One example a file: the `inputs` [T, D] of a system and its `outputs` [T, W], the `names` of the outputs, the
    `times` where there is a column of them, and the `place`.

    `inputs` and `outputs` are columns, by the name in the header or by number from 1. "auto": those that the other does
    not name; where both are auto the last column is the output, those before it are inputs. `outputs` "none", and a
    file whose header has none of them: there are inputs alone. Outputs may end before the inputs do, in empty cells:
    what is known of them is where a simulation begins.
    `rows` takes a part of the file alone, "40650:105712" the rows from 40,650 up to 105,711, counted from 0 behind the
    header. All else is as the reader "series" says: `time`, `separator`, `header`, and `missing` for gaps; with "seen"
    those of the inputs are data, said in `seen`, `since` and `dt`, and outputs have none.

    Raises `DataError` as that reader does, for rows beyond the file's, and for an input without outputs in between;
    `ConfigError` for a column that is input and output, and for rows that are no range.
    """

    recipe = "simulate"
    fields: ClassVar[Mapping[str, str]] = {
        "inputs": "vectors",
        "outputs": "vectors",
        "times": "times",
        "seen": "vectors",
        "since": "vectors",
        "dt": "numbers",
    }
    sample: ClassVar[Sample] = Sample({"a.csv": "u,größe\n0.5,1\n-1,2.5\n2,4\n"}, 1, sniffed=False)

    def __init__(
        self,
        encoding: str = "utf-8",
        inputs: tuple[str | int, ...] | Literal["auto"] = "auto",
        outputs: tuple[str | int, ...] | Literal["auto"] | None = "auto",
        rows: str | None = None,
        time: str | int = "auto",
        separator: Literal["auto", "tab", "comma", "semicolon"] = "auto",
        header: bool | Literal["auto"] = "auto",
        missing: Literal["refuse", "forward", "linear", "seen"] = "refuse",
    ) -> None:
        if both := [each for each in _named(inputs) if each in _named(outputs)]:
            raise ConfigError(f"reader.inputs and reader.outputs both name {both[0]!r}. Leave it out of one.")
        found = _RANGE.fullmatch(rows) if rows is not None else None
        if rows is not None and (found is None or not _begin(found) < (_end(found) or _begin(found) + 1)):
            raise ConfigError(f'reader.rows = {rows!r}, expected a range such as "1000:5000", ":5000" or "1000:".')
        self.inputs, self.outputs, self.rows, self.missing = inputs, outputs, found, missing
        self._table: dict[str, Any] = {
            "encoding": encoding,
            "time": time,
            "separator": separator,
            "header": header,
            "id": "none",
        }
        for columns in filter(None, (_named(inputs), _named(outputs))):  # which says what is wrong of them
            SeriesReader(columns=columns, **self._table)
        self.encoding = SeriesReader(**self._table).encoding

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The signals of the files, in the order given."""
        for path in map(Path, paths):
            yield self._signals(path)

    def sniff(self, path: str | Path) -> str | None:
        """Which columns are inputs no file says, so none is taken for signals."""
        return None

    def _signals(self, path: Path) -> Example:
        inputs, outputs = self._columns(path)
        if self.missing == "seen":
            found = self._read(path, inputs, "seen")
            given = np.asarray(found["series"])
            beside = (
                self._read(path, outputs, "keep", timed=False) if outputs else {"series": given[:, :0], "names": []}
            )
            said, names = np.asarray(beside["series"]), beside["names"]
        else:
            found = self._read(path, (*inputs, *outputs), "keep")
            values, D = np.asarray(found["series"]), len(inputs)
            given, said, names = values[:, :D], values[:, D:], found["names"][D:]
            if np.isnan(given).any():
                given = np.asarray(self._read(path, inputs, self.missing)["series"])
        along = ("times", "seen", "since", "dt")
        example = {"inputs": given, **{name: found[name] for name in along if name in found}}
        if outputs:
            example |= {"outputs": self._known(path, outputs, said), "names": names}
        elif all(isinstance(each, str) for each in _named(self.outputs)) and _named(self.outputs):
            example["names"] = [*_named(self.outputs)]
        return self._part(example, str(found["place"]))

    def _read(
        self, path: Path, columns: Columns | Literal["auto"], missing: Filling | Literal["seen"], timed: bool = True
    ) -> Example:
        table = self._table if timed else {**self._table, "time": "none"}
        reader = SeriesReader(columns=columns, missing=missing, **table)
        try:
            (example,) = reader.read(path)
        except DataError as error:
            raise DataError(str(error).replace("reader.columns", "reader.inputs")) from error
        return example

    def _columns(self, path: Path) -> tuple[Columns, Columns]:
        """The columns of inputs and those of outputs, of which there may be none."""
        inputs, outputs = _named(self.inputs), _named(self.outputs)
        if inputs and (outputs or self.outputs is None):
            return inputs, outputs if outputs and self._has(path, outputs) else ()
        names = self._read(path, "auto", self.missing if self.missing == "seen" else "keep")["names"]
        rest = tuple(each for each in names if each not in (*inputs, *outputs))
        if inputs:
            return inputs, rest
        if outputs or self.outputs is None:
            return rest, outputs if outputs and self._has(path, outputs) else ()
        if len(rest) < 2:
            raise DataError(
                f"{path}: {counted(len(rest), 'column')} of numbers, expected one of inputs and one of outputs. Where "
                "there are inputs alone: --set reader.outputs=none"
            )
        return rest[:-1], rest[-1:]

    def _has(self, path: Path, outputs: Columns) -> bool:
        """Whether a file has any of these columns in its header; a number is a column that it must have."""
        lines = [line for line in head_lines(path, self.encoding) if line.strip()][:1]
        separator = SEPARATORS.get(self._table["separator"])
        cells = {cell for line in lines for cell in cells_of(line, separator or separator_of(line))}
        return any(not isinstance(each, str) or each in cells for each in outputs)

    def _known(self, path: Path, columns: Columns, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """The outputs up to the last that is known; gaps in between are refused, or filled."""
        known = np.flatnonzero(~np.isnan(outputs).any(1))
        outputs = outputs[: known[-1] + 1 if len(known) else 0]
        if np.isnan(outputs).any():
            how: Filling = "refuse" if self.missing == "seen" else self.missing
            filled = self._read(path, columns, how, timed=self.missing != "seen")["series"]
            outputs = np.asarray(filled)[: len(outputs)]
        return outputs

    def _part(self, example: Example, place: str) -> Example:
        """The rows that are wanted; `place` is that of the first row of all."""
        if self.rows is None:
            return {**example, "place": place}
        begin, end, steps = _begin(self.rows), _end(self.rows), len(example["inputs"])
        if begin >= steps or (end or 0) > steps:
            raise DataError(
                f"{place.rpartition(':')[0]}: {counted(steps, 'row')} of numbers, expected as many as reader.rows = "
                f'"{self.rows[0]}" takes. Name rows that there are.'
            )
        whole = {name: value[begin:end] if name in self.fields else value for name, value in example.items()}
        if "seen" in whole:  # of what was before this part nothing is known
            whole["since"] = since_seen(whole["seen"], whole["dt"])
        path, _, line = place.rpartition(":")
        return {**whole, "place": f"{path}:{int(line) + begin}"}


def _named(columns: Sequence[str | int] | str | None) -> Columns:
    return () if columns is None or isinstance(columns, str) else tuple(columns)


def _begin(found: re.Match[str]) -> int:
    return int(found[1] or 0)


def _end(found: re.Match[str]) -> int | None:
    return int(found[2]) if found[2] else None
