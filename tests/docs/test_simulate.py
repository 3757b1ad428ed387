"""The commands of the page on systems are such as the program takes, and what it says of the recipe is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from recurra.config import load_recipe
from recurra.registry import defaults

from .commands import HOW_TO, check, commands, with_options

PAGE = (HOW_TO / "simulate.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "words", commands(PAGE) + with_options(PAGE, "recurra", "train", "simulate", "my.csv"), ids=str
)
def test_a_command(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.csv").write_text("valve,heater,level\n1,2,3\n4,5,6\n")
    check(words, Path("my.csv"))


def test_the_table_is_the_recipe() -> None:
    recipe = load_recipe("simulate")
    rows = re.findall(r"^\| (`[^|]*) \| ([^|]+) \|", PAGE, re.MULTILINE)
    assert len(rows) == 7
    for names, values in rows:
        for name, value in zip(re.findall(r"`([\w.]+)`", names), values.split(", "), strict=True):
            section, key = name.split(".")
            known = {**defaults(section, recipe[section]["kind"]), **recipe[section]}[key]
            assert ("none" if known is None else f"{known:g}" if isinstance(known, float) else str(known)) == value, (
                name
            )
