"""A sentence in each line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from recurra.data.files import check_encoding, head_lines, read_lines, some
from recurra.data.sample import Sample
from recurra.registry import part
from recurra.types import Example


@part("reader", "lines")
class LinesReader:
    """One example a line: its `text`, without white space around it, and its `place`. Blank lines are left out.

    Raises `DataError` for a file without any other line, and as `recurra.data.files.read_text` does.
    """

    recipe = "fill"
    fields: ClassVar[Mapping[str, str]] = {"text": "text"}
    sample: ClassVar[Sample] = Sample({"a": "é b\n\n c \n"}, 2)

    def __init__(self, encoding: str = "utf-8") -> None:
        self.encoding = check_encoding(encoding)

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The lines of the files, in the order given."""
        for path in map(Path, paths):
            yield from some(self._examples(path), path, "lines of text")

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the file: it takes any text; None for what is none."""
        lines = [line for line in head_lines(Path(path), self.encoding) if line.strip()]
        return "lines of text" if lines else None

    def _examples(self, path: Path) -> Iterator[Example]:
        for number, line in read_lines(path, self.encoding):
            text = line.strip()
            if text:
                yield {"text": text, "place": f"{path}:{number}"}
