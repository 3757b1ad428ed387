"""The command line: words into calls, results into words. Nothing is imported before it is needed."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence

from cyclopts import App, CycloptsError, UnknownOptionError

from recurra import __version__
from recurra.cli import faults
from recurra.cli.backtest import backtest
from recurra.cli.bench import bench
from recurra.cli.cells import cells
from recurra.cli.compare import compare
from recurra.cli.encode import encode
from recurra.cli.evaluate import evaluate
from recurra.cli.export import export
from recurra.cli.inspect import inspect
from recurra.cli.kernels import kernels
from recurra.cli.lab import lab
from recurra.cli.predict import predict, with_options
from recurra.cli.recipes import recipes
from recurra.cli.serve import serve
from recurra.cli.stream import stream
from recurra.cli.sweep import sweep
from recurra.cli.train import train
from recurra.cli.verify import verify
from recurra.errors import RecurraError, Stopped

VERBS: dict[str, Callable[..., int | None]] = {
    "train": train,
    "sweep": sweep,
    "encode": encode,
    "evaluate": evaluate,
    "backtest": backtest,
    "predict": predict,
    "stream": stream,
    "inspect": inspect,
    "compare": compare,
    "export": export,
    "serve": serve,
    "recipes": recipes,
    "cells": cells,
    "kernels": kernels,
    "bench": bench,
    "verify": verify,
}

HELP = "Trains, explains and ships recurrent sequence models."
EPILOGUE = """\
recurra VERB --help says more. Every verb takes --debug, which shows a traceback with an error.

    recurra train char-lm my.txt --out run
    recurra predict run "Once upon" --length 300 --temperature 0.8
"""

WRONG, INTERRUPTED, CLOSED = 2, 130, 141
"""Exit codes: something the caller can mend; Ctrl-C; whoever read the output has left."""


def main() -> None:
    """The console script."""
    sys.exit(call(sys.argv[1:]))


def call(arguments: Sequence[str]) -> int:
    """Do what the words say; an error the caller can mend is one sentence on stderr. Returns the exit code."""
    words = list(arguments)
    options = words[: words.index("--")] if "--" in words else words
    debug = "--debug" in options
    if debug:
        words.remove("--debug")
    try:
        verb, bound, _ = _app(words).parse_args(words, exit_on_error=False, print_error=False, verbose=False)
        code = verb(*bound.args, **bound.kwargs)
        sys.stdout.flush()
    except (RecurraError, CycloptsError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            # Python flushes once more at its end, which would complain again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return CLOSED
        if debug:
            traceback.print_exc()
        if not (isinstance(error, RecurraError) and error.said):
            print(f"{_speaker()}: {_meant(words, error) or error}", file=sys.stderr)
        return WRONG
    except (RecursionError, MemoryError, OverflowError, RuntimeError, ValueError) as error:
        said = _unwritable(error) if isinstance(error, UnicodeEncodeError) else faults.sentence(error)
        if said is None:
            raise
        if debug:
            traceback.print_exc()
        print(f"{_speaker()}: {said}", file=sys.stderr)
        return WRONG
    except KeyboardInterrupt as interrupt:
        if isinstance(interrupt, Stopped) and _speaker() != "recurra":
            return interrupt.exit_code  # the first process says it
        print(
            f"\n{_speaker()}: {str(interrupt) or 'interrupted; what was saved before is kept'}",
            file=sys.stderr,
        )
        return interrupt.exit_code if isinstance(interrupt, Stopped) else INTERRUPTED
    return code or 0


def _speaker() -> str:
    """Who says what went wrong: of several processes that train together, which. By the variables alone, since what is
    wrong may be these."""
    rank = os.environ.get("RANK", "0") if "WORLD_SIZE" in os.environ else "0"
    return "recurra" if rank == "0" else f"recurra, process {rank}"


def _meant(words: Sequence[str], error: Exception) -> str | None:
    """What to say of an option that a training has as a setting; None of any other error."""
    option = error.token.keyword or error.token.value if isinstance(error, UnknownOptionError) else None
    if option is None or words[:1] not in (["train"], ["sweep"]):
        return None
    from recurra.cli.meant import setting_meant

    return setting_meant(words, next((word for word in words if word.startswith(option)), option))


def _unwritable(error: UnicodeEncodeError) -> str:
    return (
        f"{error.object[error.start]!a} cannot be written in {error.encoding}, the encoding of the output. Set the "
        "environment variable PYTHONIOENCODING=utf-8."
    )


def _app(words: Sequence[str]) -> App:
    app = App(
        name="recurra",
        version=__version__,
        help=HELP,
        help_format="plaintext",
        help_epilogue=EPILOGUE,
        version_flags=["--version"],
    )
    for name, verb in VERBS.items():
        if verb is predict and "predict" in words[:1]:
            verb = with_options(words)
        app.command(verb, name=name, help_epilogue="")
    app.command(lab())
    return app
