"""Recordings that a table, a manifest or a folder names: where they lie, and what is said of each."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recurra.data.files import did_you_mean_in, shortened
from recurra.data.sound import ENDINGS, Sound, read_sound
from recurra.data.wav import written
from recurra.errors import DataError
from recurra.types import Example

PLACES = ("", "clips", "wavs", "wav", "recordings", "audio", "data")
"""Folders beside a table that its recordings are looked for in, where the settings name none."""
TONE = written((3000 * np.sin(np.arange(400) / 5)).astype(np.int16), 8_000)
"""A small recording, for samples of formats."""


def below(folder: Path, name: str, place: str) -> Path:
    """The file called `name` in a folder. Raises `DataError` for a name that leads out of it: a table may come from
    anywhere, and is not to say which files of this machine are opened."""
    path = Path(os.path.normpath(folder / name))
    if not name.strip() or "\0" in name or not path.is_relative_to(Path(os.path.normpath(folder))):
        raise DataError(
            f"{place}: the recording {shortened(name)} does not lie in {folder}. Name a folder that holds all "
            "recordings: --set reader.folder=FOLDER"
        )
    return path


def folder_of(table: Path, wanted: str, first: str, place: str) -> Path:
    """The folder that the recordings of a table lie in: as the settings say, "auto" the table's own or one of `PLACES`
    in it, where the first of them is."""
    if wanted != "auto":
        return table.parent / wanted
    for name in PLACES:
        folder = table.parent / name
        if below(folder, first, place).is_file():
            return folder
    return table.parent


def sound_at(path: Path, place: str, offset: float = 0.0, duration: float | None = None) -> Sound:
    """A recording, or a piece of it in seconds. Raises `DataError`, with the place that names it, where it is not
    there."""
    if not path.is_file():
        raise DataError(
            f"{place}: no recording {path}{did_you_mean_in(path)} Copy it there, or say where recordings lie: --set "
            "reader.folder=FOLDER"
        )
    return read_sound(path, offset, duration)


def recordings_in(folder: Path) -> list[Path]:
    """The recordings in a folder and those in it, in the order of their names; hidden ones are left out."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS and not path.name.startswith("."))
    return sorted(path for path in found if path.is_file())


def check_folder(path: Path, expected: str) -> Path:
    """Raise `DataError` for what is no folder."""
    if not path.is_dir():
        kind = "a file" if path.exists() else "no such folder"
        raise DataError(f"{path}: {kind}, expected a folder with {expected}. Name it.")
    return path


def said_of(speaker: str | None = None, **fields: Any) -> dict[str, Any]:
    """Fields of an example, those left out that are None; a speaker is its group, too, which is never cut in two."""
    found = {name: value for name, value in fields.items() if value is not None}
    return found if not speaker else {**found, "speaker": speaker, "group": speaker}


def seconds_in(value: Any, place: str, name: str) -> float | None:
    """A number of seconds as a table has it; None where there is none. Raises `DataError` for anything else."""
    if value is None or value == "":
        return None
    try:
        if isinstance(value, bool):
            raise ValueError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{place}: {name} is {shortened(str(value))}, expected seconds. Mend this line.") from None


def parted(lines: Sequence[tuple[int, str]], path: Path, expected: str) -> Iterator[tuple[str, str, str]]:
    """Of lines of a name and what follows: the place, the name, the rest. Raises `DataError` for a line without a
    rest, and for a name that is there twice."""
    seen: set[str] = set()
    for number, line in lines:
        name, _, rest = line.strip().partition(" ")
        if not line.strip():
            continue
        if "\t" in name:
            name, _, rest = line.strip().partition("\t")
        place = f"{path}:{number}"
        if not rest.strip():
            raise DataError(f"{place}: {shortened(line)}, expected {expected}. Mend this line.")
        if name in seen:
            raise DataError(f"{place}: {shortened(name)} is there twice, expected a name once. Leave one out.")
        seen.add(name)
        yield place, name, rest.strip()


def spoken(sound: Sound, place: str, said: dict[str, Any]) -> Example:
    """An example."""
    return {"sound": sound, **said, "place": place}
