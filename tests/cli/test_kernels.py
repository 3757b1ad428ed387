from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from recurra import cli, registry
from recurra.engine.native import build
from recurra.engine.native.compiler import asked_version

CACHED = (build.instructions, build.compiler, asked_version, build.cache_folder)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache, and the instruction set that is compiled for fastest."""
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("RECURRA_INSTRUCTIONS", "portable")
    for found in CACHED:
        found.cache_clear()
    build._failed.clear()
    yield tmp_path / "cache"
    for found in CACHED:
        found.cache_clear()
    build._failed.clear()


def both(state: str) -> dict[str, str]:
    return {"float": state, "double": state}


def test_build_ahead_and_clear(folder: Path, capsys) -> None:
    assert cli.call(["kernels", "lstm", "gru", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == {
        "compiler": " ".join(build.compiler() or ()),
        "instructions": "portable",
        "folder": str(folder),
        "kernel": both("not built"),
        "pictures": both("not built"),
        "cells": {"lstm": both("not built"), "gru": both("not built")},
    }
    assert list(folder.iterdir()) == []

    old = folder / f"cell-lstm-float-portable-{'0' * 20}.so"
    old.touch()
    assert cli.call(["kernels", "lstm", "--clear", "--build"]) == 0
    assert not old.exists()
    said = capsys.readouterr()
    assert said.out.splitlines()[2:] == [
        f"folder: {folder}",
        "",
        "time loop  float: ready, double: ready",
        "pictures   float: ready, double: ready",
        "lstm       float: ready, double: ready",
    ]
    compiled = [line.split()[2] for line in said.err.splitlines() if line.startswith("recurra: compiling ")]
    assert compiled == [*["kernel"] * 2, *["pictures"] * 2, *["cell-lstm"] * 2]
    assert len(list(folder.iterdir())) == 6

    assert cli.call(["kernels", "gru", "lstm", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["kernel"] == both("ready")
    assert found["cells"] == {"gru": both("not built"), "lstm": both("ready")}

    (folder / "somebody's.so").touch()
    assert cli.call(["kernels", "--clear"]) == 0
    assert capsys.readouterr().out == "6 files removed.\n"
    assert [file.name for file in folder.iterdir()] == ["somebody's.so"]
    old.touch()
    assert cli.call(["kernels", "--clear", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"removed": 1}


def test_all_cells_where_none_is_named(folder: Path, capsys) -> None:
    assert cli.call(["kernels"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines[4:]] == ["time loop", "pictures", *registry.names("cell")]
    assert all(line.endswith("  float: not built, double: not built") for line in lines[4:])


def test_a_damaged_library_is_not_ready(folder: Path, capsys) -> None:
    build.target("kernel", None, "float", True).write_bytes(b"half")
    assert cli.call(["kernels", "lstm", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kernel"] == both("not built")


def test_without_a_compiler(folder: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("CXX", "nope")
    assert cli.call(["kernels"]) == 0
    assert capsys.readouterr().out == (
        "compiler: none, there is no C++ compiler (CXX = 'nope' is no program); layers run on backend 'torch', "
        f"which is slower\ninstructions: portable\nfolder: {folder}\n"
    )
    assert cli.call(["kernels", "lstm", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["compiler"] is None
    assert cli.call(["kernels", "lstm", "--build"]) == cli.WRONG
    assert capsys.readouterr().err.splitlines() == [
        "recurra: there is no C++ compiler (CXX = 'nope' is no program). Install one, or use backend='torch'."
    ]


def test_a_compiler_that_fails(folder: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("CXX", "g++ -no-such-option")
    assert cli.call(["kernels", "lstm", "--build"]) == cli.WRONG
    said = capsys.readouterr()
    (row,) = [line for line in said.out.splitlines() if line.startswith("time loop  float: ")]
    assert row.count("could not compile kernel-") == 2 and row.endswith("(exit code 1)")
    assert "no-such-option" in said.err


def test_wrong_words_are_one_sentence(folder: Path, monkeypatch, capsys) -> None:
    assert cli.call(["kernels", "lstn"]) == cli.WRONG
    assert capsys.readouterr().err.startswith("recurra: unknown cell 'lstn': did you mean 'lstm'")
    assert cli.call(["kernels", "lstm", "--clear"]) == cli.WRONG
    assert capsys.readouterr().err == (
        "recurra: --clear deletes the code of all cells, not of lstm alone: name none.\n"
    )
    monkeypatch.setenv("RECURRA_INSTRUCTIONS", "mmx")
    assert cli.call(["kernels"]) == cli.WRONG
    assert capsys.readouterr().err == (
        "recurra: RECURRA_INSTRUCTIONS = 'mmx' is unknown. Known: avx512-bf16, avx512, avx2, portable.\n"
    )


def test_a_cell_of_a_plugin(folder: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(registry, "_parts", dict(registry._parts))
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "from recurra.equations.language import cell, tanh\nfrom recurra.registry import part\n\n\n"
        "@part('cell', 'mine')\n@cell(gates='a', state='h', source='mine')\n"
        "def mine(a, h):\n    '''A cell of one's own.'''\n    return tanh(a)\n"
    )
    assert cli.call(["kernels", "mine", "--plugin", str(plugin), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cells"] == {"mine": both("not built")}
