"""docs/how-to/run-a-layer-fast.md: its Python runs, its commands are commands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from recurra import cli
from recurra.bench import cells
from recurra.engine.native import build
from recurra.engine.native.machine import kernel, machine

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "run-a-layer-fast.md").read_text(encoding="utf-8")


def blocks(language: str) -> str:
    return "\n".join(re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S))


@pytest.mark.skipif(build.no_compiler() is not None, reason=str(build.no_compiler()))
def test_the_page_s_python() -> None:
    space: dict = {}
    exec(compile(blocks("python"), "run-a-layer-fast.md", "exec"), space)
    assert space["y"].shape == (1, 256)


def test_the_page_s_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Told to the command line as they stand; bench with a shape that takes no time, building a single cell."""
    for found in (build.cache_folder, kernel, machine):
        found.cache_clear()
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cells, "check_cell", lambda name: None)
    monkeypatch.setattr(cells, "SHAPES", (cells.Shape(3, 2, 4, 5),))
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(
        "from recurra.equations.language import cell, tanh\nfrom recurra.registry import part\n\n\n"
        '@part("cell", "my-cell")\n@cell(name="my-cell", gates="n", state="h", source="none")\n'
        'def my_cell(n, h):\n    """Mine."""\n    return h + tanh(n)\n'
    )
    commands = [shlex.split(line, comments=True) for line in blocks("sh").splitlines() if line.strip()]
    assert len(commands) == 5 and all(words[0] == "recurra" for words in commands)
    for _, *words in commands:
        given = [word if word != "100,32,256,256" else "3,2,4,5" for word in words]
        given += ["lstm"] if "--build" in given else []
        given += ["--seconds", "0.1"] if "bench" in given else []
        assert cli.call(given) == 0, capsys.readouterr().err
    assert "no such" not in capsys.readouterr().err
    for found in (build.cache_folder, kernel, machine):
        found.cache_clear()
