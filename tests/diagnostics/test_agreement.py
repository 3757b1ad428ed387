"""What is said beside what is true: numbers of series, by scale."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from recurra.data.codecs.labels import Labels
from recurra.data.codecs.numbers import Scaled, Vectors
from recurra.diagnostics import agreement
from recurra.errors import DataError
from recurra.model import Model


def example(scale: str, value: float, number: float, steps: int = 4) -> dict[str, Any]:
    return {"series": np.full((steps, 1), value), "number": number, "scale": scale}


EXAMPLES = [example("x", 1, 5), example("y", 2, 1), example("x", 3, 8), example("x", -1, 2), example("y", 0, 4)]


def means() -> Model:
    """A model that says 2 x̄ on the scale x and 3 x̄ + 1 on the scale y."""
    codecs = {
        "input": Scaled().fit([np.array([[-1.0], [1.0]])]),
        "number": Vectors().fit([1.0, 2.0]),
        "scale": Labels("label").take(["x", "y"]),
    }
    config = {
        "embedder": {"kind": "numbers"},
        "core": {"kind": "identity"},
        "task": {"kind": "score", "by_scale": True},
        "batching": {"kind": "buckets"},
    }
    model = Model.from_config(config, codecs).double().eval()
    with torch.no_grad():
        model.task.linear.weight.copy_(torch.tensor([[2.0], [3.0]]))
        model.task.linear.bias.copy_(torch.tensor([0.0, 1.0]))
    return model


def test_numbers_by_scale() -> None:
    x, y = agreement(means(), [*EXAMPLES, {"series": np.zeros((0, 1)), "number": 3.0, "scale": "x"}])
    assert (x.scale, x.true.tolist(), x.said.tolist()) == ("x", [5, 8, 2], [2, 6, -2])
    assert (y.scale, y.true.tolist(), y.said.tolist()) == ("y", [1, 4], [7, 1])
    assert x.conclusion == "Off by 3 on average, by 3 too low."
    assert y.conclusion == "Off by 4.5 on average, by 1.5 too high."
    assert json.loads(json.dumps(x.as_json()))["said"] == [2, 6, -2]
    assert sum(len(each.true) for each in agreement(means(), EXAMPLES * 9, most=7)) == 7


def test_extremes_drawn_to_the_middle_are_told() -> None:
    (x,) = agreement(means(), [example("x", value, 10 * value) for value in (-1, 0, 1)])
    assert x.conclusion == (
        "Off by 5.33 on average. What is said spreads less than what is true: extremes are drawn to the middle."
    )


@pytest.mark.parametrize("task", ["classify", "tag", "generate", "transduce"])
def test_who_says_no_number_is_refused(made: Any, task: str) -> None:
    with pytest.raises(DataError, match="its answers are not one number for a whole sequence"):
        agreement(made(task), EXAMPLES)


def test_without_true_numbers_there_is_nothing_to_compare() -> None:
    with pytest.raises(DataError, match=r"no examples with their true numbers\. Look at the run's own held-out data"):
        agreement(means(), [{"series": np.zeros((3, 1))}])
