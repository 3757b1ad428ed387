"""Recordings in a folder for each class."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from recurra.data.recordings import TONE, check_folder, recordings_in, said_of, spoken
from recurra.data.sample import Sample
from recurra.data.sound import read_sound
from recurra.errors import ConfigError, DataError
from recurra.registry import part
from recurra.types import Example


@part("reader", "sound-folders")
class SoundFoldersReader:
    """An example for each recording in the folders of a folder: its `sound`, its `label`, the name of the folder, its
    `speaker`, who is also its `group`, its `place`. Folders whose names begin with `_` or `.` are left out.

    `speaker` is a regular expression with one group, which is searched in the name of each file: `^(.+)_nohash` of the
    Speech Commands.

    Raises ConfigError for an expression that is none, `DataError` for a folder without folders of recordings, and for a
    name without a speaker.
    """

    recipe = "spoken-digits"
    fields: ClassVar[Mapping[str, str]] = {"sound": "sound", "label": "label"}
    sample: ClassVar[Sample] = Sample({"no/a.wav": TONE, "yes/a.wav": TONE, "yes/b.wav": TONE}, 3, folder=True)

    def __init__(self, speaker: str | None = None) -> None:
        try:
            self.speaker = None if speaker is None else re.compile(speaker)
        except re.error as error:
            raise ConfigError(f"reader.speaker = {speaker!r} is no regular expression ({error}).") from error
        if self.speaker is not None and self.speaker.groups != 1:
            raise ConfigError(f"reader.speaker = {speaker!r}, expected one group in parentheses, the speaker's name.")

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The recordings of the folders, class by class, in the order of their names."""
        for folder in map(Path, paths):
            found = [
                (label, file)
                for label in _classes(check_folder(folder, "a folder for each class"))
                for file in recordings_in(folder / label)
            ]
            if not found:
                raise DataError(
                    f"{folder}: no folder with recordings in it, expected one for each class. Name another."
                )
            for label, file in found:
                yield spoken(read_sound(file), str(file), said_of(self._speaker(file), label=label))

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the path; None where it is no folder of two folders and more with recordings."""
        path = Path(path)
        folders = [name for name in _classes(path) if recordings_in(path / name)] if path.is_dir() else []
        return "a folder of recordings for each class" if len(folders) > 1 else None

    def _speaker(self, file: Path) -> str | None:
        if self.speaker is None:
            return None
        match = self.speaker.search(file.name)
        if match is None:
            raise DataError(f"{file}: reader.speaker = {self.speaker.pattern!r} finds nobody in its name. Change it.")
        return match[1]


def _classes(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir() if each.is_dir() and each.name[0] not in "._")
