"""Folders of recordings, `name.wav`, each with a text of what was said in it, `name.txt`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Literal

from recurra.data.files import check_encoding, read_text
from recurra.data.recordings import TONE, check_folder, recordings_in, said_of, spoken
from recurra.data.sample import Sample
from recurra.data.sound import read_sound
from recurra.errors import DataError
from recurra.registry import part
from recurra.types import Example


@part("reader", "sound-texts")
class SoundTextsReader:
    """An example for each recording in a folder and those in it: its `sound`, its `transcript`, the text in the file of
    the same name that ends in `.txt`, its `place`.

    With `speaker` "folder" the folder that a recording lies in is called like who spoke: its `speaker` and `group`.

    Raises `DataError` for a recording without a text, and for a folder without recordings.
    """

    recipe = "transcribe"
    fields: ClassVar[Mapping[str, str]] = {"sound": "sound", "transcript": "text"}
    sample: ClassVar[Sample] = Sample(
        {"a.txt": "zéro\n", "b.txt": "one\n"}, 2, folder=True, beside={"a.wav": TONE, "b.wav": TONE}
    )

    def __init__(self, encoding: str = "utf-8", speaker: Literal["none", "folder"] = "none") -> None:
        self.encoding, self.speaker = check_encoding(encoding), speaker

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The recordings of the folders, in the order of their names."""
        for folder in map(Path, paths):
            files = recordings_in(check_folder(folder, "recordings, and a text beside each"))
            if not files:
                raise DataError(f"{folder}: no recording in it, expected name.wav and name.txt. Name another folder.")
            for file in files:
                text = file.with_suffix(".txt")
                if not text.is_file():
                    raise DataError(
                        f"{file}: no {text.name} beside it, which says what was said. Write it, or leave it out."
                    )
                said = " ".join(read_text(text, self.encoding).split())
                speaker = file.parent.name if self.speaker == "folder" else None
                yield spoken(read_sound(file), f"{text}:1", said_of(speaker, transcript=said))

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the path; None where it is no folder with a recording and its text."""
        files = recordings_in(Path(path)) if Path(path).is_dir() else []
        return "recordings with a text beside each" if files and files[0].with_suffix(".txt").is_file() else None
