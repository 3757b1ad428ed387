"""`python -m recurra.jobs.child WORDS`: the command line, ended in order when whoever started it is no more.

Its standard input is a pipe that nothing is written to. It ends when the other end is closed, which a killed process
does, too: then this one sends itself SIGTERM, at which a training saves.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading


def _watch() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_watch, name="recurra-parent", daemon=True).start()
    runpy.run_module("recurra", run_name="__main__", alter_sys=True)
