"""The commands of the page on gaps are such as the program takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from .commands import HOW_TO, check, commands

PAGE = (HOW_TO / "gaps.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("words", commands(PAGE), ids=str)
def test_a_command(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.csv").write_text("a,b\n1,2\n3,\n")
    check(words, Path("my.csv"))
