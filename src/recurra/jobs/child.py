"""`python -m recurra.jobs.child`: does the commands that it is told, one after the other.

A line of its standard input is a command as JSON, {"words": [...], "log": "0003.txt"}; a line of its standard output
the code that the command ended with. To load torch and to compile takes longer than a short training, and is done once.
When its standard input ends, which it does, too, where whoever writes it is killed, it sends itself SIGTERM, at which a
training saves.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from recurra import storage

Call = Callable[[Sequence[str]], int]


def main() -> None:
    """Do what is told until nobody tells more."""
    told: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(told,), name="recurra-parent", daemon=True).start()
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    call: Call = importlib.import_module("recurra.cli").call  # as anybody calls it, from above
    while True:
        job = told.get()
        with storage.begin(Path(job["log"])) as log:
            os.dup2(log.fileno(), 2)
            print(json.dumps({"code": _done(call, job["words"])}), file=answers)
            os.dup2(nothing, 2)


def _listen(told: queue.SimpleQueue[dict[str, Any]]) -> None:
    for line in sys.stdin:
        told.put(json.loads(line))
    os.kill(os.getpid(), signal.SIGTERM)


def _done(call: Call, words: list[str]) -> int:
    """Do a command; the code that its process would have ended with."""
    sys.argv = ["recurra", *words]
    try:
        return call(words)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    except Exception:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


if __name__ == "__main__":
    main()
