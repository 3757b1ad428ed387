"""Which validation examples stand for all where a budget does not pay for all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recurra.workflow.material import FEWEST, Material
from recurra.workflow.plan import make_plan

PROSE = Path(__file__).parents[1] / "fixtures" / "prose.txt"


def material(recipe: str, path: Path, **settings: Any) -> Material:
    return Material(make_plan(recipe, [path], settings={"training.device": "cpu", **settings}).config)


def test_of_a_long_text_it_is_a_part(tmp_path: Path) -> None:
    made = material("char-lm", PROSE)
    whole = sum(int((batch.fields["target"] >= 0).sum()) for batch in made.valid())
    kept = made.sample(0.25, seed=1)
    batches = [batch.fields["input"].tolist() for batch in made.valid()]
    steps = round(0.25 * (whole + 1))
    assert kept == f"{steps:,} of {whole + 1:,} steps"
    assert sum(int((batch.fields["target"] >= 0).sum()) for batch in made.valid()) == steps - 1
    made.sample(0.5, seed=1)
    made.sample(0.25, seed=1)
    assert [batch.fields["input"].tolist() for batch in made.valid()] == batches  # by the seed alone
    assert made.sample(1.0, seed=1) == f"{whole + 1:,} of {whole + 1:,} steps"


@pytest.mark.parametrize("recipe", ["classifier", "fill"])
def test_of_examples_it_is_some(recipe: str, tmp_path: Path) -> None:
    path = tmp_path / ("texts.txt" if recipe == "fill" else "texts.csv")
    lines = [f"the {word} number {k} is here" for k in range(300) for word in ("good", "bad")]
    header = [] if recipe == "fill" else ["text,label"]
    rows = lines if recipe == "fill" else [f"{line},{'yes' if 'good' in line else 'no'}" for line in lines]
    path.write_text("\n".join([*header, *rows]) + "\n", encoding="utf-8")
    made = material(recipe, path, **{"data.valid_fraction": 0.2})
    there = len(made.parts["valid"])
    assert made.sample(0.5, seed=3) == f"{round(0.5 * there):,} of {there:,} validation examples"
    assert made.sample(0.001, seed=3) == f"{FEWEST} of {there:,} validation examples"
    assert len(made.parts["valid"]) == there  # the scores at the end are of all
