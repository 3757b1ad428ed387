"""A table of many sequences of numbers: a row for each step, a column that says which sequence it belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from recurra.data.archives import moment, number
from recurra.data.files import check_encoding, head_lines, shortened
from recurra.data.rows import Row, place_of, table
from recurra.data.sample import Sample
from recurra.data.table_cells import cells_of, separator_of
from recurra.errors import DataError
from recurra.registry import part
from recurra.types import Example

NAMES = ("sequence", "sequence_id", "series_id", "unique_id", "recording", "id")
"""What the column of sequences is called, where the settings do not say, in any case."""
TIMES = ("step", "time", "timestamp", "date", "datetime", "ds", "frame", "t")
"""What a column of steps or times is called, in any case."""
LABEL, TAG = "label", "tag"


@part("reader", "sequences")
class SequencesReader:
    """An example for each sequence of a table with a header: its `vectors` [T, W], a `label`, `tags` or both, a
    `group`, and its `place`, the line of its first step.

    `sequence` is the column that says which sequence a row belongs to; "auto": the first that is called like one
    (`NAMES`), else the first column. The rows of a sequence stand behind each other. `columns` are those of numbers;
    "auto": all that are nothing else. `time` is the column of steps or times, which must rise within a sequence and is
    no input; "auto": the first of `TIMES`, if there is one. The column `label`, where there is one, names the whole
    sequence, the column `tag` each step. `labels` is the name of another table, in the same folder, with a row for each
    sequence: its column `sequence` says which, its column `label` names it. The column `group`, in either table, says
    who or what a sequence is of: a group is never cut into two parts. In the place of a file a folder may be named that
    holds one table, beside that of the labels.

    Raises `DataError`, with the line, for a cell that is no number, for a sequence whose rows stand apart, for times
    that do not rise, for two labels of one sequence, and for columns that are not there.
    """

    recipe = "activity"
    fields: ClassVar[Mapping[str, str]] = {"vectors": "vectors", "label": "label", "tags": "tags"}
    sample: ClassVar[Sample] = Sample(
        {"a.csv": "sequence,step,größe,b,label\n1,0,1,2,ü\n1,1,2,2.5,ü\n2,0,-1,3,v\n2,1,4,1e1,v\n2,2,0,0,v\n"}, 2
    )

    def __init__(
        self,
        encoding: str = "utf-8",
        sequence: str = "auto",
        columns: tuple[str, ...] | Literal["auto"] = "auto",
        time: str = "auto",
        label: str = "label",
        tag: str = "tag",
        group: str | None = None,
        labels: str | None = None,
    ) -> None:
        self.encoding = check_encoding(encoding)
        self.sequence, self.columns, self.time = sequence, columns, time
        self.label, self.tag, self.group, self.labels = label, tag, group, labels

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The sequences of the files, in the order given."""
        for path in map(Path, paths):
            file = self._table(path) if path.is_dir() else path
            known = self._labels(file.with_name(self.labels)) if self.labels else {}
            yield from self._sequences(file, known)

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the file; None where its header names no column of sequences, or rows no numbers."""
        lines = [line for line in head_lines(Path(path), self.encoding) if line.strip()][:2]
        if len(lines) < 2:
            return None
        names, cells = (cells_of(line, separator_of(lines[0])) for line in lines)
        if not {*NAMES} & {name.lower() for name in names} or len(names) != len(cells):
            return None
        aside = {*NAMES, *TIMES, self.label, self.tag}
        others = [cell for name, cell in zip(names, cells, strict=True) if name.lower() not in aside]
        found = any(_is_number(cell) for cell in others)
        return "a table with a row for each step of a sequence" if found else None

    def _table(self, folder: Path) -> Path:
        files = sorted(each for each in folder.iterdir() if each.name.endswith((".csv", ".tsv", ".csv.gz", ".tsv.gz")))
        files = [each for each in files if each.name != self.labels]
        if len(files) != 1:
            found = ", ".join(each.name for each in files[:3]) or "none"
            raise DataError(
                f"{folder}: expected one table (.csv or .tsv) in this folder, found {found}. Name the file."
            )
        return files[0]

    def _sequence_column(self, names: Sequence[str], path: Path) -> int:
        if self.sequence != "auto":
            return place_of(self.sequence, names, path, "sequence")
        return next((k for k, name in enumerate(names) if name.lower() in NAMES), 0)

    def _labels(self, path: Path) -> dict[str, dict[str, str]]:
        """What the table of labels says of each sequence; of one that is not there nothing: it is asked of none."""
        if not path.is_file():
            return {}
        names, rows = table(path, self.encoding)
        sequence, label = self._sequence_column(names, path), place_of(self.label, names, path, "label")
        group = place_of(self.group, names, path, "group") if self.group in names else None
        found: dict[str, dict[str, str]] = {}
        for place, cells in rows:
            if cells[sequence] in found:
                raise DataError(f"{place}: sequence {cells[sequence]} has a label already. Leave one of the rows out.")
            found[cells[sequence]] = {"label": cells[label]}
            if group is not None:
                found[cells[sequence]]["group"] = cells[group]
        return found

    def _sequences(self, path: Path, known: Mapping[str, Mapping[str, str]]) -> Iterator[Example]:
        names, rows = table(path, self.encoding)
        sequence, roles = self._sequence_column(names, path), self._roles(names, path)
        columns = self._columns(names, {sequence, *roles.values()}, path)
        seen: set[str] = set()
        held: list[Row] = []
        for place, cells in rows:
            if held and cells[sequence] != held[-1][1][sequence]:
                yield self._example(held, sequence, columns, roles, known)
                held = []
            if not held:
                if cells[sequence] in seen:
                    raise DataError(
                        f"{place}: a row of sequence {cells[sequence]}, whose other rows stand further up, expected "
                        "them behind each other. Sort the rows by sequence and time."
                    )
                seen.add(cells[sequence])
            held.append((place, cells))
        if held:
            yield self._example(held, sequence, columns, roles, known)

    def _roles(self, names: Sequence[str], path: Path) -> dict[str, int]:
        """The columns that are no numbers, by what they are."""
        roles = {}
        for role, name in (("label", self.label), ("tag", self.tag), ("group", self.group)):
            if name in names:
                roles[role] = list(names).index(str(name))
            elif name not in (LABEL, TAG, None) and not self.labels:
                place_of(str(name), names, path, role)
        if self.time == "auto":
            time = next((k for k, name in enumerate(names) if name.lower() in TIMES), None)
            return roles if time is None else {**roles, "time": time}
        return {**roles, "time": place_of(self.time, names, path, "time")}

    def _columns(self, names: Sequence[str], aside: set[int], path: Path) -> list[int]:
        if self.columns != "auto":
            return [place_of(name, names, path, "columns") for name in self.columns]
        found = [k for k in range(len(names)) if k not in aside]
        if not found:
            raise DataError(f"{path}:1: no column of numbers among {', '.join(names)}. Name some: reader.columns.")
        return found

    def _example(
        self,
        rows: Sequence[Row],
        sequence: int,
        columns: Sequence[int],
        roles: Mapping[str, int],
        known: Mapping[str, Mapping[str, str]],
    ) -> Example:
        for place, cells in rows:
            if wrong := next((cells[k] for k in columns if not _is_number(cells[k])), None):
                raise DataError(
                    f"{place}: {shortened(wrong)} is no number. Say what its column is, reader.label, reader.tag or "
                    "reader.group, or name those of numbers: reader.columns."
                )
        vectors = np.array([[number(cells[k], place) for k in columns] for place, cells in rows])
        if np.isnan(vectors).any():
            step, column = map(int, np.argwhere(np.isnan(vectors))[0])
            raise DataError(f"{rows[step][0]}: no number in cell {columns[column] + 1}, expected one. Fill it.")
        if "time" in roles:
            times = [(place, cells[roles["time"]]) for place, cells in rows]
            for (_, before), (place, now) in pairwise(times):
                if moment(now, place) <= moment(before, place):
                    raise DataError(f"{place}: {now} does not rise after {before}, expected steps in their order.")
        example: dict[str, object] = {"vectors": vectors, **known.get(rows[0][1][sequence], {})}
        for role in ("label", "group"):
            if role in roles:
                example[role] = _one(rows, roles[role], role)
        if "tag" in roles:
            example["tags"] = [cells[roles["tag"]] for _, cells in rows]
        return {**example, "place": rows[0][0]}


def _is_number(cell: str) -> bool:
    """Whether a cell holds a number, or nothing."""
    try:
        number(cell, "")
    except DataError:
        return False
    return True


def _one(rows: Sequence[Row], column: int, role: str) -> str:
    """The value of a column that is the same in all rows of a sequence."""
    value = rows[0][1][column]
    for place, cells in rows:
        if cells[column] != value:
            move = " For a name at each step: --set reader.tag=… and its name" if role == "label" else ""
            raise DataError(
                f"{place}: the {role} {cells[column]!r}, but the sequence began with {value!r}: expected one for all "
                f"its rows.{move}"
            )
    return value
