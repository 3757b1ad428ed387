"""The commands of the page on forecasts are such as the program takes, and what it says of the recipe is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from recurra.config import load_recipe

from .commands import HOW_TO, check, commands, with_options

PAGE = (HOW_TO / "forecast.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "words", commands(PAGE) + with_options(PAGE, "recurra", "train", "forecast", "my.csv"), ids=str
)
def test_a_command(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.csv").write_text("a,b\n1,2\n3,4\n")
    check(words, Path("my.csv"))


def test_the_table_is_the_recipe() -> None:
    recipe = load_recipe("forecast")
    rows = re.findall(r"^\| (`[^|]*) \| (\w+) \|", PAGE, re.MULTILINE)
    assert len(rows) == 9
    for names, value in rows:
        for name in re.findall(r"`([\w.]+)`", names):
            section, key = name.split(".")
            if key in recipe[section]:
                assert str(recipe[section][key]) == value, name
            else:
                assert value in ("true", "false", "parallel", "squared", "last"), name  # the constructor's
