"""Opening a file: gzip, encodings, lines, and the message where that fails. Every reader goes through here."""

from __future__ import annotations

import codecs
import errno
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from encodings.aliases import aliases
from pathlib import Path

from recurra import storage
from recurra.errors import ConfigError, DataError, did_you_mean
from recurra.types import Example

GZIP = b"\x1f\x8b"
SNIFFED = 1 << 16  # bytes
LARGEST = 1 << 32
"""Bytes of a file, 4 GiB, packed or unpacked: it is held in memory."""
RATIO, ALWAYS = 200, 1 << 26
"""A file in gzip may unpack to so many times its size, or to 64 MiB; text to 3 to 20 times."""
NO_TEXT = {
    b"PK\x03\x04": "a zip archive (or a spreadsheet, which is one)",
    b"BZh": "packed by bzip2",
    b"\xfd7zXZ": "packed by xz",
    b"\x28\xb5\x2f\xfd": "packed by zstd",
    b"PAR1": "a Parquet table",
    b"%PDF": "a PDF",
    b"SQLite format 3": "an SQLite database",
}
"""How files begin that are often given for text, and what they are."""


@dataclass(frozen=True)
class Head:
    """The beginning of a text file, enough to judge its format by."""

    text: str
    packed: bool
    """Is the file in gzip?"""
    whole: bool
    """Is this all of it?"""


def check_encoding(encoding: str) -> str:
    """The encoding as it is; raises `ConfigError` for one that Python does not know."""
    try:
        b" ".decode(encoding, errors="replace")
    except (LookupError, ValueError) as error:
        raise ConfigError(
            f"reader.encoding = {encoding!r} is no text encoding Python knows"
            f"{did_you_mean(encoding, {*aliases, *aliases.values()})} Common ones: utf-8, utf-16, latin-1, gb18030."
        ) from error
    return encoding


def check_file(path: Path) -> None:
    """Raise `DataError` for a path that is a folder, a pipe or a device, or not there; none of them is waited for."""
    if path.is_dir():
        raise DataError(f"{path}: a folder, expected a text file. Name the files in it, e.g. {path / '*.txt'}.")
    if not path.exists():
        raise DataError(f"{path}: no such file{did_you_mean_in(path)} Check the name and the current folder.")
    if not path.is_file():
        raise DataError(
            f"{path}: a pipe or a device, expected a file, which can be read again. Save what comes out of it, and "
            "name that file."
        )


