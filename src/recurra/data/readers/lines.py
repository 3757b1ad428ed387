"""A sentence in each line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from recurra.data.files import check_encoding, head_lines, read_lines, some
from recurra.data.pieces import cut_at_lines, ends_lines, lines_of, named
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
            lines = read_lines(path, self.encoding)
            yield from some(self._examples(lines, str(path)), path, "lines of text")

    def pieces(self, path: Path, size: int) -> list[tuple[int, int]] | None:
        """Where a plain file is cut, at line ends; None of one in gzip, or in an encoding without such bytes."""
        return cut_at_lines(path, size) if ends_lines(self.encoding) else None

    def read_piece(self, path: Path, begin: int, end: int) -> Iterator[Example]:
        """The examples in the lines of the bytes from `begin` to before `end`."""
        return self._examples(lines_of(path, begin, end, self.encoding), named(path, begin))

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the file: it takes any text; None for what is none."""
        lines = [line for line in head_lines(Path(path), self.encoding) if line.strip()]
        return "lines of text" if lines else None

    def _examples(self, lines: Iterable[tuple[int, str]], name: str) -> Iterator[Example]:
        for number, line in lines:
            text = line.strip()
            if text:
                yield {"text": text, "place": f"{name}:{number}"}
