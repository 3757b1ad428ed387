"""The page on checking an installation names the checks that there are, and its commands run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from recurra import cli
from recurra.testing import installation

from .commands import HOW_TO

PAGE = (HOW_TO / "check-an-installation.md").read_text(encoding="utf-8")


def test_the_checks_of_the_table(tmp_path: Path) -> None:
    kinds = {check.name.split()[0] for check in installation.checks(tmp_path)}
    assert {*re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)} == kinds


def test_its_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("")
    monkeypatch.setattr(installation, "checks", lambda folder: iter(()))
    told = re.findall(r"^recurra (verify.*)$", PAGE, re.MULTILINE)
    assert len(told) == 3
    for line in told:
        assert cli.call(shlex.split(line, comments=True)) == 0
