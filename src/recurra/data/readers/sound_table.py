"""Recordings named in a table, with what was said in them, what they are called or who spoke."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from recurra.data.files import check_encoding, counted, head_lines, read_text, shortened, some
from recurra.data.recordings import TONE, below, folder_of, said_of, seconds_in, sound_at, spoken
from recurra.data.sample import Sample
from recurra.errors import DataError, did_you_mean
from recurra.registry import part
from recurra.types import Example

FILES = ("file", "path", "file_name", "filename", "audio_filepath", "audio", "wav", "recording")
"""What the column of recordings is called, where the settings do not say, in any case; and so on."""
TRANSCRIPTS = ("transcript", "sentence", "text", "transcription", "normalized_text", "normalised")
LABELS = ("label", "class", "category")
SPEAKERS = ("speaker", "speaker_id", "client_id")
TABLES = ("metadata.csv", "metadata.tsv", "index.csv", "index.tsv")
"""Tables that are looked for in a folder."""


@part("reader", "sound-table")
class SoundTableReader:
    """An example for each row of a table with a header, CSV or TSV: the `sound` in the file that it names, its
    `transcript`, its `label`, its `speaker`, who is also its `group`, its `split`, its `place`.

    `file`, `transcript`, `label` and `speaker` are columns; "auto": the first that is called so (`FILES`, …), if there
    is one. Columns called `offset` and `duration` say which piece of the file is meant, in seconds, one called `split`
    which part a row belongs to. The recordings lie below `folder`, as seen from the table; "auto": beside it, or in
    `clips`, `wavs` or the like. A folder may be named that holds the table as metadata.csv or index.csv. So are read
    Common Voice (`path`, `sentence`, `client_id`), `metadata.csv` with `file,text`, and tables of labels.

    Raises `DataError` for columns that are not there, rows of other length, recordings that are missing or lie
    elsewhere.
    """

    recipe = "spoken-digits"
    fields: ClassVar[Mapping[str, str]] = {"sound": "sound", "transcript": "text", "label": "label"}
    sample: ClassVar[Sample] = Sample(
        {"a.csv": "file,text,label\na.wav,zéro,x\na.wav,b,y\n"}, 2, beside={"a.wav": TONE}
    )

    def __init__(
        self,
        encoding: str = "utf-8",
        file: str = "auto",
        transcript: str = "auto",
        label: str = "auto",
        speaker: str = "auto",
        folder: str = "auto",
    ) -> None:
        self.encoding = check_encoding(encoding)
        self.columns = {"file": file, "transcript": transcript, "label": label, "speaker": speaker}
        self.folder = folder

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The rows of the tables, in the order given."""
        for path in map(Path, paths):
            table = self._table(path) if path.is_dir() else path
            yield from some(self._examples(table), table, "a row for each recording")

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the path; None where no header names recordings, and what is said of them."""
        path = Path(path)
        if path.is_dir():
            tables = [path / name for name in TABLES if (path / name).is_file()]
            return self.sniff(tables[0]) if tables else None
        first = next((line for line in head_lines(path, self.encoding) if line.strip()), "")
        try:
            names = next(_cells(first), (0, []))[1]
        except csv.Error:
            return None
        found = self._found(names)
        said = [name for name in ("transcript", "label") if name in found]
        return f"a table of recordings with the {said[0]} of each" if "file" in found and said else None

    def _table(self, folder: Path) -> Path:
        found = next((folder / name for name in TABLES if (folder / name).is_file()), None)
        if found is None:
            raise DataError(f"{folder}: no table in this folder, expected {' or '.join(TABLES)}. Name the file.")
        return found

    def _found(self, names: Sequence[str]) -> dict[str, int]:
        """The columns that are there."""
        lower = [name.lower() for name in names]
        usual = {"file": FILES, "transcript": TRANSCRIPTS, "label": LABELS, "speaker": SPEAKERS}
        found: dict[str, int] = {}
        for what, wanted in self.columns.items():
            known = [wanted] if wanted != "auto" else usual[what]
            among = names if wanted != "auto" else lower
            place = next((among.index(name) for name in known if name in among), None)
            if place is not None:
                found[what] = place
        own = (name for name in ("offset", "duration", "split") if name in lower)
        return found | {name: lower.index(name) for name in own}

    def _examples(self, table: Path) -> Iterator[Example]:
        rows = [(number, row) for number, row in _rows(read_text(table, self.encoding), table) if any(row)]
        if not rows:
            return
        (line, names), *rest = rows
        names = [name.strip() for name in names]
        columns = self._checked(names, f"{table}:{line}")
        folder = None
        for number, row in rest:
            place = f"{table}:{number}"
            if len(row) != len(names):
                raise DataError(
                    f"{place}: {counted(len(row), 'cell')}, expected {len(names)} as in the first line. Is there a "
                    "separator inside a cell, or one missing?"
                )
            cells = {name: row[column].strip() for name, column in columns.items()}
            folder = folder or folder_of(table, self.folder, cells["file"], place)
            path = below(folder, cells["file"], place)
            offset, duration = (seconds_in(cells.get(name), place, name) for name in ("offset", "duration"))
            yield spoken(sound_at(path, place, offset or 0.0, duration), place, self._said(cells, place))

    def _checked(self, names: list[str], place: str) -> dict[str, int]:
        columns = self._found(names)
        for what, wanted in self.columns.items():
            if wanted != "auto" and what not in columns:
                raise DataError(
                    f"{place}: no column {wanted!r} (reader.{what}){did_you_mean(wanted, names)} The columns are "
                    f"{', '.join(map(shortened, names[:12]))}."
                )
        if "file" not in columns:
            raise DataError(
                f"{place}: no column names recordings, found {', '.join(map(shortened, names[:12]))}. Say which: --set "
                "reader.kind=sound-table --set reader.file=COLUMN"
            )
        return columns

    def _said(self, cells: Mapping[str, str], place: str) -> dict[str, Any]:
        if cells.get("label") == "":
            raise DataError(f"{place}: no label, expected one. Write one there, or leave the row out.")
        fields = {name: cells[name] for name in ("transcript", "label") if name in cells}
        return said_of(cells.get("speaker"), **fields, split=cells.get("split") or None)


def _rows(text: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows of a table and the lines that they begin in."""
    try:
        yield from _cells(text)
    except csv.Error as error:
        raise DataError(f"{path}: no readable table ({error}). Mend it there.") from error


def _cells(text: str) -> Iterator[tuple[int, list[str]]]:
    first = text.partition("\n")[0]
    separator = next((mark for mark in ("\t", ";", ",") if mark in first), ",")
    lines = io.StringIO(text, newline="")
    if separator == "\t":
        reader = csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(lines, delimiter=separator, strict=True)
    before = 0
    for row in reader:
        yield before + 1, row
        before = reader.line_num
