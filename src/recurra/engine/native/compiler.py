"""The C++ compiler: which one, what it says of itself, and a call of it that ends."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
from functools import cache

from recurra.errors import RecurraError

VERSION_SECONDS = 10.0
"""In which a compiler must have said its version."""
COMPILE_SECONDS = 300.0
"""In which a library must have been compiled."""


class BuildError(RecurraError):
    """Native code could not be compiled or loaded; behind the first line stand the compiler's own words."""


@cache
def compiler() -> tuple[str, ...] | None:
    """The words that call a C++ compiler: the environment's CXX, else g++ or c++; None where there is none."""
    try:
        words = shlex.split(os.environ.get("CXX", ""))
    except ValueError:
        return None
    found = shutil.which(words[0]) if words else shutil.which("g++") or shutil.which("c++")
    return None if found is None else (found, *words[1:])


def no_compiler() -> str | None:
    """Why nothing can be compiled, as half a sentence; None: it can."""
    if compiler() is not None:
        return None
    asked = os.environ.get("CXX", "")
    try:
        shlex.split(asked)
    except ValueError as error:
        return f"there is no C++ compiler (CXX = {asked!r}: {str(error).lower()})"
    return f"there is no C++ compiler ({f'CXX = {asked!r} is no program' if asked.strip() else 'g++'})"


def version(words: tuple[str, ...]) -> str:
    version, failure = asked_version(words)
    if failure:
        raise BuildError(f"{failure} Name another compiler with CXX.")
    return version


@cache
def asked_version(words: tuple[str, ...]) -> tuple[str, str]:
    """The first line of what a compiler says of itself, and why it says nothing."""
    command = [*words, "--version"]
    try:
        done = called(command, VERSION_SECONDS)
    except (OSError, BuildError) as error:
        return "", f"{shlex.join(command)} failed: {str(error).rstrip('.')}."
    if done.returncode:
        return "", f"{shlex.join(command)} failed: exit status {done.returncode}."
    version = done.stdout.strip().partition("\n")[0]
    return version, "" if version else f"{shlex.join(command)} says nothing: that is no C++ compiler."


def called(command: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
    """A program's end. Raises `BuildError` where it does not end in time; then, and where this process is interrupted,
    it is killed with whatever it has started."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=seconds)
        except BaseException as error:
            _kill(process)
            if isinstance(error, subprocess.TimeoutExpired):
                raise BuildError(f"{command[0]} did not end within {seconds:g} seconds.") from None
            raise
        return subprocess.CompletedProcess(command, process.returncode, out, err)


def _kill(process: subprocess.Popen[str]) -> None:
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
