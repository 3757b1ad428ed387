"""Folders as LibriSpeech has them: recordings of a chapter beside a file of what was said, `*.trans.txt`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from recurra.data.files import check_encoding, read_lines
from recurra.data.recordings import TONE, below, check_folder, parted, said_of, sound_at, spoken
from recurra.data.sample import Sample
from recurra.data.sound import ENDINGS
from recurra.errors import DataError
from recurra.registry import part
from recurra.types import Example

ENDS = ".trans.txt"


@part("reader", "librispeech")
class LibriSpeechReader:
    """An example for each line `speaker-chapter-number WHAT WAS SAID` of the files `*.trans.txt` in a folder and those
    in it: the `sound` in the file of that name beside it (.flac, .wav, …), its `transcript`, its `id`, its `speaker`,
    what stands before the first hyphen, who is also its `group`, its `place`.

    Raises `DataError` for a folder without such a file, a line without a text, a recording that is missing.
    """

    recipe = "transcribe"
    fields: ClassVar[Mapping[str, str]] = {"sound": "sound", "transcript": "text"}
    sample: ClassVar[Sample] = Sample(
        {"5/7/5-7.trans.txt": "5-7-0 ZÉRO\n5-7-1 ONE TWO\n"},
        2,
        folder=True,
        beside={"5/7/5-7-0.wav": TONE, "5/7/5-7-1.wav": TONE},
    )

    def __init__(self, encoding: str = "utf-8") -> None:
        self.encoding = check_encoding(encoding)

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The recordings of the folders, in the order of their names."""
        for folder in map(Path, paths):
            files = sorted(check_folder(folder, f"files *{ENDS}").rglob(f"*{ENDS}"))
            if not files:
                raise DataError(f"{folder}: no file *{ENDS} in it, expected one beside recordings. Name another.")
            for file in files:
                yield from self._examples(file)

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the path; None where it is no folder with such a file in it."""
        found = Path(path).is_dir() and next(Path(path).rglob(f"*{ENDS}"), None) is not None
        return f"a folder with *{ENDS} beside recordings" if found else None

    def _examples(self, path: Path) -> Iterator[Example]:
        lines = list(read_lines(path, self.encoding))
        for place, name, text in parted(lines, path, "a recording's name, a space and what was said"):
            files = [below(path.parent, f"{name}{ending}", place) for ending in (".flac", *ENDINGS)]
            found = next((file for file in files if file.is_file()), files[0])
            speaker = name.partition("-")[0]
            yield spoken(sound_at(found, place), place, said_of(speaker, transcript=text, id=name))
