"""Plain text, as it is or in gzip."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from recurra.data.files import check_encoding, read_head, read_text
from recurra.data.pieces import cut_at_lines, ends_lines, text_of
from recurra.data.sample import Sample
from recurra.registry import part
from recurra.types import Example


@part("reader", "text")
class TextReader:
    """One example a file: its whole text, and its path.

    A byte order mark is left out and `\\r\\n` becomes `\\n`; nothing else is changed. A file in gzip is known by its
    first two bytes, whatever its name. A NUL is refused unless the encoding is latin-1, which takes every byte.
    `trim` leaves out spaces and tabs at both ends of every line, which a model of characters would be asked to predict.

    Raises `DataError` for a file that is missing, empty, a folder, cut off or in another encoding; `ConfigError` for
    an encoding Python does not know.
    """

    recipe = "char-lm"
    fields: ClassVar[Mapping[str, str]] = {"text": "text"}
    sample: ClassVar[Sample] = Sample({"a": "é\nb\n"}, 1)

    def __init__(self, encoding: str = "utf-8", trim: bool = False) -> None:
        self.encoding = check_encoding(encoding)
        self.trim = trim

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The examples `{"text": …, "path": …}`, one a file, in the order given."""
        for path in paths:
            yield {"text": self._trimmed(read_text(Path(path), self.encoding)), "path": str(path)}

    def pieces(self, path: Path, size: int) -> list[tuple[int, int]] | None:
        """Where a plain file is cut, at line ends; None of one in gzip, or in an encoding without such bytes."""
        return cut_at_lines(path, size) if ends_lines(self.encoding) else None

    def read_piece(self, path: Path, begin: int, end: int) -> Iterator[Example]:
        """The text of the bytes from `begin` to before `end`."""
        yield {"text": self._trimmed(text_of(path, begin, end, self.encoding)), "path": str(path)}

    def _trimmed(self, text: str) -> str:
        return "\n".join(line.strip(" \t") for line in text.split("\n")) if self.trim else text

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the file, judged by its first 64 KiB; None if it does not."""
        head = read_head(Path(path), self.encoding)
        if head is None:
            return None
        return f"{self.encoding} text in gzip" if head.packed else f"{self.encoding} text"
