"""One job as a process of this machine's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from recurra import storage
from recurra.jobs.job import LAST, Ended, Job, ended

CHILD = (sys.executable, "-m", "recurra.jobs.child")


class Process:
    """A job that goes on, in a session of its own: Ctrl-C reaches whoever started it alone."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._log = storage.begin(job.log)
        self._process = subprocess.Popen(
            [*CHILD, *job.words],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._log,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )

    def close(self) -> None:
        """Kill it, if it goes on, and close its files."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._log.close()

    def end(self) -> None:
        """Ask it to end in order."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def ended(self) -> Ended | None:
        """How it ended; None: it goes on."""
        code = self._process.poll()
        if code is None:
            return None
        text = storage.read(self.job.log)[-LAST:].decode("utf-8", errors="replace")
        return ended(self.job, code, text)
