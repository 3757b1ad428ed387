"""The text reader: round trips, and every broken file with its message."""

from __future__ import annotations

import gzip
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra import storage
from recurra.data.readers.text import TextReader
from recurra.errors import ConfigError, DataError
from recurra.registry import construct, names


def one(path: Path, **settings: Any) -> str:
    (example,) = TextReader(**settings).read(path)
    return str(example["text"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32-le"])
def test_a_written_text_is_read_back(tmp_path_factory: pytest.TempPathFactory, encoding: str) -> None:
    path = tmp_path_factory.mktemp("round") / "text"

    @given(st.text(st.characters(exclude_characters="\0\r", codec="utf-8"), min_size=1), st.booleans())
    def round_trip(text: str, packed: bool) -> None:
        if text.startswith("\ufeff"):
            return
        raw = text.encode(encoding)
        path.write_bytes(gzip.compress(raw) if packed else raw)
        assert one(path, encoding=encoding) == text

    round_trip()


def test_every_byte_is_read_in_latin_1(tmp_path: Path) -> None:
    path = tmp_path / "bytes.bin"
    raw = bytes(range(256)) + random.Random(3).randbytes(4000).replace(b"\r\n", b"")
    path.write_bytes(raw)
    assert one(path, encoding="latin-1").encode("latin-1") == raw


def test_one_example_a_file_in_the_order_given(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text(name)
    examples = list(TextReader().read(tmp_path / "b", str(tmp_path / "a")))
    assert examples == [
        {"text": "b", "path": str(tmp_path / "b")},
        {"text": "a", "path": str(tmp_path / "a")},
    ]
    assert set(TextReader.fields) <= set(examples[0])


def test_lines_may_be_trimmed(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text(" pierre <unk>  N \n\n\t mr. <unk> is \u3000\n", encoding="utf-8")
    assert one(path) == path.read_text(encoding="utf-8")
    assert one(path, trim=True) == "pierre <unk>  N\n\nmr. <unk> is \u3000\n"


def test_byte_order_mark_and_carriage_returns_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "windows.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\rthree\n")
    assert one(path) == "one\ntwo\rthree\n"


def test_the_registry_constructs_it() -> None:
    assert "text" in names("reader")
    assert construct("reader", {"kind": "text", "encoding": "latin-1"}).encoding == "latin-1"


BROKEN = {
    "encoding": (
        b"one\ntwo \xe9t\xe9\n",
        "{path}:2: byte 0xe9 is not valid utf-8. Name the file's encoding: --set reader.encoding=latin-1 ",
    ),
    "UTF-16": ("one\n".encode("utf-16"), "{path}:1: byte 0xff is not valid utf-8. .*--set reader.encoding=utf-16 "),
    "mixed encodings": (
        "été\nça\n".encode() + b"\xe9t\n",
        "{path}:3: byte 0xe9 is not valid utf-8. The rest is utf-8: the file mixes encodings. Mend this line; reading ",
    ),
    "a picture": (
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        "{path}:1: byte 0x89 is not valid utf-8. It holds NUL characters, too: is it a text file?",
    ),
    "a spreadsheet": (
        b"PK\x03\x04\x14\0",
        "{path}: a zip archive .or a spreadsheet.*, expected text. Unpack it, or save it as CSV or text, and name that",
    ),
    "NUL": (
        b"one\ntwo\nth\0ree",
        "{path}:3: a NUL character, expected utf-8 text. .*reader.encoding=latin-1 takes every",
    ),
    "empty": (b"", "{path}: the file is empty, expected text. Name another file."),
    "empty in gzip": (gzip.compress(b""), "{path}: the file is empty"),
    "cut gzip": (
        gzip.compress(random.Random(1).randbytes(999))[:-9],
        "{path}: the gzip file is cut off after 1,0[0-9][0-9] bytes. Copy or download it again.",
    ),
    "changed gzip": (
        gzip.compress(b"one")[:-5] + b"12345",
        "{path}: not a sound gzip file .*Copy or download it again.",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_files_name_path_line_and_next_move(tmp_path: Path, kind: str) -> None:
    raw, message = BROKEN[kind]
    path = tmp_path / "broken"
    path.write_bytes(raw)
    with pytest.raises(DataError, match=f"^{message.format(path=path)}"):
        one(path)


def test_a_broken_line_of_wide_characters_is_counted_in_characters(tmp_path: Path) -> None:
    path = tmp_path / "wide"
    path.write_bytes("ab\nĊ\n".encode("utf-16-le") + b"\x00\xdc")  # Ċ is U+010A: its bytes hold a 0x0A
    with pytest.raises(DataError, match=rf"^{path}:3: byte 0x00 is not valid utf-16-le"):
        one(path, encoding="utf-16-le")


def test_the_encoding_that_fits_is_offered(tmp_path: Path) -> None:
    path = tmp_path / "utf8.txt"
    path.write_text("naïve", encoding="utf-8")
    with pytest.raises(DataError, match=r"not valid ascii.*reader.encoding=utf-8 "):
        one(path, encoding="ascii")


def test_missing_file_suggests_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "reviews.txt").write_text("x")
    with pytest.raises(DataError, match=r"review.txt: no such file: did you mean 'reviews.txt'\? Check the name"):
        one(tmp_path / "review.txt")
    with pytest.raises(DataError, match=r"absent/zzz: no such file\. Check the name"):
        one(tmp_path / "absent" / "zzz")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r": a folder, expected a text file\. Name the files in it, e\.g\. .*\*\.txt"):
        one(tmp_path)


def test_a_failing_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, most: int | None = None) -> bytes:
        raise OSError(5, "Input/output error")

    path = tmp_path / "text"
    path.write_text("x")
    monkeypatch.setattr(storage, "read", fail)
    with pytest.raises(DataError, match=r"text: cannot be read \(Input/output error\)\. Check who may read it\."):
        one(path)


@pytest.mark.parametrize("encoding", ["utf9", "hex", "a\0b"])
def test_unknown_encodings_are_refused_before_any_file(encoding: str) -> None:
    with pytest.raises(ConfigError, match=r"reader.encoding = .* is no text encoding Python knows.*latin-1, gb18030"):
        TextReader(encoding=encoding)


def test_a_known_encoding_is_suggested() -> None:
    with pytest.raises(ConfigError, match="Python knows: did you mean 'latin1'"):
        TextReader(encoding="lattin1")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"plain", "utf-8 text"),
        (gzip.compress(b"packed", mtime=0), "utf-8 text in gzip"),
        ("é".encode() * 40_000, "utf-8 text"),
        (b"x" + "é".encode() * 40_000, "utf-8 text"),
        (b"", None),
        (b"\xff\xfe\x01", None),
        (b"a\0b", None),
        (b"\x1f\x8b\x08", None),
    ],
)
def test_sniff(tmp_path: Path, raw: bytes, reason: str | None) -> None:
    path = tmp_path / "file"
    path.write_bytes(raw)
    assert TextReader().sniff(path) == reason


def test_sniff_takes_no_folder_and_no_missing_file(tmp_path: Path) -> None:
    assert TextReader().sniff(tmp_path) is None
    assert TextReader().sniff(tmp_path / "absent") is None


def test_the_room_is_read_without_torch() -> None:
    named = ("readers.text", "codecs.tokens", "codecs.file", "sets", "split", "sources")
    modules = ", ".join(f"recurra.data.{name}" for name in named)
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
