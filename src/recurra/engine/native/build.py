"""Native code: which processor this is, and shared libraries compiled once and kept in a private cache.

A library's name is a hash of its text, its headers, its flags and the compiler's version, so a stale one is never
taken. It is compiled under a name of its own and moved into place, so two processes at once, or one killed on the way,
leave nothing half done. Without a home that can be written to, a folder of the process's own is used and said.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import stat
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from recurra.errors import RecurraError

SOURCES = Path(__file__).parent / "csrc"
FLAGS = ("-std=c++17", "-O3", "-fPIC", "-shared", "-fvisibility=hidden", "-fno-math-errno", "-fno-trapping-math")
AVX512 = ("avx512f", "avx512bw", "avx512vl", "avx512dq", "fma")
INSTRUCTIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "avx512-bf16": ((*(f"-m{name}" for name in AVX512), "-mavx512bf16", "-DWIDTH=64"), (*AVX512, "avx512_bf16")),
    "avx512": ((*(f"-m{name}" for name in AVX512), "-DWIDTH=64"), AVX512),
    "avx2": (("-mavx2", "-mfma", "-DWIDTH=32"), ("avx2", "fma")),
    "portable": (("-DWIDTH=16",), ()),
}
"""Instruction set → compiler flags, and what the processor must have; the first that fits is taken."""


class BuildError(RecurraError):
    """Native code could not be compiled; the message has the compiler's own words."""


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
    """The instruction set that native code is compiled for: the widest one, or RECURRA_INSTRUCTIONS."""
    asked = os.environ.get("RECURRA_INSTRUCTIONS")
    if asked is not None and asked not in INSTRUCTIONS:
        raise BuildError(f"RECURRA_INSTRUCTIONS = {asked!r}, expected one of {', '.join(INSTRUCTIONS)}.")
    return asked or next(name for name, (_, needs) in INSTRUCTIONS.items() if processor().issuperset(needs))


@cache
def compiler() -> str | None:
    """The path of a C++ compiler: the environment's CXX, else g++ or c++; None where there is none."""
    asked = os.environ.get("CXX")
    return shutil.which(asked) if asked is not None else shutil.which("g++") or shutil.which("c++")


@cache
def _version(path: str) -> str:
    return subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout.partition("\n")[0]


@cache
def cache_folder() -> Path:
    """Where compiled code is kept: RECURRA_CACHE, or recurra under the user's cache folder; private to the user."""
    asked = os.environ.get("RECURRA_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(asked) if asked else Path(base, "recurra")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = folder.stat()
        if hasattr(os, "getuid") and (found.st_uid != os.getuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)):
            raise OSError(f"{folder} can be written to by others")
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        own = Path(tempfile.mkdtemp(prefix="recurra-"))
        print(f"recurra: compiled code is not kept ({error}); it goes to {own}.", file=sys.stderr)
        return own


def library(name: str, text: str | None, real: str, openmp: bool = False) -> ctypes.CDLL:
    """The shared library of a C++ text (None: csrc/<name>.cpp) for this processor, compiled if it is not in the cache.

    `real` is "float" or "double". Raises `BuildError` without a compiler or where it fails.
    """
    path = compiler()
    if path is None:
        raise BuildError("there is no C++ compiler (g++). Install one, or use backend='torch'.")
    source = text if text is not None else (SOURCES / f"{name}.cpp").read_text(encoding="utf-8")
    flags = (*FLAGS, *INSTRUCTIONS[instructions()][0], f"-DREAL={real}", *(("-fopenmp",) if openmp else ()))
    headers = [h.read_text(encoding="utf-8") for h in sorted(SOURCES.glob("*.h"))]
    key = "\0".join((source, *headers, *flags, _version(path), platform.machine()))
    digest = hashlib.sha256(key.encode()).hexdigest()[:20]
    target = cache_folder() / f"{name}-{real}-{instructions()}-{digest}.so"
    if not target.is_file():
        _compile(path, source, flags, target)
    return ctypes.CDLL(str(target))


def _compile(path: str, source: str, flags: tuple[str, ...], target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="build-") as folder:
        file, made = Path(folder, "source.cpp"), Path(folder, "made.so")
        file.write_text(source, encoding="utf-8")
        command = [path, *flags, f"-I{SOURCES}", str(file), "-o", str(made)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BuildError(f"{' '.join(command)}\nfailed: {done.stderr.strip()}")
        made.chmod(0o600)
        os.replace(made, target)
