"""The commands of the page on recordings are such as the program takes, and what it says of the recipe is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from recurra import registry
from recurra.config import load_recipe
from recurra.data.readers.sniff import SOUNDS

from .commands import HOW_TO, check, commands

PAGE = (HOW_TO / "sound.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("words", commands(PAGE), ids=str)
def test_a_command(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("recordings").mkdir()
    check([word for word in words if word not in ("--out", "run")], Path("recordings"))


def test_the_table_is_the_recipe() -> None:
    recipe = load_recipe("spoken-digits")
    rows = re.findall(r"^\| (`(?:input|embedder)[^|]*) \| ([^|]+) \|", PAGE, re.MULTILINE)
    assert len(rows) == 15
    for names, value in rows:
        found = []
        for name in re.findall(r"`([\w.]+)`", names):
            section, key = name.split(".")
            known = recipe[section].get(key, defaults(section, recipe[section]["kind"]).get(key))
            found.append(str(list(known) if isinstance(known, tuple) else known).lower())
        assert ", ".join(found) == value, names


def defaults(section: str, kind: str) -> dict[str, object]:
    return registry.defaults("codec" if section == "input" else section, kind)


def test_every_format_is_in_its_table() -> None:
    assert {*re.findall(r"^\| `([\w-]+)` \|", PAGE, re.MULTILINE)} == {*SOUNDS, "npz-jsonl"}
