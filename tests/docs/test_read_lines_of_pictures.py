"""docs/how-to/read-lines-of-pictures.md: its commands can be planned, what it names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from recurra.data.sets import set_names
from recurra.registry import names

from .commands import HOW_TO, check, commands

PAGE = (HOW_TO / "read-lines-of-pictures.md").read_text(encoding="utf-8")


def test_every_command_can_be_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "0001.gt.txt").write_text("12", encoding="utf-8")
    (tmp_path / "scans" / "0001.png").write_bytes(b"\x89PNG")
    found = commands(PAGE)
    assert len(found) >= 2
    for words in found:
        check([word.rstrip("/") for word in words], tmp_path / "scans")


def test_the_sets_and_readers_named_are_there() -> None:
    (line,) = re.findall(r"Sets known by name: (.*)\.", PAGE)
    assert {*re.findall(r"`([^`]+)`", line)} <= {*set_names()}
    readers = re.findall(r"^\| `([a-z-]+)`[^|]*\|[^|]*\| `image`", PAGE, re.MULTILINE)
    assert len(readers) >= 5 and {*readers} <= {*names("reader")}
