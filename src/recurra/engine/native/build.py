"""Native code: which processor this is, and shared libraries compiled once and kept in a private cache.

A library's name is a hash of its text, its headers, its flags and the compiler's version, so a stale one is never
taken. It is compiled under a name of its own and moved into place, so two processes at once, or one killed on the way,
leave nothing half done. Behind its last byte stands a hash of all of them: a damaged one is not loaded, which would end
the process, but made again. Without a home that can be written to, a folder of the process's own is used and said.
"""

from __future__ import annotations

import atexit
import ctypes
import hashlib
import os
import platform
import re
import shlex
import shutil
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from recurra.engine.native.compiler import COMPILE_SECONDS, BuildError, called, compiler, no_compiler, version
from recurra.errors import ConfigError, did_you_mean
from recurra.progress import stage, told

SOURCES = Path(__file__).parent / "csrc"
FLAGS = ("-std=c++17", "-O3", "-fPIC", "-shared", "-fvisibility=hidden", "-fno-math-errno", "-fno-trapping-math")
AVX512 = ("avx512f", "avx512bw", "avx512vl", "avx512dq", "fma")
INSTRUCTIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "avx512-bf16": (
        (*(f"-m{name}" for name in AVX512), "-mavx512bf16", "-mavx512vnni", "-DWIDTH=64"),
        (*AVX512, "avx512_bf16", "avx512_vnni"),
    ),
    "avx512": ((*(f"-m{name}" for name in AVX512), "-DWIDTH=64"), AVX512),
    "avx2": (("-mavx2", "-mfma", "-DWIDTH=32"), ("avx2", "fma")),
    "portable": (("-DWIDTH=16",), ()),
}
"""Instruction set → compiler flags, and what the processor must have; the first that fits is taken."""
HASH = hashlib.sha256().digest_size
LARGEST_LIBRARY = 1 << 28
"""Bytes of a file that is taken for a library."""
RUBBISH = 3600.0
"""Seconds after which the folder of a build is one that was killed."""

_lock = threading.Lock()
_failed: dict[Path, str] = {}
"""Library → why it could not be made by this process; it is not tried at every call."""


@cache
def processor() -> frozenset[str]:
    """The instruction sets of this processor, by Linux's names; empty where they cannot be found out."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line for line in lines if line.startswith(("flags", "Features"))), "").split())


@cache
def instructions() -> str:
    """The instruction set that native code is compiled for: the widest one, or RECURRA_INSTRUCTIONS.

    Raises `ConfigError` for one that there is not, or that this processor lacks.
    """
    fit = [name for name, (_, needs) in INSTRUCTIONS.items() if processor().issuperset(needs)]
    asked = os.environ.get("RECURRA_INSTRUCTIONS")
    if not asked:
        return fit[0]
    if asked not in INSTRUCTIONS:
        known = ", ".join(INSTRUCTIONS)
        raise ConfigError(
            f"RECURRA_INSTRUCTIONS = {asked!r} is unknown{did_you_mean(asked, INSTRUCTIONS)} Known: {known}."
        )
    if asked not in fit:
        missing = ", ".join(sorted(set(INSTRUCTIONS[asked][1]) - processor()))
        raise ConfigError(
            f"RECURRA_INSTRUCTIONS = {asked!r}, but this processor lacks {missing}. It has: {', '.join(fit)}."
        )
    return asked


@cache
def cache_folder() -> Path:
    """Where compiled code is kept: RECURRA_CACHE, or recurra under the user's cache folder; private to the user."""
    try:
        folder = _asked_folder().absolute()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = folder.stat()
        if hasattr(os, "getuid") and (found.st_uid != os.getuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)):
            raise OSError(f"others can write to {folder}, expected a folder of your own: chmod go-w")
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, RuntimeError) as error:
        own = Path(tempfile.mkdtemp(prefix="recurra-"))
        atexit.register(_remove, own, os.getpid())
        notify(f"compiled code cannot be kept ({error}); it goes to {own} for this process")
        return own


def _asked_folder() -> Path:
    asked = os.environ.get("RECURRA_CACHE")
    if asked:
        return Path(asked).expanduser()
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "recurra"


