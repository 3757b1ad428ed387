"""A model that its baseline beats is said to be, with what the validations point to."""

from __future__ import annotations

from typing import Any

import pytest

from recurra.training.log import Result
from recurra.workflow.verdict import verdict

CONFIG = {"vocabulary": {"kind": "character"}, "embedder": {"kind": "symbols"}}
WORDS = {"vocabulary": {"kind": "tokens"}, "embedder": {"kind": "words"}}


def result(best_step: int, history: tuple[float, ...] = (2.0, 1.5), reason: Any = "epochs") -> Result:
    return Result(reason, 1200, 2.0, 1.0, min(history), best_step, history)


def scores(own: float, *others: float, name: str = "accuracy") -> dict[str, Any]:
    rows = [{"name": f"line {k}", "size": 1, "unit": "labels", name: value} for k, value in enumerate(others)]
    return {"valid": {"model": {name: 99.0}}, "test": {"model": {name: own}, "baseline": rows}}


@pytest.mark.parametrize(("own", "said"), [(90.0, True), (91.5, False), (93.0, False)])
def test_more_is_better(own: float, said: bool) -> None:
    found = verdict(scores(own, 18.8, 91.5), ("accuracy", "max"), result(1200), CONFIG)
    assert (found is not None) == said
    if found is not None:
        assert found.startswith("This model is worse than a baseline: accuracy 90 on test, line 1 91.5. ")


def test_less_is_better() -> None:
    found = verdict(scores(2.5, 3.0, 1.9, name="nats_per_symbol"), ("nats_per_symbol", "min"), result(1200), CONFIG)
    assert found is not None and "nats per symbol 2.5 on test, line 1 1.9" in found
    assert verdict(scores(1.8, 1.9, name="nats_per_symbol"), ("nats_per_symbol", "min"), result(1200), CONFIG) is None


def test_what_helps_is_what_the_validations_point_to() -> None:
    low = scores(50.0, 60.0)
    still = verdict(low, ("accuracy", "max"), result(1200, reason="time"), CONFIG)
    assert still is not None and "still getting better when the time was over (1,200 updates)" in still
    once = verdict(low, ("accuracy", "max"), result(1200, (2.0,)), CONFIG)
    assert once is not None and "Validation had been made once at most when the training was over" in once
    over = verdict(low, ("accuracy", "max"), result(400, (2.0, 1.2, 1.4)), CONFIG)
    assert over is not None and "best after 400 of 1,200 updates" in over and "vectors" not in over
    words = verdict(low, ("accuracy", "max"), result(400, (2.0, 1.2, 1.4)), WORDS)
    assert words is not None and words.endswith("--set vocabulary.vectors=FILE.")


def test_without_a_baseline_nothing_is_said() -> None:
    assert verdict({"test": {"model": {"accuracy": 5.0}}}, ("accuracy", "max"), result(1200), CONFIG) is None
