"""One training at a time in a folder: a lock of the operating system's, which a killed process does not keep.

The file says who holds it. It is deleted at the end; one that a killed process left is taken over.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from recurra import storage
from recurra.errors import CheckpointError

try:
    import fcntl
except ImportError:  # there is none on Windows
    fcntl = None  # type: ignore[assignment]

NAME = "training.lock"
LONGEST = 1000
"""Bytes of a lock file that are looked at."""
_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_BUSY = (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK)


@contextmanager
def locked(folder: Path, say: Callable[[str], None] = lambda sentence: None, doing: str = "trained") -> Iterator[None]:
    """Inside, no other training writes in the folder, which is made where it is missing and taken away if left empty.

    `doing`: what is done in it, where that is no training.

    Raises `CheckpointError` for a folder that cannot be written to, and where another training holds it, saying which.
    Where the system has no locks, `say` is told.
    """
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    storage.make_folder(folder)
    path = folder / NAME
    try:
        held = _take(path, folder, doing)
        if held is None:
            say(f"This system keeps no lock on {path}: see to it that no other training writes to {folder}.")
        try:
            yield
        finally:
            if held is not None:
                with suppress(OSError):  # while it is held: nobody else's is deleted
                    path.unlink()
                os.close(held)
    finally:
        with suppress(OSError):  # something stands in it
            for each in made:
                each.rmdir()


def _take(path: Path, folder: Path, doing: str) -> int | None:
    """The descriptor that holds the lock; None: there are no locks here. `doing`: what is done while it is held."""
    if fcntl is None:
        return None
    while True:
        storage.check_place(path)
        try:
            descriptor = os.open(path, _FLAGS, 0o644)
        except OSError as error:
            raise CheckpointError(storage.unwritable(path, error)) from error
        try:
            if not _own(descriptor):
                raise CheckpointError(f"{path} cannot be written: it is another file, too (a hard link). Delete it.")
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _there(descriptor, path):
                _sign(descriptor)
                return descriptor
            os.close(descriptor)  # its holder has deleted it since
        except OSError as error:
            holder = _holder(descriptor)
            os.close(descriptor)
            if error.errno not in _BUSY:
                with suppress(OSError):
                    path.unlink()
                return None
            raise CheckpointError(
                f"{folder} is being {doing} by {holder}. Wait for its end, or stop it (it saves at Ctrl-C and at "
                "SIGTERM); or name another folder with --out."
            ) from error
        except CheckpointError:
            os.close(descriptor)
            raise


def _own(descriptor: int) -> bool:
    found = os.fstat(descriptor)
    return stat.S_ISREG(found.st_mode) and found.st_nlink <= 1


def _there(descriptor: int, path: Path) -> bool:
    """Whether the file that is locked is the one that others find."""
    with suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    return False


def _sign(descriptor: int) -> None:
    """Say in the file who holds it; a full disk is no reason against it."""
    about = {"process": os.getpid(), "host": socket.gethostname(), "since": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"}
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, (json.dumps(about) + "\n").encode(), 0)


def _holder(descriptor: int) -> str:
    """What the file says of who holds it."""
    try:
        about = json.loads(os.pread(descriptor, LONGEST, 0))
        process, host, since = int(about["process"]), str(about["host"]), str(about["since"])
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
    here = "" if host == socket.gethostname() else f" on {host}"
    return f"process {process}{here} since {since}".replace("\n", " ")
