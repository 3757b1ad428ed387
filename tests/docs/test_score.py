"""The commands of the page on scoring are such as the program takes, and what it says of the recipe is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from recurra import registry
from recurra.config import load_recipe

from .commands import HOW_TO, check, commands, with_options

PAGE = (HOW_TO / "score.md").read_text(encoding="utf-8")
OPTIONS = with_options(PAGE, "recurra", "train", "scorer", "my.csv")


@pytest.mark.parametrize("words", commands(PAGE) + OPTIONS, ids=str)
def test_a_command(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("my.csv", "my.jsonl"):
        Path(name).write_text("text,score\na,1\nb,2\n")
    check(words, Path("my.jsonl" if "my.jsonl" in words else "my.csv"))


def test_the_table_is_the_recipe() -> None:
    recipe, own = load_recipe("scorer")["task"], registry.defaults("task", "score")
    rows = re.findall(r"^\| `task\.(\w+)` \| (\w+) \|", PAGE, re.MULTILINE)
    assert len(rows) == 7
    for name, value in rows:
        assert str(recipe.get(name, own[name])).lower() == value, name
