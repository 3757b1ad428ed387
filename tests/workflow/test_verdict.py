"""A model that its baseline beats is said to be, with what the validations point to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recurra.diagnostics.curves import Curves
from recurra.workflow.verdict import verdict

CONFIG = {"vocabulary": {"kind": "character"}, "embedder": {"kind": "symbols"}, "task": {"kind": "generate"}}
WORDS = {"vocabulary": {"kind": "tokens"}, "embedder": {"kind": "words"}, "task": {"kind": "tag"}}
TEXTS = {**WORDS, "task": {"kind": "classify"}}


def curves(*valid: float, best: int | None = None) -> Curves:
    """A training of a validation in each of its lines."""
    lines, nothing = len(valid) or 1, np.full(len(valid) or 1, np.nan)
    steps = np.arange(1, lines + 1) * 400
    known = np.array(valid) if valid else nothing
    return Curves(steps, steps / 1e3, steps / 1e4, np.linspace(2, 1, lines), "accuracy", known, best)


def scores(own: float, *others: float, name: str = "accuracy") -> dict[str, Any]:
    rows = [{"name": f"line {k}", "size": 1, "unit": "labels", name: value} for k, value in enumerate(others)]
    return {"valid": {"model": {name: 99.0}}, "test": {"model": {name: own}, "baseline": rows}}


@pytest.mark.parametrize(("own", "said"), [(90.0, True), (91.5, False), (93.0, False)])
def test_more_is_better(own: float, said: bool) -> None:
    found = verdict(scores(own, 18.8, 91.5), ("accuracy", "max"), curves(40.0, 50.0, best=1), CONFIG)
    assert (found is not None) == said
    if found is not None:
        assert found.startswith("This model is worse than a baseline: accuracy 90 on test, line 1 91.5. ")


def test_less_is_better() -> None:
    found = verdict(
        scores(2.5, 3.0, 1.9, name="nats_per_symbol"), ("nats_per_symbol", "min"), curves(40.0, 50.0, best=1), CONFIG
    )
    assert found is not None and "nats per symbol 2.5 on test, line 1 1.9" in found
    assert (
        verdict(
            scores(1.8, 1.9, name="nats_per_symbol"), ("nats_per_symbol", "min"), curves(40.0, 50.0, best=1), CONFIG
        )
        is None
    )


def test_what_helps_is_what_the_validations_point_to() -> None:
    low = scores(50.0, 60.0)
    still = verdict(low, ("accuracy", "max"), curves(40.0, 50.0, best=1), CONFIG)
    assert still is not None and "still getting better when the training ended. Train longer (--resume" in still
    once = verdict(low, ("accuracy", "max"), curves(50.0, best=0), CONFIG)
    assert once is not None and "It was validated once (accuracy 50)" in once and "Train longer" in once
    over = verdict(low, ("accuracy", "max"), curves(40.0, 50.0, 45.0, best=1), CONFIG)
    assert over is not None and over.endswith("learns its training data by heart. Try a smaller model or more dropout.")
    words = verdict(low, ("accuracy", "max"), curves(40.0, 50.0, 45.0, best=1), WORDS)
    assert words is not None and words.endswith("--set vocabulary.vectors=FILE.")


def test_ngrams_are_named_where_they_are_not_counted_yet() -> None:
    said = [
        verdict(scores(50.0, 60.0), ("accuracy", "max"), curves(50.0, best=0), {**TEXTS, "task": task})
        for task in ({"kind": "classify"}, {"kind": "classify", "ngrams": 2}, {"kind": "tag"})
    ]
    assert ["--set task.ngrams=2" in (each or "") for each in said] == [True, False, False]


def test_a_part_of_the_model_is_no_baseline() -> None:
    found = scores(50.0, 40.0)
    found["test"]["baseline"].insert(0, {"name": "its n-grams alone", "own": True, "accuracy": 60.0})
    assert verdict(found, ("accuracy", "max"), curves(50.0, best=0), CONFIG) is None


def test_without_a_baseline_nothing_is_said() -> None:
    assert (
        verdict({"test": {"model": {"accuracy": 5.0}}}, ("accuracy", "max"), curves(40.0, 50.0, best=1), CONFIG) is None
    )
