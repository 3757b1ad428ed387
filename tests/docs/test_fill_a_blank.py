"""The commands of the page on filling blanks are such as the program takes."""

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

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "fill-a-blank.md").read_text(encoding="utf-8")
COMMANDS = [shlex.split(line, comments=True) for line in re.findall(r"^recurra train .*$", PAGE, re.MULTILINE)]
OPTIONS = [shlex.split(words) for words in re.findall(r"`(--set [^`]*)`", PAGE)]


@pytest.mark.parametrize(
    "words", COMMANDS + [["recurra", "train", "fill", "my.txt", *words] for words in OPTIONS], ids=str
)
def test_a_command(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.txt").write_text("a b c\n")
    _, _, recipe, *rest = words
    settings = parse_settings(after for before, after in pairwise(rest) if before == "--set")
    plan = make_plan(recipe, [word for word in rest if word == "my.txt"], settings=settings)
    check_agreement(plan.config, *make_parts(plan.config))


def test_what_the_page_says_of_the_recipes() -> None:
    assert load_recipe("fill")["vocabulary"]["split"] == "words"
    assert load_recipe("fill")["baseline"]["order"] == 5
    assert {"lines", "both-ways"} <= set(re.findall(r"[a-z-]+", PAGE)) and len(COMMANDS) == 5
