"""Files are written under names nobody could have prepared, never through a link; what is no file is not opened."""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from recurra import storage
from recurra.errors import CheckpointError

PART = re.compile(r"\.(.+)\.[0-9a-f]{32}\.part")


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_written_whole_and_nothing_left(tmp_path: Path) -> None:
    path, data = tmp_path / "a b.bin", os.urandom(3_000_000)
    for written in (data, b"", data[:7]):
        storage.write(path, written)
        assert path.read_bytes() == storage.read(path) == written
    storage.write_text(path, "ä\n")
    assert storage.read_text(path) == "ä\n"
    assert names(tmp_path) == ["a b.bin"]


def test_the_mode_is_what_the_user_asks_for_all_files(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        storage.write(tmp_path / "one", b"1")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "one").stat().st_mode) == 0o640


@pytest.mark.parametrize("length", [255, 230, 200])
def test_a_name_as_long_as_there_are(tmp_path: Path, length: int) -> None:
    path = tmp_path / ("ä" * (length // 2) + "x" * (length % 2))
    storage.write(path, b"1")
    assert path.read_bytes() == b"1"


def seen(monkeypatch: pytest.MonkeyPatch, where: str = "replace") -> list[tuple[str, str]]:
    """The (from, to) of every rename."""
    found, real = [], os.replace

    def replace(source: Path, target: Path) -> None:
        found.append((Path(source).name, Path(target).name))
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    return found


def test_no_two_names_are_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renamed = seen(monkeypatch)
    for _ in range(20):
        storage.write(tmp_path / "one", b"1")
    assert len({source for source, _ in renamed}) == 20
    assert all(PART.fullmatch(source) for source, _ in renamed)


def test_the_fresh_name_must_not_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even a name that was guessed is not taken: neither a link's nor a file's."""
    secret = tmp_path / "secret"
    secret.write_text("mine")
    monkeypatch.setattr(storage.secrets, "token_hex", lambda count: "0" * 2 * count)
    guessed = tmp_path / f".one.{'0' * 32}.part"
    for make in (lambda: guessed.symlink_to(secret), lambda: guessed.symlink_to("nowhere"), lambda: guessed.touch()):
        make()
        with pytest.raises(CheckpointError, match=r"one cannot be written \(File exists\)"):
            storage.write(tmp_path / "one", b"other")
        assert os.path.lexists(guessed)  # it is not ours to delete
        guessed.unlink()
    assert (secret.read_text(), names(tmp_path)) == ("mine", ["secret"])


def occupied(tmp_path: Path, kind: str) -> Path:
    place, own = tmp_path / "place", tmp_path / "own"
    own.write_text("mine")
    if kind == "a link":
        place.symlink_to(own)
    elif kind == "a link to nothing":
        place.symlink_to(tmp_path / "nowhere")
    elif kind == "a folder":
        place.mkdir()
    elif kind == "a pipe":
        os.mkfifo(place)
    else:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(os.path.relpath(place))
    return place


KINDS = ["a link", "a link to nothing", "a folder", "a pipe", "a socket"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("write", [storage.write, storage.begin])
def test_what_is_no_file_is_neither_written_through_nor_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, write: Callable[[Path, bytes], object]
) -> None:
    monkeypatch.chdir(tmp_path)
    place = occupied(tmp_path, kind)
    before = place.lstat().st_mode, place.lstat().st_ino
    for act in (lambda: write(place, b"other"), lambda: storage.check_place(place)):
        with pytest.raises(
            CheckpointError, match=rf"place cannot be written: it is {kind.split(' to')[0]}.*expected a"
        ):
            act()
    assert (place.lstat().st_mode, place.lstat().st_ino) == before
    assert (tmp_path / "own").read_text() == "mine"
    assert names(tmp_path) == ["own", "place"]


def test_a_device_is_not_replaced() -> None:
    with pytest.raises(CheckpointError, match="/dev/null cannot be written: it is a device, expected a regular file"):
        storage.check_place(Path("/dev/null"))


def test_the_other_names_of_a_file_keep_what_they_had(tmp_path: Path) -> None:
    """A hard link is another's name for the file: it is no place to write through either."""
    own, place = tmp_path / "own", tmp_path / "place"
    own.write_text("mine")
    place.hardlink_to(own)
    with storage.begin(place, b"kept\n") as file:
        file.write(b"added\n")
    assert (own.read_text(), place.read_text()) == ("mine", "kept\nadded\n")


def test_what_is_added_goes_to_the_file_that_was_begun(tmp_path: Path) -> None:
    own, place = tmp_path / "own", tmp_path / "place"
    own.write_text("mine")
    with storage.begin(place, b"kept\n") as file:
        assert place.read_bytes() == b"kept\n"  # it is there at once, whole
        place.unlink()
        place.symlink_to(own)  # whoever puts a link in its place is too late
        file.write(b"added\n")
    assert own.read_text() == "mine"


@pytest.mark.parametrize("kind", ["a folder", "a pipe", "a socket"])
def test_what_is_no_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.chdir(tmp_path)
    place = occupied(tmp_path, kind)
    found: list[OSError] = []

    def tried() -> None:
        for read in (storage.read, storage.check_readable):
            try:
                read(place)
            except OSError as error:
                found.append(error)

    thread = threading.Thread(target=tried, daemon=True)  # a pipe would be waited for for ever
    thread.start()
    thread.join(10)
    assert [error.strerror for error in found] == [f"is {kind}, expected a regular file"] * 2


def test_a_device_is_not_read() -> None:
    with pytest.raises(OSError, match="is a device, expected a regular file"):
        storage.read(Path("/dev/zero"))


def test_a_file_that_lies_elsewhere_is_read(tmp_path: Path) -> None:
    occupied(tmp_path, "a link")
    assert storage.read_text(tmp_path / "place") == "mine"


def failing(number: int, after: int = 0) -> Callable[..., int]:
    """Stands for a call of the system that fails, after it succeeded so many times."""
    real, left = os.write, [after]

    def fail(*arguments: object) -> int:
        if left[0] > 0:
            left[0] -= 1
            descriptor, data = arguments
            return real(descriptor, memoryview(data)[:5])  # type: ignore[arg-type, call-overload]
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_disk_that_fills_in_the_middle_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    path = tmp_path / "one"
    storage.write(path, b"before")
    monkeypatch.setattr(os, "write", failing(errno.ENOSPC, after))
    with pytest.raises(CheckpointError, match=r"one cannot be written, the disk is full .* Free some space; what was"):
        storage.write(path, b"0123456789" * 3)
    monkeypatch.undo()
    assert (path.read_bytes(), names(tmp_path)) == (b"before", ["one"])


def test_short_writes_are_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data[:3])))
    storage.write(tmp_path / "one", b"0123456789")
    assert (tmp_path / "one").read_bytes() == b"0123456789"


