"""The commands of the page on forecasts are such as the program takes, and what it says of the recipe is so."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from recurra.config import load_recipe, parse_settings
from recurra.model import make_parts
from recurra.workflow.agreement import check_agreement
from recurra.workflow.plan import make_plan

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "forecast.md").read_text(encoding="utf-8")
COMMANDS = [shlex.split(line, comments=True) for line in re.findall(r"^recurra train .*$", PAGE, re.MULTILINE)]
OPTIONS = [shlex.split(words) for words in re.findall(r"`(--set [^`]*)`", PAGE)]


@pytest.mark.parametrize(
    "words", COMMANDS + [["recurra", "train", "forecast", "my.csv", *words] for words in OPTIONS], ids=str
)
def test_a_command(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.csv").write_text("a,b\n1,2\n3,4\n")
    _, _, recipe, *rest = words
    settings = parse_settings(after for before, after in pairwise(rest) if before == "--set")
    plan = make_plan(recipe, [word for word in rest if word == "my.csv"], settings=settings)
    check_agreement(plan.config, *make_parts(plan.config))


def test_the_table_is_the_recipe() -> None:
    recipe = load_recipe("forecast")
    rows = re.findall(r"^\| (`[^|]*) \| (\w+) \|", PAGE, re.MULTILINE)
    assert len(rows) == 8
    for names, value in rows:
        for name in re.findall(r"`([\w.]+)`", names):
            section, key = name.split(".")
            if key in recipe[section]:
                assert str(recipe[section][key]) == value, name
            else:
                assert value in ("true", "parallel", "squared"), name  # the constructor's