def _remove(folder: Path, process: int) -> None:
    """A process forked from this one ends too, and has not made the folder."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)


def target(name: str, text: str | None, real: str, openmp: bool = False) -> Path:
    """The file of a library that is or would be compiled. Raises `BuildError` without a compiler."""
    return _recipe(name, text, real, openmp)[0]


def sound(file: Path) -> bool:
    """Whether a library is there, whole and unchanged since it was compiled: a file, for a pipe would be waited for."""
    try:
        found = file.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST_LIBRARY:
            return False
        content = file.read_bytes()
    except OSError:
        return False
    return hashlib.sha256(content[:-HASH]).digest() == content[-HASH:]


def library(name: str, text: str | None, real: str, openmp: bool = False, symbols: Sequence[str] = ()) -> ctypes.CDLL:
    """The shared library of a C++ text (None: csrc/<name>.cpp) for this processor, compiled if it is not in the cache.

    `real` is "float" or "double", `symbols` are names that it must hold. Raises `BuildError` without a compiler, where
    it fails, or where what it made cannot be loaded or lacks a symbol.
    """
    with _lock:
        file, command, source = _recipe(name, text, real, openmp)
        if file in _failed:
            raise BuildError(_failed[file])
        try:
            if sound(file):
                try:
                    return _loaded(file, symbols)
                except OSError:
                    pass  # made on a system with other libraries: once more, here
            notify(f"compiling {name} for {real} and {instructions()} (once; kept in {file.parent})")
            with stage(f"compiling {name}"):
                _compile(command, source, file)
            return _loaded(file, symbols)
        except OSError as error:
            _failed[file] = f"{file} cannot be made or loaded: {error}. RECURRA_CACHE names another folder."
            raise BuildError(_failed[file]) from None
        except BuildError as error:
            _failed[file] = str(error)
            raise


def _loaded(file: Path, symbols: Sequence[str]) -> ctypes.CDLL:
    """A library that holds the symbols; one that does not is deleted, for another process to make it anew."""
    found = ctypes.CDLL(str(file))
    for symbol in symbols:
        try:
            ctypes.c_byte.in_dll(found, symbol)
        except ValueError:
            file.unlink(missing_ok=True)
            raise BuildError(
                f"{file.name} holds no {symbol}: what made it is no C++ compiler, or its flags hide symbols. Name "
                "another compiler with CXX."
            ) from None
    return found


def notify(sentence: str) -> None:
    """Tell the user something that no return value carries: a first use takes seconds longer, a slower backend runs.

    To whoever shows progress, else on stderr; the only place in the engine that writes anywhere, so replacing this
    function silences or redirects it.
    """
    if not told(f"recurra: {sentence}") and sys.stderr is not None:
        sys.stderr.write(f"recurra: {sentence}\n")
        sys.stderr.flush()


@cache
def notify_once(sentence: str) -> None:
    """`notify`, but not twice the same in a process."""
    notify(sentence)


def _recipe(name: str, text: str | None, real: str, openmp: bool) -> tuple[Path, list[str], str]:
    """File, compiler's words and source of a library."""
    words = compiler()
    if words is None:
        raise BuildError(f"{no_compiler()}. Install one, or use backend='torch'.")
    source = text if text is not None else _read(SOURCES / f"{name}.cpp")
    flags = [*FLAGS, *INSTRUCTIONS[instructions()][0], f"-DREAL={real}", *(("-fopenmp",) if openmp else ())]
    headers = [_read(h) for h in sorted(SOURCES.glob("*.h"))]
    key = "\0".join((source, *headers, *words[1:], *flags, version(words), platform.machine()))
    digest = hashlib.sha256(key.encode()).hexdigest()[:20]
    readable = re.sub(r"[^\w.-]+", "-", name)[:80]
    return cache_folder() / f"{readable}-{real}-{instructions()}-{digest}.so", [*words, *flags], source


def _read(file: Path) -> str:
    if not file.is_file():
        raise BuildError(f"{file} is no file, expected a source of recurra's. Install recurra anew.")
    return file.read_text(encoding="utf-8")


def _compile(words: list[str], source: str, file: Path) -> None:
    sweep_rubbish(file.parent)
    with tempfile.TemporaryDirectory(dir=file.parent, prefix="build-") as folder:
        text, made = Path(folder, "source.cpp"), Path(folder, "made.so")
        text.write_text(source, encoding="utf-8")
        command = [*words, f"-I{SOURCES}", str(text), "-o", str(made)]
        done = called(command, COMPILE_SECONDS)
        if done.returncode or not made.is_file():
            raise BuildError(
                f"{words[0]} could not compile {file.name} (exit code {done.returncode})\n"
                f"{shlex.join(command)}\n{done.stderr.strip()}"
            )
        with made.open("r+b") as content:
            content.write(hashlib.sha256(content.read()).digest())
            content.flush()
            os.fsync(content.fileno())
        made.chmod(0o600)
        made.replace(file)


def sweep_rubbish(folder: Path) -> None:
    """Delete what builds left that were killed."""
    for left in folder.glob("build-*"):
        try:
            if time.time() - left.stat().st_mtime > RUBBISH:
                shutil.rmtree(left, ignore_errors=True)
        except OSError:
            pass  # another process was faster


def _new_lock() -> None:
    """A thread of the parent that compiled as it forked is not there to let go."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock)
