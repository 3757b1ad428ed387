"""How files are written and read: under fresh names that nobody could have prepared, never through a link.

A file is written beside its place, under a name drawn at random that must not be there yet, brought to the disk, and
renamed; then its folder is brought to the disk, too. Whatever happens, the old file or the new one stands, whole. What
stands in a file's place and is no regular file (a link, a pipe, a device) is neither written through nor replaced.
A process that is killed while it writes leaves the file with the random name: `sweep` knows it again.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

from recurra.errors import CheckpointError

LONGEST = 200
"""Bytes of a file's name that the one it is written under repeats, to be within the 255 that file systems allow."""
TOKEN = 16
"""Bytes drawn at random for a name."""
_LEFT = re.compile(rf"\.(.+)\.[0-9a-f]{{{2 * TOKEN}}}\.part", re.DOTALL)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_OLD = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_KINDS = (
    (stat.S_ISLNK, "is a link"),
    (stat.S_ISDIR, "is a folder"),
    (stat.S_ISFIFO, "is a pipe"),
    (stat.S_ISSOCK, "is a socket"),
    (stat.S_ISCHR, "is a device"),
    (stat.S_ISBLK, "is a device"),
)
_NO_SYNC = (errno.EINVAL, errno.EBADF, errno.ENOSYS, errno.ENOTSUP, errno.EACCES, errno.EPERM)


def write(path: Path, data: bytes) -> None:
    """Write a file whole. Raises `CheckpointError` where it cannot be, and for what is no regular file in its place."""
    try:
        os.close(_put(path, data))
    except OSError as error:
        raise CheckpointError(unwritable(path, error)) from error


def write_text(path: Path, text: str) -> None:
    """`write` for text, as UTF-8."""
    write(path, text.encode("utf-8"))


def begin(path: Path, data: bytes = b"") -> BinaryIO:
    """`write`, and the file stays open for what is added to it; raises as `write`.

    It is not looked up by its name again, so nobody can put another file in between.
    """
    try:
        return os.fdopen(_put(path, data), "wb", buffering=0)
    except OSError as error:
        raise CheckpointError(unwritable(path, error)) from error


def rename(path: Path, to: Path) -> None:
    """Give a file that is whole its name. Raises `CheckpointError` as `write`."""
    try:
        _check_place(to)
        path.replace(to)
        _sync_folder(to.parent)
    except OSError as error:
        raise CheckpointError(unwritable(to, error)) from error


def read(path: Path, most: int | None = None) -> bytes:
    """The bytes of a regular file. Raises `OSError`, also for anything else: a pipe or a device might never end; and
    for a file of more than `most` bytes."""
    with os.fdopen(_opened(path), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if most is not None and size > most:
            raise OSError(errno.EFBIG, f"it has {size:,} bytes, expected {most:,} at most")
        return file.read(-1 if most is None else most)


def read_text(path: Path) -> str:
    """`read` for text, in UTF-8. Raises `UnicodeDecodeError`, too."""
    return read(path).decode("utf-8")


def check_readable(path: Path) -> None:
    """Raise `OSError` for what is missing or no regular file; for files that another library opens by their name."""
    os.close(_opened(path))


def check_place(path: Path) -> None:
    """Raise `CheckpointError` where `write` would refuse what stands there already."""
    try:
        _check_place(path)
    except OSError as error:
        raise CheckpointError(unwritable(path, error)) from error


def make_folder(path: Path) -> None:
    """Make a folder with all above it, if it is not there. Raises `CheckpointError`; a link to a folder is one."""
    missing = [each for each in (path, *path.parents) if not each.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        for each in missing:
            _sync_folder(each.parent)
    except OSError as error:
        raise CheckpointError(unwritable(path, error)) from error


def remove(path: Path) -> None:
    """Delete a file, if it is there; of a link the link. Raises `CheckpointError`."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise CheckpointError(unwritable(path, error)) from error


def sweep(folder: Path, names: Collection[str], older: float = 0.0) -> list[Path]:
    """Delete what killed processes left of files with these names, from so many seconds ago; what was deleted.

    Whoever calls it knows that no other process writes files of these names, or is at it for less than `older`.
    """
    known = {_begin(name) for name in names}
    found = []
    for left in _listed(folder):
        match = _LEFT.fullmatch(left.name)
        if match is None or match[1] not in known:
            continue
        with contextlib.suppress(OSError):  # another process was faster
            about = left.lstat()
            if stat.S_ISREG(about.st_mode) and time.time() - about.st_mtime >= older:
                left.unlink()
                found.append(left)
    return found


def unwritable(path: Path, error: OSError) -> str:
    """The sentence about a file that could not be written, with the next move."""
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{path} cannot be written, the disk is full ({reason}). Free some space; what was saved before stands."
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"{path} cannot be written ({reason}). Name a folder that you may write to with --out."
    if isinstance(error, _WrongKind):
        return f"{path} cannot be written: it {reason}. Delete it, or name another place."
    return f"{path} cannot be written ({reason}). Name another folder with --out."


class _WrongKind(OSError):
    """Something else stands where a regular file should."""


def _put(path: Path, data: bytes) -> int:
    """Write a file whole, and give its descriptor."""
    _check_place(path)
    beside = path.with_name(f".{_begin(path.name)}.{secrets.token_hex(TOKEN)}.part")
    descriptor = os.open(beside, _NEW, 0o666)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
        if os.name == "nt":  # where an open file cannot be renamed
            os.close(descriptor)
            beside.replace(path)
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0))
        else:
            beside.replace(path)
        _sync_folder(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            os.close(descriptor)
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise
    return descriptor


def _opened(path: Path) -> int:
    """The descriptor of a regular file to be read; nothing else is as much as opened."""
    _check_kind(path.stat().st_mode)
    descriptor = os.open(path, _OLD)
    try:
        _check_kind(os.fstat(descriptor).st_mode)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _begin(name: str) -> str:
    """As much of a name as another one can repeat."""
    raw = os.fsencode(name)
    return name if len(raw) <= LONGEST else os.fsdecode(raw[:LONGEST])


def _check_place(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    _check_kind(mode, f" to {path.readlink()}" if stat.S_ISLNK(mode) else "")


def _check_kind(mode: int, more: str = "") -> None:
    if stat.S_ISREG(mode):
        return
    kind = next((kind for test, kind in _KINDS if test(mode)), "is something else")
    raise _WrongKind(errno.EINVAL, f"{kind}{more}, expected a regular file")


def _listed(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from [*folder.iterdir()]


def _sync_folder(folder: Path) -> None:
    """Bring a folder's list of names to the disk, where the system can."""
    if os.name == "nt":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # a folder that may be written to and not read
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(descriptor)
