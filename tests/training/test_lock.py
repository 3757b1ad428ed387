"""One training at a time in a folder: whoever holds it is named, and whoever was killed holds it no more."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from recurra.errors import CheckpointError
from recurra.training import lock
from recurra.training.lock import NAME, locked

HOLD = (
    "import sys, time; from pathlib import Path; from recurra.training.lock import locked\n"
    "with locked(Path(sys.argv[1])):\n"
    "    print('held', flush=True); time.sleep(60)"
)


@contextlib.contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds a folder."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_holder_is_named(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        told = (
            rf"^{tmp_path} is being trained by process {process.pid} since \d{{4}}-\d\d-\d\d \d\d:\d\d UTC\. Wait for"
        )
        for _ in range(2):
            with pytest.raises(CheckpointError, match=told), locked(tmp_path):
                raise AssertionError("nobody may come here")
        about = json.loads((tmp_path / NAME).read_text())
        (tmp_path / NAME).write_text(json.dumps(about | {"host": "elsewhere"}))
        with pytest.raises(CheckpointError, match=f"process {process.pid} on elsewhere since"), locked(tmp_path):
            pass
        (tmp_path / NAME).write_text("[]")
        with pytest.raises(CheckpointError, match=r"is being trained by another process\. Wait"), locked(tmp_path):
            pass


def test_who_was_killed_holds_nothing(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert (tmp_path / NAME).is_file()
        with locked(tmp_path):
            about = json.loads((tmp_path / NAME).read_text())
            assert (about["process"], about["host"]) == (os.getpid(), socket.gethostname())
    assert not (tmp_path / NAME).exists()


def test_the_second_of_the_same_process_is_refused_and_the_third_is_not(tmp_path: Path) -> None:
    with locked(tmp_path):
        with pytest.raises(CheckpointError, match=f"by process {os.getpid()} since"), locked(tmp_path):
            pass
        assert (tmp_path / NAME).is_file()  # it is the first one's
    with locked(tmp_path):
        pass


def test_a_lock_that_its_holder_deleted_meanwhile_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock, first = lock.fcntl.flock, [True]

    def late(descriptor: int, how: int) -> None:
        if first.pop() if first else False:
            (tmp_path / NAME).unlink()
        flock(descriptor, how)

    monkeypatch.setattr(lock.fcntl, "flock", late)
    with locked(tmp_path):
        assert (tmp_path / NAME).is_file()
        with pytest.raises(CheckpointError, match="is being trained"), locked(tmp_path):
            pass


def test_folders_made_for_nothing_are_taken_away(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []
    with locked(tmp_path / "a" / "b"):
        (tmp_path / "a" / "mine").touch()
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["mine"]


def test_no_lock_through_a_link(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("mine")
    (tmp_path / NAME).symlink_to(own)
    with pytest.raises(CheckpointError, match=f"{NAME} cannot be written: it is a link to"), locked(tmp_path):
        pass
    (tmp_path / NAME).unlink()
    (tmp_path / NAME).hardlink_to(own)
    with pytest.raises(CheckpointError, match=f"{NAME} cannot be written: it is another file, too"), locked(tmp_path):
        pass
    assert own.read_text() == "mine"


@pytest.mark.parametrize("missing", [True, False])
def test_a_system_without_locks_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: bool) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    if missing:
        monkeypatch.setattr(lock, "fcntl", None)
    else:
        monkeypatch.setattr(lock.fcntl, "flock", refuse)
    said: list[str] = []
    with locked(tmp_path, said.append):
        pass
    (sentence,) = said
    assert list(tmp_path.iterdir()) == []
    assert re.match(r"This system keeps no lock on .*: see to it that no other training writes to ", sentence)
