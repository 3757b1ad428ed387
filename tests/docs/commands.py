"""Commands of a page, told as far as a plan: recipes, keys and values are those that there are."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path

from recurra.config import parse_settings
from recurra.model import make_parts
from recurra.workflow.agreement import check_agreement
from recurra.workflow.plan import make_plan

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"


def commands(page: str) -> list[list[str]]:
    """The `recurra train` commands of a page."""
    return [shlex.split(line, comments=True) for line in re.findall(r"^recurra train .*$", page, re.MULTILINE)]


def with_options(page: str, *words: str) -> list[list[str]]:
    """A command with each of the `--set` options that a page names by themselves."""
    return [[*words, *shlex.split(option)] for option in re.findall(r"`(--set [^`]*)`", page)]


def check(words: list[str], file: Path) -> None:
    """Plan a command, which may read `file` in the folder it is told in."""
    _, _, recipe, *rest = words
    settings = parse_settings(after for before, after in pairwise(rest) if before == "--set")
    plan = make_plan(recipe, [word for word in rest if word == file.name], settings=settings)
    check_agreement(plan.config, *make_parts(plan.config))
