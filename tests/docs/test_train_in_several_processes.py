"""docs/how-to/train-in-several-processes.md: its commands can be planned, and its Python runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import recurra

from .commands import HOW_TO, check, commands

PAGE = (HOW_TO / "train-in-several-processes.md").read_text(encoding="utf-8")
PROSE = Path(__file__).parents[1] / "fixtures" / "prose.txt"


def test_every_command_can_be_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.txt").write_text(PROSE.read_text(encoding="utf-8"), encoding="utf-8")
    for words in commands(PAGE):
        check(words, tmp_path / "my.txt")
    launched = [shlex.split(line, comments=True) for line in re.findall(r"^torchrun .*", PAGE, re.MULTILINE)]
    assert len(launched) == 4
    for words in launched:
        check(words[words.index("recurra") :], tmp_path / "my.txt")


def test_the_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.txt").write_text(PROSE.read_text(encoding="utf-8")[:4000], encoding="utf-8")
    small = {"core.hidden_size": 4, "batching.streams": 2, "batching.steps": 8, "training.epochs": 1}
    train = recurra.train
    monkeypatch.setattr(recurra, "train", lambda *names, **keywords: train(*names, **keywords, settings=small))
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(block, {})
    assert (tmp_path / "run" / "report.json").is_file()
