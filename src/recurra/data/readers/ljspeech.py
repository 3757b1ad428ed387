"""Recordings in `wavs/`, and a line for each in `metadata.csv`: `id|text|normalised text`, as LJSpeech has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Literal

from recurra.data.files import check_encoding, counted, head_lines, nearly_all, read_lines, some
from recurra.data.recordings import TONE, below, folder_of, said_of, sound_at, spoken
from recurra.data.sample import Sample
from recurra.data.sound import ENDINGS
from recurra.errors import DataError
from recurra.registry import part
from recurra.types import Example

TABLE = "metadata.csv"


@part("reader", "ljspeech")
class LjSpeechReader:
    """An example for each line `id|text|normalised text` of a table without a header: the `sound` in the file `id.wav`,
    its `transcript`, its `id`, its `place`.

    `text` says which is the transcript: "normalised" has numbers and abbreviations written out, "plain" the text as it
    is; of a line without the third cell both are the second. The recordings lie below `folder`, as seen from the table;
    "auto": in `wavs`, or beside it. A folder may be named that holds the table as metadata.csv.

    Raises `DataError` for a line of other cells, and for a recording that is missing.
    """

    recipe = "transcribe"
    fields: ClassVar[Mapping[str, str]] = {"sound": "sound", "transcript": "text"}
    sample: ClassVar[Sample] = Sample(
        {"metadata.csv": "a|Nº 1|number öne\nb|b|b\n"}, 2, beside={"wavs/a.wav": TONE, "wavs/b.wav": TONE}
    )

    def __init__(
        self, encoding: str = "utf-8", text: Literal["normalised", "plain"] = "normalised", folder: str = "auto"
    ) -> None:
        self.encoding, self.text, self.folder = check_encoding(encoding), text, folder

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The lines of the tables, in the order given."""
        for path in map(Path, paths):
            table = path / TABLE if path.is_dir() else path
            yield from some(self._examples(table), table, "lines of id|text|normalised text")

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the path; None where lines are not parted so, or `wavs` is not beside them."""
        path = Path(path)
        table = path / TABLE if path.is_dir() else path
        lines = [line for line in head_lines(table, self.encoding) if line.strip()]
        parted = nearly_all(line.count("|") in (1, 2) for line in lines)
        return "lines of id|text beside a folder wavs" if parted and (table.parent / "wavs").is_dir() else None

    def _examples(self, table: Path) -> Iterator[Example]:
        folder = None
        for number, line in read_lines(table, self.encoding):
            if not line.strip():
                continue
            place, cells = f"{table}:{number}", [cell.strip() for cell in line.split("|")]
            if len(cells) not in (2, 3):
                raise DataError(f"{place}: {counted(len(cells), 'cell')} parted by |, expected 2 or 3. Mend this line.")
            folder = folder or folder_of(table, self.folder, f"{cells[0]}.wav", place)
            files = [below(folder, f"{cells[0]}{ending}", place) for ending in ENDINGS]
            path = next((file for file in files if file.is_file()), files[0])
            text = cells[-1] if self.text == "normalised" else cells[1]
            yield spoken(sound_at(path, place), place, said_of(transcript=text, id=cells[0]))
