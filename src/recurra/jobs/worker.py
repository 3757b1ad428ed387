"""A process of this machine's that does one job after the other."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys

from recurra import storage
from recurra.errors import CheckpointError
from recurra.jobs.job import LAST, Ended, Job, ended

CHILD = (sys.executable, "-m", "recurra.jobs.child")


class Worker:
    """Starts at once, in a session of its own: Ctrl-C reaches whoever started it alone. `folder`: where it starts."""

    def __init__(self, folder: str | None = None) -> None:
        self._job: Job | None = None
        self._process = subprocess.Popen(
            CHILD,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
            bufsize=0,
            cwd=folder,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._told, self._answers = self._process.stdin, self._process.stdout
        os.set_blocking(self._answers.fileno(), False)
        self._read = b""

    def begin(self, job: Job) -> None:
        """Let it do a job, once the one before has ended."""
        self._job = job
        storage.write(job.log, b"")
        with contextlib.suppress(BrokenPipeError):  # it has ended, as `ended` will say
            self._told.write(json.dumps({"words": job.words, "log": str(job.log)}).encode() + b"\n")

    def stop(self) -> None:
        """Ask it to end in order, with what it does."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def ended(self) -> Ended | None:
        """How its job ended; None: it goes on."""
        assert self._job is not None
        code = self._process.poll()  # before what it said is read: it may end in between
        self._read += self._answers.read() or b""
        line, newline, _ = self._read.partition(b"\n")
        if newline:
            code, self._read = int(json.loads(line)["code"]), b""
        if code is None:
            return None
        try:
            text = storage.read(self._job.log)[-LAST:].decode("utf-8", errors="replace")
        except OSError as error:
            raise CheckpointError(f"{self._job.log} cannot be read ({error.strerror}). Was it deleted?") from error
        return ended(self._job, code, text)

    def close(self) -> None:
        """End it at once, with what it does."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._told.close()
        self._answers.close()