def test_the_file_is_on_the_disk_before_its_name_and_its_name_before_we_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    sync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        happened.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    def replaced(source: Path, target: Path) -> None:
        happened.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    storage.write(tmp_path / "one", b"1")
    assert happened == ["file", "rename", "folder"]
    happened.clear()
    storage.make_folder(tmp_path / "a" / "b")
    assert happened == ["folder", "folder"]
    storage.make_folder(tmp_path / "a" / "b")
    assert happened == ["folder", "folder"]


@pytest.mark.parametrize(("number", "raised"), [(errno.EINVAL, False), (errno.ENOTSUP, False), (errno.EIO, True)])
def test_a_file_system_that_brings_no_folders_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, raised: bool
) -> None:
    sync = os.fsync

    def synced(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", synced)
    if raised:
        with pytest.raises(CheckpointError, match=r"one cannot be written \(Input/output error\)"):
            storage.write(tmp_path / "one", b"1")
    else:
        storage.write(tmp_path / "one", b"1")
    assert (tmp_path / "one").read_bytes() == b"1"
    assert names(tmp_path) == ["one"]


def test_what_killed_writes_left_is_swept(tmp_path: Path) -> None:
    token = "0123456789abcdef" * 2
    ours = [f".model.safetensors.{token}.part", f".metrics.jsonl.{token[::-1]}.part", f".{'x' * 200}.{token}.part"]
    others = [
        f".other.{token}.part",  # another process's, of another file
        f".model.safetensors.{token[:-1]}.part",
        f"model.safetensors.{token}.part",
        "metrics.jsonl.part",
        "notes.txt",
    ]
    for name in (*ours, *others):
        (tmp_path / name).write_bytes(b"half")
    linked = tmp_path / f".metrics.jsonl.{token}.part"
    linked.symlink_to("notes.txt")
    known = ("model.safetensors", "metrics.jsonl", "x" * 250)
    assert storage.sweep(tmp_path, known, older=60) == []
    old = time.time() - 61
    os.utime(tmp_path / ours[0], (old, old))
    assert storage.sweep(tmp_path, known, older=60) == [tmp_path / ours[0]]
    assert sorted(left.name for left in storage.sweep(tmp_path, known)) == sorted(ours[1:])
    assert names(tmp_path) == sorted([*others, linked.name])
    assert storage.sweep(tmp_path / "nowhere", known) == []


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"file cannot be written \(File exists\)\. Name another folder"):
        storage.make_folder(tmp_path / "file")
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    storage.make_folder(tmp_path / "link" / "inner")  # whose link it is to a folder is the user's own choice
    assert (tmp_path / "real" / "inner").is_dir()


def test_a_whole_file_gets_its_name(tmp_path: Path) -> None:
    part, to = tmp_path / "a.part", tmp_path / "a"
    part.write_bytes(b"all")
    to.write_bytes(b"before")
    storage.rename(part, to)
    assert to.read_bytes() == b"all" and not part.exists()
    with pytest.raises(CheckpointError, match="cannot be written"):
        storage.rename(part, to)
    part.write_bytes(b"again")
    (tmp_path / "link").symlink_to(to)
    with pytest.raises(CheckpointError, match="is a link"):
        storage.rename(part, tmp_path / "link")