def did_you_mean_in(path: Path) -> str:
    """`did_you_mean`, by the names of the files in the folder that a path names."""
    return did_you_mean(path.name, [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else [])


def read_text(path: Path, encoding: str) -> str:
    """The whole text of a file, as it is or in gzip, without byte order mark and with `\\n` for `\\r\\n`.

    Raises `DataError` for a file that is missing, empty, a folder, cut off or in another encoding. A NUL is refused
    unless the encoding is latin-1, which takes every byte.
    """
    return decoded(read_bytes(path), str(path), encoding)


def decoded(raw: bytes, name: str, encoding: str) -> str:
    """The text of bytes called `name`, as `read_text` gives it. Raises `DataError` likewise."""
    raw = unpacked(name, raw)
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        _check_text(raw, name)
        line = raw[: error.start].decode(encoding, errors="ignore").count("\n") + 1
        raise DataError(
            f"{name}:{line}: byte 0x{raw[error.start]:02x} is not valid {encoding}. {_move(raw, encoding)}"
        ) from error
    if "\0" in text and not _takes_every_byte(encoding):
        _check_text(raw, name)
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(
            f"{name}:{line}: a NUL character, expected {encoding} text. For UTF-16 text "
            "--set reader.encoding=utf-16; --set reader.encoding=latin-1 takes every byte of a binary file."
        )
    text = text.removeprefix("\ufeff")
    text = text.replace("\r\n", "\n") if "\r" in text else text  # which is found much faster
    if not text:
        raise DataError(f"{name}: the file is empty, expected text. Name another file.")
    return text


def read_lines(path: Path, encoding: str) -> Iterator[tuple[int, str]]:
    """The lines of a file, numbered from 1, without their ends. Raises as `read_text`.

    A line ends at `\\n` or `\\r\\n`, in a file without any at `\\r`, and nowhere else: U+2028 and its like are text.
    """
    return numbered(read_text(path, encoding))


def numbered(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a text as `read_text` gives it; see `read_lines`."""
    if "\n" not in text:
        text = text.replace("\r", "\n")
    for number, line in enumerate(io.StringIO(text, newline="\n"), start=1):
        yield number, line.removesuffix("\n")


def read_head(path: Path, encoding: str) -> Head | None:
    """The first 64 KiB of a file; None where they are no text in this encoding, or nothing at all."""
    if not path.is_file():
        return None
    try:
        head, packed = _start(path, SNIFFED)
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except (OSError, EOFError, zlib.error, UnicodeError):
        return None
    if not text or ("\0" in text and not _takes_every_byte(encoding)):
        return None
    return Head(text.removeprefix("\ufeff").replace("\r\n", "\n"), packed, len(head) < SNIFFED)


def read_start(path: Path, count: int) -> bytes:
    """The first bytes of a file, or of what it holds in gzip; nothing of one that is not there or cannot be read."""
    try:
        return _start(path, count)[0] if path.is_file() else b""
    except (OSError, EOFError, zlib.error):
        return b""


def head_lines(path: Path, encoding: str) -> list[str]:
    """The first lines of a file, for a reader's `sniff`; [] where there are none. A line cut at 64 KiB is left out."""
    head = read_head(path, encoding)
    if head is None:
        return []
    *lines, last = (head.text if "\n" in head.text else head.text.replace("\r", "\n")).split("\n")
    return [*lines, last] if last and (head.whole or not lines) else lines


def blank_split(line: str) -> list[str]:
    """The words of a line, parted by spaces and tabs only: U+3000 and U+00A0 are symbols of some data sets."""
    return [word for word in line.replace("\t", " ").split(" ") if word]


def nearly_all(hits: Iterable[bool]) -> bool:
    """At least nine of ten, and more than none: a line that is wrong is its reader's to name, not to be sniffed at."""
    found = list(hits)
    return 10 * sum(found) >= 9 * len(found) > 0


def some(examples: Iterable[Example], path: Path, expected: str) -> Iterator[Example]:
    """The examples of a file; raises `DataError` where there are none, saying what was expected."""
    found = False
    for example in examples:
        found = True
        yield example
    if not found:
        raise DataError(f"{path}: no example in it, expected {expected}. Name another file.")


def counted(number: int, noun: str) -> str:
    """`1 tag`, `2 tags`."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def shortened(text: str, width: int = 40) -> str:
    """A piece of a file as a message shows it."""
    return repr(text if len(text) <= width else text[: width - 1] + "…")


def _start(path: Path, count: int) -> tuple[bytes, bool]:
    """The first bytes of a file, and whether it is in gzip, in which case they are those of what is packed."""
    with path.open("rb") as file:
        head = file.read(count)
    if not head.startswith(GZIP):
        return head, False
    with gzip.open(path) as packed:
        return packed.read(count), True


def _takes_every_byte(encoding: str) -> bool:
    return codecs.lookup(encoding).name == "iso8859-1"


def _check_text(raw: bytes, name: str) -> None:
    """Raise `DataError` for bytes that cannot be decoded, and begin like something else than text."""
    for begin, what in NO_TEXT.items():
        if raw.startswith(begin):
            raise DataError(f"{name}: {what}, expected text. Unpack it, or save it as CSV or text, and name that file.")


def _move(raw: bytes, encoding: str) -> str:
    """What to do about bytes that are not all of this encoding."""
    found = raw.decode(encoding, errors="replace")
    wrong = found.count("\ufffd")
    if codecs.lookup(encoding).name == "utf-8" and wrong < sum(not symbol.isascii() for symbol in found) - wrong:
        return "The rest is utf-8: the file mixes encodings. Mend this line; reading it as latin-1 spoils the others."
    likely = _likely(raw)
    if likely == "latin-1" and b"\0" in raw:
        return "It holds NUL characters, too: is it a text file? If it is UTF-16: --set reader.encoding=utf-16-le"
    return f"Name the file's encoding: --set reader.encoding={likely} (or cp1252, gb18030, …; latin-1 reads any file)."


def _likely(raw: bytes) -> str:
    """The encoding to try next: the byte order mark's, UTF-8 if it fits, else latin-1, which fits any file."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def read_bytes(path: Path) -> bytes:
    """The bytes of a file, 4 GiB at most. Raises `DataError` for one that is missing, a folder, or cannot be read."""
    check_file(path)
    try:
        return storage.read(path, LARGEST)
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise DataError(f"{path}: {error.strerror}. Split it into several files, or leave some out.") from error
        raise DataError(f"{path}: cannot be read ({error.strerror}). Check who may read it.") from error


def most_unpacked(packed: int, held: bool = True) -> int:
    """Bytes that so many bytes in gzip may unpack to; `held`: in memory, all of them at once."""
    found = max(ALWAYS, RATIO * packed)
    return min(LARGEST, found) if held else found


def too_much(name: str, packed: int, most: int) -> DataError:
    """The error about a file in gzip that unpacks to more than `most` bytes."""
    return DataError(
        f"{name}: {packed:,} bytes in gzip unpack to more than {most:,}, which no text does. Is it what "
        "you think? If so, unpack it and name the file."
    )


def unpacked(name: str, raw: bytes) -> bytes:
    """The bytes of a file called `name` as they are, or were before gzip. Raises `DataError` for unsound ones."""
    if not raw.startswith(GZIP):
        return raw
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as file:
            found = file.read(most_unpacked(len(raw)) + 1)
    except EOFError as error:
        raise DataError(
            f"{name}: the gzip file is cut off after {len(raw):,} bytes. Copy or download it again."
        ) from error
    except (OSError, zlib.error) as error:
        raise DataError(f"{name}: not a sound gzip file ({error}). Copy or download it again.") from error
    if len(found) > most_unpacked(len(raw)):
        raise too_much(name, len(raw), most_unpacked(len(raw)))
    return found
