"""Music in ABC notation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from recurra.data.abc import tunes_in
from recurra.data.files import check_encoding, head_lines, read_text
from recurra.data.notes import written
from recurra.data.sample import Sample
from recurra.errors import ConfigError
from recurra.registry import part
from recurra.types import Example


@part("reader", "abc")
class AbcReader:
    """An example for each tune in files of ABC notation: its `notes`, those that sound at each step, `steps` to a
    quarter, the same as `text`, a step a line, and its `place`.

    What of the notation is heeded says `recurra.data.abc.tunes_in`. Raises `DataError`, naming the line, for what is
    none of it.
    """

    recipe = "music"
    fields: ClassVar[Mapping[str, str]] = {"notes": "notes", "text": "text"}
    sample: ClassVar[Sample] = Sample({"a.abc": "X:1\nT:Für Elise\nM:3/8\nL:1/16\nK:Am\ne^d|e^deB=dc|A2 z4|]\n"}, 1)

    def __init__(self, steps: int = 4, encoding: str = "utf-8") -> None:
        if not 1 <= steps <= 96:
            raise ConfigError(f"reader.steps = {steps}, expected 1 to 96 steps to a quarter.")
        self.steps, self.encoding = steps, check_encoding(encoding)

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The tunes of the files, in the order given."""
        for path in map(Path, paths):
            for place, notes in tunes_in(read_text(path, self.encoding), str(path), self.steps):
                yield {"notes": notes, "text": written(notes), "place": place}

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the file; None where no tune begins in its first lines."""
        path = Path(path)
        if path.is_dir():
            return None
        lines = head_lines(path, self.encoding)
        begins = any(line.startswith("X:") for line in lines) and any(line.startswith("K:") for line in lines)
        return "tunes in ABC notation" if begins else None
