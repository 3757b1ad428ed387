"""The commands of the page on transcripts are such as the program takes, and what it says of the recipe is so."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from recurra import registry
from recurra.config import load_recipe, parse_settings
from recurra.model import make_parts
from recurra.workflow.agreement import check_agreement
from recurra.workflow.plan import make_plan

from .commands import HOW_TO, commands

PAGE = (HOW_TO / "transcribe.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("words", commands(PAGE), ids=str)
def test_a_command(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("recordings").mkdir()
    for name in ("features.npz", "texts.jsonl", "recordings/a.wav", "recordings/a.txt"):
        Path(name).write_text("x")
    settings = parse_settings(after for before, after in pairwise(words) if before == "--set")
    plan = make_plan(words[2], [word for word in words[3:] if Path(word).exists()], settings=settings)
    check_agreement(plan.config, *make_parts(plan.config))


def test_the_table_is_the_recipe() -> None:
    recipe = load_recipe("transcribe")
    rows = re.findall(r"^\| (`[a-z]+\.[^|]*) \| ([\w, ]+) \|", PAGE, re.MULTILINE)
    assert len(rows) >= 6
    for names, values in rows:
        for name, value in zip(re.findall(r"`([\w.]+)`", names), values.split(", "), strict=True):
            section, key = name.split(".")
            part = {"input": "codec", "target": "codec"}.get(section, section)
            known = recipe[section].get(key, registry.defaults(part, recipe[section]["kind"]).get(key))
            assert str(known).lower() == value, name
