"""What every reader must show: sound files in every way they come, broken ones named; a check raises AssertionError.

A reader is named by its kind and checked with a `Sample`, a small sound file of its format that holds a letter beyond
ASCII, written into a folder of the caller's.
"""

from __future__ import annotations

import codecs
import gzip
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from recurra.errors import ConfigError, DataError, RecurraError
from recurra.registry import construct

ABOUT = {"place", "path", "phrase", "story", "segments", "split"}
"""What an example may hold beside its reader's fields."""


@dataclass(frozen=True)
class Sample:
    """The files a reader reads together, by name, and how many examples are in them.

    `folder`: they are named by their folder. `whole`: line ends at the end are part of what is read. `sniffed`: the
    reader takes such a file by its contents. `binary`: it refuses the first of them for being binary.
    """

    files: Mapping[str, str]
    count: int
    folder: bool = False
    whole: bool = False
    sniffed: bool = True
    binary: bool = True

    def written(self, at: Path, change: Callable[[str], bytes] = str.encode) -> list[Path]:
        """The paths to read, after `change` made bytes of the texts."""
        at.mkdir(exist_ok=True)
        for name, text in self.files.items():
            (at / name).write_bytes(change(text))
        return [at] if self.folder else [at / name for name in self.files]


def read(kind: str, paths: Sequence[Path], **settings: Any) -> list[dict[str, Any]]:
    """All examples of the files."""
    return [dict(example) for example in construct("reader", {"kind": kind, **settings}).read(*paths)]


def check_sound(kind: str, sample: Sample, at: Path) -> None:
    """So many examples, of the fields that the reader says, each with its place; files add up."""
    paths = sample.written(at / "sound")
    examples, fields = read(kind, paths), construct("reader", {"kind": kind}).fields
    assert len(examples) == sample.count, f"{kind}: {len(examples)} examples, expected {sample.count}"
    assert read(kind, [*paths, *paths])[: sample.count] == examples, f"{kind}: read twice, the examples differ"
    for example in examples:
        assert example.keys() <= fields.keys() | ABOUT, f"{kind}: gives {sorted(example)}, says {sorted(fields)}"
        assert example.keys() & fields.keys(), f"{kind}: an example without any of its fields"
        where = str(example.get("place", example.get("path")))
        assert where.startswith(str(at)), f"{kind}: an example's place {where!r} is not in its file"
        assert sample.whole or re.search(r":[0-9]+$", where), f"{kind}: the place {where!r} names no line"


def check_writings(kind: str, sample: Sample, at: Path) -> None:
    """Compressed, with other line ends, a byte-order mark or no end of line, the examples are the same; in UTF-16 too,
    once the encoding is named."""
    expected = _content(read(kind, sample.written(at / "plain")))
    ways: dict[str, Callable[[str], bytes]] = {
        "gzip": lambda text: gzip.compress(text.encode()),
        "lines": lambda text: text.replace("\n", "\r\n").encode(),
        "mark": lambda text: codecs.BOM_UTF8 + text.encode(),
        "no end": lambda text: (text if sample.whole else text.rstrip("\n")).encode(),
    }
    for way, change in ways.items():
        assert _content(read(kind, sample.written(at / way, change))) == expected, f"{kind}: other examples by {way}"
    utf16 = sample.written(at / "utf-16", lambda text: text.encode("utf-16"))
    assert _content(read(kind, utf16, encoding="utf-16")) == expected, f"{kind}: other examples in UTF-16"


def check_broken(kind: str, sample: Sample, at: Path) -> None:
    """Files that are absent, empty, cut, of another encoding or binary are refused in a sentence with their path."""
    broken: dict[str, Callable[[str], bytes]] = {
        "empty": lambda text: b"",
        "latin-1": lambda text: re.sub("[^\0-\x7f]", "é", text).encode("latin-1"),
        "cut": lambda text: gzip.compress(text.encode() * 99)[:-20],
        "nul": lambda text: text.encode() + b"\0",
    }
    absent = [at / "absent" / path.name for path in sample.written(at / "there")]
    _refused(kind, "absent", f"^{re.escape(str(at))}", partial(read, kind, absent), DataError)
    for way, change in broken.items():
        paths, pattern = sample.written(at / way, change), f"^{re.escape(str(at / way))}.+[.)]$"
        _refused(kind, way, pattern, partial(read, kind, paths), DataError)
    unknown = r"reader.encoding = 'utf-88' is no text encoding"
    made = {"kind": kind, "encoding": "utf-88"}
    _refused(kind, "an unknown encoding", unknown, partial(construct, "reader", made), ConfigError)


def check_sniffing(kind: str, sample: Sample, at: Path) -> None:
    """A reader says why it takes a file, and takes none that is absent or binary."""
    reader = construct("reader", {"kind": kind})
    why = reader.sniff(sample.written(at / "sniffed")[0])
    assert bool(why) == sample.sniffed, f"{kind}: of a sound file it says {why!r}"
    assert reader.sniff(at / "absent") is None, f"{kind}: takes a file that is not there"
    if sample.binary:
        binary = sample.written(at / "binary", lambda text: bytes(range(256)))
        assert reader.sniff(binary[0]) is None, f"{kind}: takes a binary file"


READER_CHECKS = (check_sound, check_writings, check_broken, check_sniffing)


def check_reader(kind: str, sample: Sample, at: Path) -> None:
    """All checks of a registered reader; files are written below the folder `at`."""
    for check in READER_CHECKS:
        check(kind, sample, at)


def _content(examples: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in e.items() if name not in ("place", "path")} for e in examples]


def _refused(kind: str, what: str, pattern: str, call: Callable[[], Any], error: type[RecurraError]) -> None:
    try:
        call()
    except error as refusal:
        assert re.search(pattern, str(refusal)), f"{kind}: {what} is refused as {str(refusal)!r}"
    else:
        raise AssertionError(f"{kind}: {what} is not refused")
