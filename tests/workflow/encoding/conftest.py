"""Small files for each recipe that is encoded, and their materials."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import recurra
from recurra.workflow.material import Material
from recurra.workflow.plan import make_plan

WORDS = ["the", "a", "of", "to", "in", "runs", "sleeps", "dog", "cat", "tree", "house", "red", "Zoë"]
NAMES = ["Anna", "Bob", "Rome", "Paris", "London", "Mary"]
RECIPES = {
    "char-lm": {"batching.streams": 3, "batching.steps": 7},
    "word-lm": {"batching.streams": 3, "batching.steps": 7, "vocabulary.min_count": 2},
    "classifier": {},
    "tagger": {},
    "translate": {"vocabulary.size": 300},
    "fill": {},
}


def text_for(recipe: str, seed: int = 1, lines: int = 150) -> str:
    """A file of what a recipe learns from."""
    draw = random.Random(seed)

    def words(most: int = 9) -> list[str]:
        return draw.choices(WORDS + NAMES, k=draw.randint(1, most))

    if recipe == "classifier":
        return "".join(f"{draw.choice(['good', 'bad'])}\t{' '.join(words())}\n" for _ in range(lines))
    if recipe == "translate":
        return "".join(f"{' '.join(words())}\t{' '.join(words())}\n" for _ in range(lines))
    if recipe == "tagger":
        found = []
        for _ in range(lines):
            found += [f"{word} {'B-NAME' if word in NAMES else 'O'}" for word in words()]
            found.append("")
        return "\n".join(found) + "\n"
    return "".join(" ".join(words()) + "\n" for _ in range(lines))


@pytest.fixture
def file_of(tmp_path: Path) -> Callable[..., Path]:
    def write(recipe: str, seed: int = 1, lines: int = 150) -> Path:
        path = tmp_path / f"{recipe}-{seed}.txt"
        path.write_text(text_for(recipe, seed, lines), encoding="utf-8")
        return path

    return write


def settings_of(recipe: str) -> dict[str, Any]:
    """The settings of a small model, and for a classifier how its columns are read."""
    return dict(RECIPES[recipe])


def material_of(recipe: str, *files: Path, **settings: Any) -> Material:
    """What a training reads."""
    return Material(make_plan(recipe, files, settings=settings).config)


def encoded(recipe: str, *files: Path, out: Path, **settings: Any) -> Path:
    """A corpus, made in this process."""
    return recurra.encode(recipe, *files, out=out, settings={**RECIPES[recipe], **settings}, processes=1)


def batches_of(material: Material, epoch: int = 0) -> list[dict[str, Any]]:
    """All batches of an epoch as lists."""
    passed = material.train(epoch, 5)
    return [{name: field.tolist() for name, field in passed[k].fields.items()} for k in range(len(passed))]
