"""What every reader must show: sound files in every way they come, broken ones named; a check raises AssertionError.

A reader is named by its kind and checked with its own `sample`, written into a folder of the caller's. One that reads
bytes is not asked for other encodings.
"""

from __future__ import annotations

import codecs
import gzip
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from recurra.data.sample import Sample
from recurra.errors import ConfigError, DataError, RecurraError
from recurra.registry import construct

Change = Callable[[bytes], bytes]
ABOUT = {"place", "path", "phrase", "story", "segments", "split", "names", "step", "id", "group", "speaker", "lines"}
"""What an example may hold beside its reader's fields."""


def sample_of(kind: str) -> Sample:
    """The files that a reader says it reads."""
    sample: Sample | None = getattr(construct("reader", {"kind": kind}), "sample", None)
    assert sample is not None, f"{kind}: no attribute `sample`, a small sound file for these checks"
    return sample


def written(sample: Sample, at: Path, change: Change = bytes) -> list[Path]:
    """The paths to read, after `change` made other bytes of those of the files."""
    at.mkdir(exist_ok=True)
    files = {name: change(each.encode() if isinstance(each, str) else each) for name, each in sample.files.items()}
    for name, content in {**files, **sample.beside}.items():
        (at / name).parent.mkdir(parents=True, exist_ok=True)
        (at / name).write_bytes(content)
    return [at] if sample.folder else [at / name for name in sample.files]


def read(kind: str, paths: Sequence[Path], **settings: Any) -> list[dict[str, Any]]:
    """All examples of the files."""
    return [dict(example) for example in construct("reader", {"kind": kind, **settings}).read(*paths)]


def check_sound(kind: str, sample: Sample, at: Path) -> None:
    """So many examples, of the fields that the reader says, each with its place; files add up."""
    paths = written(sample, at / "sound")
    examples, fields = read(kind, paths), construct("reader", {"kind": kind}).fields
    assert len(examples) == sample.count, f"{kind}: {len(examples)} examples, expected {sample.count}"
    assert _same(read(kind, [*paths, *paths])[: sample.count], examples), f"{kind}: read twice, the examples differ"
    for example in examples:
        assert example.keys() <= fields.keys() | ABOUT, f"{kind}: gives {sorted(example)}, says {sorted(fields)}"
        assert example.keys() & fields.keys(), f"{kind}: an example without any of its fields"
        where = str(example.get("place", example.get("path")))
        assert where.startswith(str(at)), f"{kind}: an example's place {where!r} is not in its file"
        lines = _text(sample) and "place" in example
        assert not lines or re.search(r":[0-9]+$", where), f"{kind}: the place {where!r} names no line"


def check_writings(kind: str, sample: Sample, at: Path) -> None:
    """Compressed, with other line ends, a byte-order mark or no end of line, the examples of a text are the same; in
    UTF-16 too, once the encoding is named."""
    if not _text(sample):
        return
    expected = _content(read(kind, written(sample, at / "plain")))
    whole = not any(":" in str(example.get("place", "")) for example in read(kind, written(sample, at / "plain")))
    ways: dict[str, Change] = {
        "gzip": gzip.compress,
        "lines": lambda raw: raw.replace(b"\n", b"\r\n"),
        "mark": lambda raw: codecs.BOM_UTF8 + raw,
        "no end": lambda raw: raw if whole else raw.rstrip(b"\n"),
    }
    for way, change in ways.items():
        assert _same(_content(read(kind, written(sample, at / way, change))), expected), (
            f"{kind}: other examples by {way}"
        )
    utf16 = written(sample, at / "utf-16", lambda raw: raw.decode().encode("utf-16"))
    assert _same(_content(read(kind, utf16, encoding="utf-16")), expected), f"{kind}: other examples in UTF-16"


def check_broken(kind: str, sample: Sample, at: Path) -> None:
    """Files that are absent, empty, cut, of another encoding or binary, and bytes that are no such file, are refused in
    a sentence with their path."""
    broken: dict[str, Change] = {"empty": lambda raw: b""}
    if _text(sample):
        broken |= {
            "latin-1": lambda raw: re.sub("[^\0-\x7f]", "é", raw.decode()).encode("latin-1"),
            "cut": lambda raw: gzip.compress(raw * 99)[:-20],
            "nul": lambda raw: raw + b"\0",
        }
    else:
        broken |= {"cut": lambda raw: raw[: len(raw) // 2], "noise": lambda raw: raw[::-1]}
    absent = [at / "absent" / path.name for path in written(sample, at / "there")]
    _refused(kind, "absent", f"^{re.escape(str(at))}", partial(read, kind, absent), DataError)
    for way, change in broken.items():
        paths, pattern = written(sample, at / way, change), f"^{re.escape(str(at / way))}.+[.)]$"
        _refused(kind, way, pattern, partial(read, kind, paths), DataError)
    if _text(sample):
        unknown = r"reader.encoding = 'utf-88' is no text encoding"
        made = {"kind": kind, "encoding": "utf-88"}
        _refused(kind, "an unknown encoding", unknown, partial(construct, "reader", made), ConfigError)


def check_sniffing(kind: str, sample: Sample, at: Path) -> None:
    """A reader says why it takes a file, and takes none that is absent or binary."""
    reader = construct("reader", {"kind": kind})
    why = reader.sniff(written(sample, at / "sniffed")[0])
    assert bool(why) == sample.sniffed, f"{kind}: of a sound file it says {why!r}"
    assert reader.sniff(at / "absent") is None, f"{kind}: takes a file that is not there"
    if not sample.folder:
        binary = written(sample, at / "binary", lambda raw: bytes(range(256)))
        assert reader.sniff(binary[0]) is None, f"{kind}: takes a binary file"


READER_CHECKS = (check_sound, check_writings, check_broken, check_sniffing)
"""What a reader must show; `check_reader` does all."""


def check_reader(kind: str, at: Path) -> None:
    """All checks of a registered reader; files are written below the folder `at`."""
    for check in READER_CHECKS:
        check(kind, sample_of(kind), at)


def _text(sample: Sample) -> bool:
    """Whether the reader reads text."""
    return all(isinstance(content, str) for content in sample.files.values())


def _same(some: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]) -> bool:
    return len(some) == len(others) and all(
        one.keys() == other.keys() and all(_alike(one[name], other[name]) for name in one)
        for one, other in zip(some, others, strict=True)
    )


def _alike(one: Any, other: Any) -> bool:
    lists = isinstance(one, list) and all(isinstance(each, list) for each in one)  # perhaps of unequal length
    return bool(one == other) if lists else np.array_equal(one, other)


def _content(examples: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in e.items() if name not in ("place", "path")} for e in examples]


def _refused(kind: str, what: str, pattern: str, call: Callable[[], Any], error: type[RecurraError]) -> None:
    try:
        call()
    except error as refusal:
        assert re.search(pattern, str(refusal)), f"{kind}: {what} is refused as {str(refusal)!r}"
    else:
        raise AssertionError(f"{kind}: {what} is not refused")
