"""The commands of the page on filling blanks are such as the program takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from recurra.config import load_recipe

from .commands import HOW_TO, check, commands, with_options

PAGE = (HOW_TO / "fill-a-blank.md").read_text(encoding="utf-8")
COMMANDS = commands(PAGE)


@pytest.mark.parametrize("words", COMMANDS + with_options(PAGE, "recurra", "train", "fill", "my.txt"), ids=str)
def test_a_command(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.txt").write_text("a b c\n")
    check(words, Path("my.txt"))


def test_what_the_page_says_of_the_recipes() -> None:
    assert load_recipe("fill")["vocabulary"]["split"] == "words"
    assert load_recipe("fill")["baseline"]["order"] == 5
    assert {"lines", "both-ways"} <= set(re.findall(r"[a-z-]+", PAGE)) and len(COMMANDS) == 5
