"""docs/how-to/export.md: its commands and its Python run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from recurra import cli

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "export.md").read_text(encoding="utf-8")
PROSE = Path(__file__).parents[1] / "fixtures" / "prose.txt"
TINY = ["core.hidden_size=12", "core.num_layers=1", "embedder.size=6", "batching.streams=4", "batching.steps=16"]
TINY += ["training.epochs=1", "training.schedule=constant", "training.device=cpu", "baseline.order=3"]


def blocks(language: str) -> str:
    return "\n".join(re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S))


def test_the_page_s_commands_and_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = [word for setting in TINY for word in ("--set", setting)]
    assert cli.call(["train", "char-lm", str(PROSE), "--out", "run", "--threads", "1", *settings]) == 0
    for line in filter(None, blocks("sh").splitlines()):
        program, *words = shlex.split(line)
        if program == "recurra":
            assert cli.call(words) == 0, line
        else:
            subprocess.run([sys.executable, *words], check=True)
    exec(compile(blocks("python"), "export.md", "exec"), {})
    said = capsys.readouterr().out
    assert "['model.onnx', 'step.onnx']" in said and "weights in eight bits: nats per symbol" in said
