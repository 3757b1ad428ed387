"""Folders as Kaldi has them: `wav.scp`, `text`, `segments` and `utt2spk`. No command in them is ever run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, NamedTuple

from recurra.data.files import check_encoding, read_lines, shortened
from recurra.data.recordings import TONE, below, check_folder, parted, said_of, seconds_in, sound_at, spoken
from recurra.data.sample import Sample
from recurra.errors import DataError
from recurra.registry import part
from recurra.types import Example

RECORDINGS, TEXT, SEGMENTS, SPEAKERS = "wav.scp", "text", "segments", "utt2spk"


class _Piece(NamedTuple):
    """An utterance: its recording, where it begins in it, and how long it is."""

    recording: str
    offset: float
    duration: float | None
    place: str


@part("reader", "kaldi")
class KaldiReader:
    """An example for each utterance of a folder: its `sound`, its `transcript`, its `id`, its `speaker`, who is also
    its `group`, its `place`, the line of `text`.

    `wav.scp` names the file of each recording, `text` says what was said in each utterance, `segments`, where it is
    there, which piece of which recording an utterance is (without it each is a recording), `utt2spk`, where it is
    there, who spoke. The files lie below `folder`, as seen from the folder itself; an absolute path is taken where it
    does. A command in `wav.scp` (`… |`) is refused, never run, and so is a place in an archive (`….ark:17`).

    Raises `DataError`, with file and line, for what does not fit together.
    """

    recipe = "transcribe"
    fields: ClassVar[Mapping[str, str]] = {"sound": "sound", "transcript": "text"}
    sample: ClassVar[Sample] = Sample(
        {
            RECORDINGS: "r ä.wav\n",
            TEXT: "u1 zéro\nu2 one two\n",
            SEGMENTS: "u1 r 0 0.02\nu2 r 0.02 0.05\n",
            SPEAKERS: "u1 ann\nu2 bob\n",
        },
        2,
        folder=True,
        beside={"ä.wav": TONE, "é.wav": TONE},
    )

    def __init__(self, encoding: str = "utf-8", folder: str = ".") -> None:
        self.encoding, self.folder = check_encoding(encoding), folder

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The utterances of the folders, in the order of their texts."""
        for folder in map(Path, paths):
            yield from self._examples(check_folder(folder, f"{RECORDINGS} and {TEXT}"))

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the path; None where it is no folder with recordings and texts."""
        there = all((Path(path) / name).is_file() for name in (RECORDINGS, TEXT))
        return f"a folder with {RECORDINGS} and {TEXT}" if there else None

    def _examples(self, folder: Path) -> Iterator[Example]:
        files = {
            name: (place, self._path(folder, rest, place)) for place, name, rest in self._lines(folder, RECORDINGS)
        }
        pieces = {name: _Piece(name, 0.0, None, place) for name, (place, _) in files.items()}
        if (folder / SEGMENTS).is_file():
            pieces = {name: _piece(rest, place) for place, name, rest in self._lines(folder, SEGMENTS)}
        speakers: dict[str, str] = {}
        if (folder / SPEAKERS).is_file():
            speakers = {name: rest for _, name, rest in self._lines(folder, SPEAKERS)}
        for place, name, text in self._lines(folder, TEXT):
            piece = pieces.get(name)
            if piece is None:
                raise DataError(f"{place}: no utterance {shortened(name)} in {SEGMENTS} or {RECORDINGS}. Leave it out.")
            if piece.recording not in files:
                raise DataError(f"{piece.place}: no recording {shortened(piece.recording)} in {RECORDINGS}. Add it.")
            _, path = files[piece.recording]
            sound = sound_at(path, place, piece.offset, piece.duration)
            yield spoken(sound, place, said_of(speakers.get(name), transcript=text, id=name))

    def _lines(self, folder: Path, name: str) -> Iterator[tuple[str, str, str]]:
        path = folder / name
        expected = "a name, a space and what belongs to it"
        return parted(list(read_lines(path, self.encoding)), path, expected)

    def _path(self, folder: Path, named: str, place: str) -> Path:
        if named.endswith("|") or named.startswith("|"):
            raise DataError(
                f"{place}: a command, {shortened(named)}, expected a file: commands of data are never run. Write what "
                "it makes into a file, and name that."
            )
        return below(folder / self.folder, named, place)


def _piece(rest: str, place: str) -> _Piece:
    cells = rest.split()
    if len(cells) != 3:
        raise DataError(f"{place}: {len(cells)} cells behind the name, expected recording, begin, end. Mend this line.")
    begin, end = (seconds_in(cell, place, name) or 0.0 for cell, name in zip(cells[1:], ("begin", "end"), strict=True))
    if end < 0:  # as some write what goes to the end
        return _Piece(cells[0], begin, None, place)
    if not 0 <= begin <= end:
        raise DataError(f"{place}: from {cells[1]} to {cells[2]} seconds, expected 0 ≤ begin ≤ end. Mend this line.")
    return _Piece(cells[0], begin, end - begin, place)
