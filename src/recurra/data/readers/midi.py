"""Music in MIDI files, or folders of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from recurra.data.files import read_bytes, read_start, some
from recurra.data.midi import HEAD, steps_in
from recurra.data.notes import written
from recurra.data.sample import Sample
from recurra.errors import ConfigError
from recurra.registry import part
from recurra.types import Example

ENDINGS = (".mid", ".midi")


@part("reader", "midi")
class MidiReader:
    """An example for each MIDI file: its `notes`, those that sound at each step, `steps` to a quarter, the same as
    `text`, a step a line, and its `place`. All tracks are read together, drums left out; a folder is all files in it
    that end in .mid or .midi, by name.

    Raises `DataError` for what is no such file, and `ConfigError` where the package mido is missing (extra `music`).
    """

    recipe = "music"
    fields: ClassVar[Mapping[str, str]] = {"notes": "notes", "text": "text"}
    sample: ClassVar[Sample] = Sample(
        {
            "a.mid": bytes.fromhex(
                "4d546864000000060000000101e0"  # type 0, one track, 480 ticks a quarter
                "4d54726b00000015"
                "00903c50"
                "00904050"
                "8360803c00"
                "0080400000ff2f00"
            )
        },
        1,
    )

    def __init__(self, steps: int = 4) -> None:
        if not 1 <= steps <= 96:
            raise ConfigError(f"reader.steps = {steps}, expected 1 to 96 steps to a quarter.")
        self.steps = steps

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The pieces of the files, in the order given."""
        for path in map(Path, paths):
            if path.is_dir():
                names = sorted(each for each in path.iterdir() if each.suffix.lower() in ENDINGS)
                yield from some(map(self._piece, names), path, "files of music (.mid)")
            else:
                yield self._piece(path)

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the path; None where it is no MIDI file, nor a folder of them."""
        path = Path(path)
        if path.is_dir():
            return "a folder of MIDI files" if any(each.suffix.lower() in ENDINGS for each in path.iterdir()) else None
        return "a MIDI file" if read_start(path, len(HEAD)).startswith(HEAD) else None

    def _piece(self, path: Path) -> Example:
        notes = steps_in(read_bytes(path), str(path), self.steps)
        return {"notes": notes, "text": written(notes), "place": str(path)}
