"""Music as lists of the notes that sound at each step."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from recurra.data.files import head_lines, read_text
from recurra.data.notes import HIGHEST, written
from recurra.data.sample import Sample
from recurra.data.sets import PARTS
from recurra.errors import DataError
from recurra.registry import part
from recurra.types import Example

SILENT = -1
"""In the place of a note: a voice that is silent."""


@part("reader", "rolls")
class RollsReader:
    """An example for each piece in JSON files, packed by gzip or not: its `notes`, those that sound at each step, the
    same as `text`, a step a line, and its `place`.

    A file is a list of pieces, or has such lists by part, {"train": […], "valid": […], "test": […]}, of which `part`
    is read, by default all there are. A piece is a list of steps, a step a list of the numbers of its notes (MIDI's:
    60 is C4), empty where it is silent; −1 is a voice that is silent.

    Raises `DataError`, naming piece and step, for what is none.
    """

    recipe = "music"
    fields: ClassVar[Mapping[str, str]] = {"notes": "notes", "text": "text"}
    sample: ClassVar[Sample] = Sample({"a.json": b'{"train": [[[60, 64], []], [[62]]], "test": [[[-1, 60]]]}'}, 3)

    def __init__(self, part: Literal["all", "train", "valid", "test"] = "all") -> None:
        self.part = part

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The pieces of the files, in the order given."""
        for path in map(Path, paths):
            for place, piece in self._pieces(path):
                notes = [_step(step, f"{place}, step {k}") for k, step in enumerate(_list(piece, place, "steps"))]
                yield {"notes": notes, "text": written(notes), "place": place}

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the file; None if it does not begin as lists of lists of numbers do."""
        first = "".join(next(iter(head_lines(Path(path), "utf-8")), "").split())
        for name in PARTS:
            first = first.removeprefix(f'{{"{name}":')
        return "lists of notes, step by step" if first.startswith("[[[") and "text" not in first[:40] else None

    def _pieces(self, path: Path) -> Iterator[tuple[str, Any]]:
        try:
            found = json.loads(read_text(path, "utf-8"))
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}: no JSON ({error}), expected lists of notes. Mend it there.") from error
        parts: Mapping[str, Any] = found if isinstance(found, dict) else {"": found}
        if self.part != "all":
            if self.part not in parts:
                has = ", ".join(map(repr, list(parts)[:5])) if isinstance(found, dict) else "one list"
                raise DataError(f'{path}: no part {self.part!r}, the file has {has}. Set reader.part = "all".')
            parts = {self.part: parts[self.part]}
        for name, pieces in parts.items():
            if name and name not in PARTS:
                raise DataError(f"{path}: a part {name!r}, expected {', '.join(PARTS)}. Leave it out.")
            of = f"{path}, {name}" if name else str(path)
            for k, piece in enumerate(_list(pieces, of, "pieces")):
                yield f"{path}, {name} {k}" if name else f"{path}, piece {k}", piece


def _list(found: Any, place: str, of: str) -> list[Any]:
    if not isinstance(found, list):
        raise DataError(f"{place}: {json.dumps(found)[:40]}, expected a list of {of}: [[60, 64], [], [62]].")
    return found


def _step(found: Any, place: str) -> list[int]:
    notes = []
    for note in _list(found, place, "notes"):
        if isinstance(note, bool) or not isinstance(note, int) or not SILENT <= note <= HIGHEST:
            raise DataError(f"{place}: {json.dumps(note)[:40]} is no note, expected 0 to {HIGHEST}, or −1 for silence.")
        if note != SILENT:
            notes.append(note)
    return sorted({*notes})
