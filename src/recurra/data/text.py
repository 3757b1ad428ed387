"""Plain text, as it is or in gzip."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator, Mapping
from encodings.aliases import aliases
from pathlib import Path
from typing import ClassVar

from recurra.errors import ConfigError, DataError, did_you_mean
from recurra.registry import part
from recurra.types import Example

GZIP = b"\x1f\x8b"
SNIFFED = 1 << 16  # bytes


@part("reader", "text")
class TextReader:
    """One example a file: its whole text, and its path.

    A byte order mark is left out and `\\r\\n` becomes `\\n`; nothing else is changed. A file in gzip is known by its
    first two bytes, whatever its name. A NUL is refused unless the encoding is latin-1, which takes every byte.

    Raises `DataError` for a file that is missing, empty, a folder, cut off or in another encoding; `ConfigError` for
    an encoding Python does not know.
    """

    fields: ClassVar[Mapping[str, str]] = {"text": "text"}

    def __init__(self, encoding: str = "utf-8") -> None:
        try:
            b" ".decode(encoding, errors="replace")
        except (LookupError, ValueError) as error:
            raise ConfigError(
                f"reader.encoding = {encoding!r} is no text encoding Python knows"
                f"{did_you_mean(encoding, {*aliases, *aliases.values()})} Common ones: utf-8, utf-16, latin-1, gb18030."
            ) from error
        self.encoding = encoding
        self.any_byte = codecs.lookup(encoding).name == "iso8859-1"

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The examples `{"text": …, "path": …}`, one a file, in the order given."""
        for path in paths:
            yield {"text": self._text(Path(path)), "path": str(path)}

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the file, judged by its first 64 KiB; None if it does not."""
        path = Path(path)
        try:
            with path.open("rb") as file:
                head = file.read(SNIFFED)
            packed = head.startswith(GZIP)
            if packed:
                with gzip.open(path) as unpacked:
                    head = unpacked.read(SNIFFED)
            text = codecs.getincrementaldecoder(self.encoding)().decode(head)
        except (OSError, EOFError, zlib.error, UnicodeError):
            return None
        if not text or ("\0" in text and not self.any_byte):
            return None
        return f"{self.encoding} text in gzip" if packed else f"{self.encoding} text"

    def _text(self, path: Path) -> str:
        raw = _unpacked(path, _bytes(path))
        try:
            text = raw.decode(self.encoding)
        except UnicodeDecodeError as error:
            line = raw[: error.start].decode(self.encoding, errors="ignore").count("\n") + 1
            raise DataError(
                f"{path}:{line}: byte 0x{raw[error.start]:02x} is not valid {self.encoding}. Name the file's "
                f"encoding: --set reader.encoding={self._likely(raw)} (or cp1252, gb18030, …; latin-1 reads any file)."
            ) from error
        if "\0" in text and not self.any_byte:
            line = text.count("\n", 0, text.index("\0")) + 1
            raise DataError(
                f"{path}:{line}: a NUL character, expected {self.encoding} text. For UTF-16 text "
                "--set reader.encoding=utf-16; --set reader.encoding=latin-1 takes every byte of a binary file."
            )
        text = text.removeprefix("\ufeff").replace("\r\n", "\n")
        if not text:
            raise DataError(f"{path}: the file is empty, expected text. Name another file.")
        return text

    def _likely(self, raw: bytes) -> str:
        """The encoding to try next: the byte order mark's, UTF-8 if it fits, else latin-1, which fits any file."""
        if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError:
            return "latin-1"
        return "utf-8"


def check_file(path: Path) -> None:
    """Raise `DataError` for a path that is a folder, or not there."""
    if path.is_dir():
        raise DataError(f"{path}: a folder, expected a text file. Name the files in it, e.g. {path / '*.txt'}.")
    if not path.exists():
        siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(
            f"{path}: no such file{did_you_mean(path.name, siblings)} Check the name and the current folder."
        )


def _bytes(path: Path) -> bytes:
    check_file(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Check who may read it.") from error


def _unpacked(path: Path, raw: bytes) -> bytes:
    if not raw.startswith(GZIP):
        return raw
    try:
        return gzip.decompress(raw)
    except EOFError as error:
        raise DataError(
            f"{path}: the gzip file is cut off after {len(raw):,} bytes. Copy or download it again."
        ) from error
    except (OSError, zlib.error) as error:
        raise DataError(f"{path}: not a sound gzip file ({error}). Copy or download it again.") from error
