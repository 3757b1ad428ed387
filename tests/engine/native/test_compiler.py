"""The compiler that is asked for: odd words in CXX, and programs that say nothing, too late or never."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
import torch

from recurra.engine.native import build, compiler
from recurra.nn import Recurrent

from .conftest import REAL, answer, calls, files


def test_an_empty_cxx_is_none(fresh: Path, monkeypatch) -> None:
    monkeypatch.setenv("CXX", " ")
    assert compiler.compiler() == (shutil.which("g++") or shutil.which("c++"),)
    assert compiler.no_compiler() is None


def test_a_compiler_of_several_words(fresh: Path, monkeypatch) -> None:
    monkeypatch.setenv("CXX", "env LC_ALL=C g++ -O1")
    assert answer() == 7


def test_a_compiler_without_a_version(fresh: Path, script) -> None:
    script(REAL, version="exit 3")
    with pytest.raises(build.BuildError, match=r"--version failed: exit status 3. Name another compiler with CXX"):
        answer()


def test_a_compiler_that_never_says_its_version(fresh: Path, script, monkeypatch, capsys) -> None:
    monkeypatch.setattr(compiler, "VERSION_SECONDS", 0.5)
    script(REAL, version="sleep 60 & sleep 60")  # what it starts holds its pipes open
    began = time.monotonic()
    layer, x = Recurrent("gru", 3, 4), torch.randn(5, 2, 3)
    y = [layer(x)[0] for _ in range(3)]
    assert time.monotonic() - began < 20
    (said,) = capsys.readouterr().err.splitlines()
    assert "--version failed: " in said and "did not end within 0.5 seconds" in said and "backend 'torch'" in said
    layer.backend = "torch"
    assert torch.equal(layer(x)[0], y[0])


def test_a_compiler_that_says_nothing(fresh: Path, script) -> None:
    script(REAL, version="echo; exit 0")
    with pytest.raises(build.BuildError, match=r"--version says nothing: that is no C\+\+ compiler. Name another"):
        answer()


def test_a_version_that_is_no_text(fresh: Path, script) -> None:
    script(REAL, version="printf 'g\\377\\n'; exit")
    assert answer() == 7


def test_a_compiler_that_never_ends(fresh: Path, script, monkeypatch) -> None:
    monkeypatch.setattr(build, "COMPILE_SECONDS", 0.5)
    log = script("cat; sleep 60 & sleep 60")
    began = time.monotonic()
    for _ in range(2):
        with pytest.raises(build.BuildError, match=r"cxx did not end within 0.5 seconds"):
            answer()
    assert time.monotonic() - began < 20 and calls(log) == 1 and files(fresh) == []


@pytest.mark.parametrize("cxx", ['g++ "', "g++ \\", "'"])
def test_quotes_that_do_not_end(fresh: Path, monkeypatch, capsys, cxx: str) -> None:
    monkeypatch.setenv("CXX", cxx)
    with pytest.raises(build.BuildError, match=r"there is no C\+\+ compiler \(CXX = .*: no (closing|escaped)"):
        answer()
    Recurrent("gru", 3, 4)(torch.randn(5, 2, 3))
    assert capsys.readouterr().err.count("backend 'torch', which is slower") == 1


def test_a_folder_is_no_compiler(fresh: Path, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CXX", str(tmp_path))
    with pytest.raises(build.BuildError, match=r"CXX = .* is no program"):
        answer()
