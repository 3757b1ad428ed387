"""Files that never end or unpack without end: refused, in time and in little memory."""

from __future__ import annotations

import gzip
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recurra.data import files, vectors
from recurra.data.files import read_head, read_text
from recurra.data.vectors import read_vectors
from recurra.errors import DataError

Read = Callable[[Path, str], Any]
READS = pytest.mark.parametrize("read", [read_text, read_vectors], ids=["text", "vectors"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@READS
def test_a_pipe_is_not_waited_for(tmp_path: Path, read: Read) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link.txt"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        with pytest.raises(DataError, match=r": a pipe or a device, expected a file, which can be read again\. Save"):
            read(path, "utf-8")
        assert read_head(path, "utf-8") is None


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such device here")
@READS
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_device_is_no_file(read: Read, device: str) -> None:
    with pytest.raises(DataError, match=rf"^{device}: a pipe or a device"):
        read(Path(device), "utf-8")
    assert read_head(Path(device), "utf-8") is None


def test_a_socket_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket")
        with pytest.raises(DataError, match=r"^socket: a pipe or a device"):
            read_text(Path("socket"), "utf-8")


def test_a_link_to_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "link").symlink_to("a.txt")
    assert read_text(tmp_path / "link", "utf-8") == "text"


def packed(path: Path, size: int) -> int:
    """A file that unpacks to so many bytes; how many it has."""
    path.write_bytes(gzip.compress(b"a" * size))
    return path.stat().st_size


def test_what_unpacks_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.gz"
    size = packed(path, 100_000)
    assert files.RATIO * size < 100_000
    assert read_text(path, "utf-8") == "a" * 100_000  # little enough to be read always
    monkeypatch.setattr(files, "ALWAYS", 99_999)
    with pytest.raises(DataError, match=rf"bomb\.gz: {size} bytes in gzip unpack to more than 99,999, which no text"):
        read_text(path, "utf-8")
    monkeypatch.setattr(files, "ALWAYS", 100_000)
    assert len(read_text(path, "utf-8")) == 100_000
    monkeypatch.setattr(files, "ALWAYS", 0)
    for ratio, fits in ((100_000 // size, False), (100_000 // size + 1, True)):
        monkeypatch.setattr(files, "RATIO", ratio)
        if fits:
            assert len(read_text(path, "utf-8")) == 100_000
        else:
            with pytest.raises(DataError, match="unpack to more than"):
                read_text(path, "utf-8")
    monkeypatch.setattr(files, "LARGEST", 99_999)
    with pytest.raises(DataError, match="unpack to more than 99,999"):
        read_text(path, "utf-8")


def test_a_bomb_ends_soon(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    with gzip.open(path, "wb", 9) as file:
        for _ in range(96):
            file.write(bytes(1 << 20))
    began = time.monotonic()
    with pytest.raises(DataError, match=r"unpack to more than 67,108,864, which no text does"):
        read_text(path, "latin-1")
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(("more", "fits"), [(0, True), (1, False)])
def test_a_file_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: int, fits: bool) -> None:
    monkeypatch.setattr(files, "LARGEST", 1_000)
    path = tmp_path / "large.txt"
    path.write_text("a" * (1_000 + more))
    if fits:
        assert len(read_text(path, "utf-8")) == 1_000
        return
    with pytest.raises(DataError, match=r"large\.txt: it has 1,001 bytes, expected 1,000 at most\. Split it into"):
        read_text(path, "utf-8")


def test_a_sparse_file_without_end(tmp_path: Path) -> None:
    path = tmp_path / "sparse.txt"
    with path.open("wb") as file:
        file.truncate(files.LARGEST + 1)
    with pytest.raises(DataError, match=r"it has 4,294,967,297 bytes, expected 4,294,967,296 at most"):
        read_text(path, "utf-8")


def test_vectors_that_unpack_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "vectors.gz"
    path.write_bytes(gzip.compress(b"word 1 2\n" * 5_000))
    assert len(read_vectors(path)[0]) == 5_000
    monkeypatch.setattr(files, "ALWAYS", 44_999)
    monkeypatch.setattr(files, "RATIO", 1)
    with pytest.raises(DataError, match=r"vectors\.gz: \d+ bytes in gzip unpack to more than 44,999"):
        read_vectors(path)
    monkeypatch.setattr(files, "ALWAYS", 45_000)
    assert len(read_vectors(path)[0]) == 5_000


def test_a_line_without_end_is_no_vector(tmp_path: Path) -> None:
    path, longest = tmp_path / "vectors.txt", vectors.LONGEST_LINE
    path.write_bytes(b"w" * (longest - 5) + b" 1 2\n")
    assert len(read_vectors(path)[0][0]) == longest - 5
    path.write_bytes(b"w" * (longest - 4) + b" 1 2\n")
    with pytest.raises(DataError, match=r"vectors\.txt:1: a line of more than 1,048,576 bytes, expected a vector"):
        read_vectors(path)
