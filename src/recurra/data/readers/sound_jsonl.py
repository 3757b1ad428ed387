"""Recordings named in a manifest: a JSON object a line, as NeMo and others have it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from recurra.data.files import check_encoding, head_lines, read_lines, some
from recurra.data.readers.jsonl import json_object
from recurra.data.recordings import TONE, below, folder_of, said_of, seconds_in, sound_at, spoken
from recurra.data.sample import Sample
from recurra.errors import DataError
from recurra.registry import part
from recurra.types import Example

LIKE = '{"audio_filepath": "a.wav", "text": "yes"}'


@part("reader", "sound-jsonl")
class SoundJsonLinesReader:
    """An example for each line, a JSON object: the `sound` in the file that `audio_filepath` names, from `offset` on
    for `duration` seconds where they are said, its `transcript` (the key `text`), its `label`, its `speaker`, who is
    also its `group`, its `place`.

    The settings say what the keys are called. The recordings lie below `folder`, as seen from the manifest; "auto":
    beside it, or in `clips`, `wavs` or the like. A path that leads elsewhere is refused: `reader.folder=/` takes any.

    Raises `DataError` for a line that is no such object, and for a recording that is missing or lies elsewhere.
    """

    recipe = "transcribe"
    fields: ClassVar[Mapping[str, str]] = {"sound": "sound", "transcript": "text", "label": "label"}
    sample: ClassVar[Sample] = Sample(
        {
            "a.jsonl": '{"audio_filepath": "a.wav", "text": "zéro", "speaker": "a"}\n'
            '{"audio_filepath": "a.wav", "offset": 0.01, "duration": 0.03, "text": "b"}\n'
        },
        2,
        beside={"a.wav": TONE},
    )

    def __init__(
        self,
        encoding: str = "utf-8",
        file: str = "audio_filepath",
        text: str = "text",
        label: str = "label",
        speaker: str = "speaker",
        folder: str = "auto",
    ) -> None:
        self.encoding, self.folder = check_encoding(encoding), folder
        self.file, self.text, self.label, self.speaker = file, text, label, speaker

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The lines of the manifests, in the order given."""
        for path in map(Path, paths):
            yield from some(self._examples(path), path, "a JSON object for each recording")

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the file; None where its first line is no object that names a recording."""
        first = next((line for line in head_lines(Path(path), self.encoding) if line.strip()), "")
        named = first.lstrip().startswith("{") and f'"{self.file}"' in first
        return f"a manifest of recordings ({self.file})" if named else None

    def _examples(self, manifest: Path) -> Iterator[Example]:
        folder = None
        for number, line in read_lines(manifest, self.encoding):
            if not line.strip():
                continue
            place = f"{manifest}:{number}"
            found = json_object(line, place, LIKE)
            name = self._string(found, self.file, place)
            if name is None:
                raise DataError(
                    f"{place}: no key {self.file!r}, found {', '.join(map(repr, list(found)[:8])) or 'none'}. Say "
                    "which names the recording: --set reader.kind=sound-jsonl --set reader.file=KEY"
                )
            folder = folder or folder_of(manifest, self.folder, name, place)
            offset, duration = (seconds_in(found.get(key), place, key) for key in ("offset", "duration"))
            piece = duration if found.get("offset") is not None else None  # else it is that of the whole file
            sound = sound_at(below(folder, name, place), place, offset or 0.0, piece)
            yield spoken(sound, place, self._said(found, place))

    def _said(self, found: Mapping[str, Any], place: str) -> dict[str, Any]:
        label = self._string(found, self.label, place)
        return said_of(
            self._string(found, self.speaker, place), transcript=self._string(found, self.text, place), label=label
        )

    def _string(self, found: Mapping[str, Any], key: str, place: str) -> str | None:
        value = found.get(key)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, int):
            return str(value)
        raise DataError(f"{place}: {key!r} is no string, expected one like {LIKE}. Mend this line.")
