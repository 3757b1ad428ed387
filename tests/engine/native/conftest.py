"""Compiled code of these tests is kept for the session, or in RECURRA_CACHE where the caller names one."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recurra.engine.native import build, compiler, machine, pictures

CACHED = (
    *(
        build.processor,
        build.instructions,
        compiler.compiler,
        compiler.asked_version,
        build.cache_folder,
        build.notify_once,
    ),
    *(machine.kernel, machine.machine, pictures.library),
)


REAL = 'exec g++ "$@"'


def text(number: int) -> str:
    return f'extern "C" __attribute__((visibility("default"))) int answer() {{ return {number}; }}'


def answer(number: int = 7, name: str = "some") -> int:
    return int(build.library(name, text(number), "float").answer())


def files(folder: Path) -> list[str]:
    return sorted(f.name for f in folder.iterdir())


def calls(log: Path) -> int:
    return len(log.read_text().splitlines())


def forget() -> None:
    """What this process has found out about compilers, folders and libraries."""
    for found in CACHED:
        found.cache_clear()
    build._failed.clear()


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        if "RECURRA_CACHE" not in os.environ:
            patch.setenv("RECURRA_CACHE", str(tmp_path_factory.mktemp("compiled")))
            build.cache_folder.cache_clear()
        yield build.cache_folder()
    build.cache_folder.cache_clear()


@pytest.fixture
def python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a text in a process of its own; settings are environment variables."""

    def run(text: str, timeout: float = 120, **settings: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", text]
        env = os.environ | settings
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=timeout, check=False)

    return run


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache folder, and a process that knows nothing yet; afterwards as before."""
    for name in ("CXX", "RECURRA_INSTRUCTIONS", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "cache"
    monkeypatch.setenv("RECURRA_CACHE", str(folder))
    forget()
    yield folder
    forget()


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Makes a shell text the compiler; what follows is the file with a line for every call that compiles."""

    def made(text: str, version: str = 'exec g++ "$@"') -> Path:
        log, file = tmp_path / "calls", tmp_path / "cxx"
        file.write_text(
            f'#!/bin/sh\nfor last; do :; done\n[ "$last" = --version ] && {{ {version}\n}}\n'
            f'echo "$last" >> "{log}"\n{text}\n'
        )
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
        log.touch()
        monkeypatch.setenv("CXX", str(file))
        compiler.compiler.cache_clear()
        compiler.asked_version.cache_clear()
        return log

    return made
