"""Long recordings and a table that names intervals of them, as windows of one label or stretches of a tag a step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from recurra.data.arrays import Arrays
from recurra.data.files import check_encoding, counted, read_lines, some
from recurra.data.rows import place_of, table
from recurra.data.sample import Sample
from recurra.data.stacked import bounds, packed, side_by_side, with_differences
from recurra.errors import ConfigError, DataError
from recurra.registry import part
from recurra.types import Example


@dataclass(frozen=True)
class _Interval:
    """Steps `begin` to `end` of a recording, from 0, the last left out, what they are called, and where it says so."""

    recording: int
    begin: int
    end: int
    name: str
    place: str


@part("reader", "intervals")
class IntervalsReader:
    """Examples out of a folder with recordings, one `.npz` file, and a table (.csv) of intervals of them.

    A row of the table is an interval: its first and its last step, from 1, in the columns `start` and `end`, and its
    name in the column `label`; "auto": the one column left over. Every other column is called like an array of the
    `.npz` with a value for each recording, and all of them together say which recording is meant. `arrays` hold the
    numbers of all steps, recording i in rows `offsets[i]` to `offsets[i + 1]`; "auto": all that are as long.
    `names` is a file in the folder that names the labels, a line each, `1 WALKING`. With `differences` each number
    stands beside what it changed by since the step before, 0 at a recording's first.

    `give` "windows": `vectors` [window, W] and the `label` of every window of `window` steps, `stride` apart ("none": a
    half), that begins with an interval's first step and ends within it. `give` "steps": `vectors` and `tags`, a name a
    step, of stretches that intervals cover without a gap, in pieces of `window` steps at most, `stride` apart ("none":
    one behind the other). `group` is the array that says who each recording is of: a group is never cut into two
    parts.

    Raises `DataError` for a folder that holds other files, for rows that fit no recording or more than one, for steps
    outside of it and for intervals that overlap.
    Source of the windows: Reyes-Ortiz et al. 2016, Transition-aware human activity recognition using smartphones.
    """

    recipe = "activity"
    fields: ClassVar[Mapping[str, str]] = {"vectors": "vectors", "label": "label", "tags": "tags"}
    sample: ClassVar[Sample] = Sample(
        {
            "a.npz": packed(acc=np.arange(900.0).reshape(300, 3), offsets=[0, 200, 300], who=[1, 2]),
            "b.csv": b"who,activity,start,end\n1,1,3,140\n1,2,141,200\n2,1,1,100\n",
        },
        1,
        folder=True,
    )

    def __init__(
        self,
        encoding: str = "utf-8",
        arrays: tuple[str, ...] | Literal["auto"] = "auto",
        label: str = "auto",
        names: str | None = None,
        group: str | None = None,
        give: Literal["windows", "steps"] = "windows",
        window: int = 128,
        stride: int | None = None,
        differences: bool = False,
    ) -> None:
        for name, value in (("window", window), ("stride", stride)):
            if value is not None and value < 1:
                raise ConfigError(f"reader.{name} = {value}, expected 1 or more steps.")
        self.encoding = check_encoding(encoding)
        self.arrays, self.label, self.names, self.group = arrays, label, names, group
        self.give, self.window, self.differences = give, window, differences
        self.stride = stride or (max(1, window // 2) if give == "windows" else window)

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The windows, or stretches, of the folders, in the order of their tables."""
        for folder in map(Path, paths):
            held = Arrays(self._file(folder, (".npz",)))
            ends, steps = bounds(held, "offsets", self._inputs(held))
            numbers = side_by_side(steps, None, str(held.path))
            if self.differences:
                numbers = np.concatenate([with_differences(numbers[a:b]) for a, b in pairwise(ends.tolist())])
            intervals = list(self._intervals(folder, held, ends))
            groups = self._groups(held, len(ends) - 1)
            expected = f"an interval as long as a window of {counted(self.window, 'step')} (reader.window)"
            yield from some(self._examples(numbers, ends, intervals, groups), folder, expected)

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the path; None where it is no folder of one `.npz` and one table."""
        path = Path(path)
        if not path.is_dir():
            return None
        kinds = [sum(each.name.endswith(ends) for each in path.iterdir()) for ends in (".npz", (".csv", ".csv.gz"))]
        return "recordings and a table of intervals" if kinds == [1, 1] else None

    def _file(self, folder: Path, ends: tuple[str, ...]) -> Path:
        if not folder.is_dir():
            kind = "a file" if folder.exists() else "no such folder"
            raise DataError(f"{folder}: {kind}, expected a folder with recordings (.npz) and a table (.csv). Name it.")
        files = sorted(each for each in folder.iterdir() if each.name.endswith(ends))
        if len(files) != 1:
            found = ", ".join(each.name for each in files[:3]) or "none"
            raise DataError(f"{folder}: expected one file {' or '.join(ends)} in this folder, found {found}.")
        return files[0]

    def _inputs(self, held: Arrays) -> dict[str, NDArray[np.generic]]:
        """The arrays of numbers of all steps."""
        if self.arrays == "auto":
            ends = held["offsets"] if "offsets" in held else np.zeros(0)
            total = int(ends[-1]) if ends.ndim == 1 and len(ends) and ends.dtype.kind in "iu" else -1
            found = {name: held[name] for name in held}
            names = tuple(name for name, each in found.items() if each.ndim > 1 and len(each) == total)
        else:
            names = self.arrays
        missing = next((name for name in names if name not in held), None)
        if missing is not None or not names:
            raise DataError(
                f"{held.path}: no array {missing or 'of numbers'}, only {', '.join(held)}, expected numbers of all "
                "steps, and offsets. Name some: reader.arrays."
            )
        return {name: held[name] for name in names}

    def _groups(self, held: Arrays, recordings: int) -> Sequence[str] | None:
        if self.group is None:
            return None
        if self.group not in held or held[self.group].shape != (recordings,):
            raise DataError(
                f"{held.path}: no array {self.group!r} with a value for each of {counted(recordings, 'recording')} "
                f"(reader.group). There are {', '.join(held)}."
            )
        return [str(each) for each in held[self.group]]

    def _intervals(self, folder: Path, held: Arrays, ends: NDArray[np.generic]) -> Iterator[_Interval]:
        path = self._file(folder, (".csv", ".csv.gz"))
        names, rows = table(path, self.encoding)
        called = self._called(folder)
        N = len(ends) - 1
        keys = [k for k, name in enumerate(names) if name in held and held[name].shape == (N,)]
        start, end = (place_of(name, names, path, name) for name in ("start", "end"))
        left = [k for k in range(len(names)) if k not in (*keys, start, end)]
        if self.label == "auto" and len(left) != 1:
            raise DataError(
                f"{path}:1: the columns {', '.join(names)}, of which {', '.join(names[k] for k in left) or 'none'} may "
                "be the label: expected one beside those of the recording, start and end. Name it: reader.label."
            )
        label = left[0] if self.label == "auto" else place_of(self.label, names, path, "label")
        recordings: dict[tuple[str, ...], int] = {}
        for k in range(N if keys else 0):
            key = tuple(str(held_of) for held_of in (held[names[column]][k] for column in keys))
            recordings[key] = -1 if key in recordings else k
        covered: dict[int, int] = {}
        for place, cells in rows:
            key = tuple(cells[column] for column in keys)
            recording = recordings.get(key, -1)
            if recording < 0:
                what = ", ".join(f"{names[k]} {cells[k]}" for k in keys) or "no column that is an array"
                raise DataError(
                    f"{place}: {what}, which names no single recording of {held.path}. Is it the right file?"
                )
            length = int(ends[recording + 1]) - int(ends[recording])
            begin, last = _whole(cells[start]), _whole(cells[end])
            if not 1 <= begin <= last <= length:
                raise DataError(
                    f"{place}: steps {cells[start]} to {cells[end]}, expected whole numbers that rise, from 1 to "
                    f"{length:,}, the steps of the recording."
                )
            if begin <= covered.get(recording, 0):
                raise DataError(f"{place}: begins at step {begin:,}, which the interval before it covers, too.")
            covered[recording] = last
            if called and cells[label] not in called:
                raise DataError(f"{place}: the label {cells[label]!r}, which {self.names} does not name.")
            yield _Interval(recording, begin - 1, last, called.get(cells[label], cells[label]), place)

    def _called(self, folder: Path) -> dict[str, str]:
        """The names of labels, by what the table calls them."""
        if self.names is None:
            return {}
        lines = (line.split(None, 1) for _, line in read_lines(folder / self.names, self.encoding))
        return {each[0]: each[1].strip() for each in lines if len(each) == 2}

    def _examples(
        self,
        numbers: NDArray[np.generic],
        ends: NDArray[np.generic],
        intervals: Sequence[_Interval],
        groups: Sequence[str] | None,
    ) -> Iterator[Example]:
        for stretch in _stretches(intervals, apart=self.give == "windows"):
            first, last = stretch[0], stretch[-1]
            offset = int(ends[first.recording])
            tags = [each.name for each in stretch for _ in range(each.end - each.begin)]
            more = {} if groups is None else {"group": groups[first.recording]}
            latest = last.end - self.window if self.give == "windows" else last.end - 1
            for begin in range(first.begin, latest + 1, self.stride):
                end = min(begin + self.window, last.end)
                named = (
                    {"label": first.name}
                    if self.give == "windows"
                    else {"tags": tags[begin - first.begin : end - first.begin]}
                )
                place = f"{first.place}, steps {begin + 1:,} to {end:,}"
                yield {"vectors": numbers[offset + begin : offset + end], **named, **more, "place": place}


def _stretches(intervals: Sequence[_Interval], apart: bool) -> Iterator[list[_Interval]]:
    """Intervals one by one, or those together that follow each other without a gap."""
    stretch: list[_Interval] = []
    for each in intervals:
        if stretch and (apart or each.recording != stretch[-1].recording or each.begin != stretch[-1].end):
            yield stretch
            stretch = []
        stretch.append(each)
    if stretch:
        yield stretch


def _whole(cell: str) -> int:
    return int(cell) if cell.isdecimal() and cell.isascii() and len(cell) < 12 else -1
