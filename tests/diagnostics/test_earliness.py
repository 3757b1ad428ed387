"""How early a model can say: the score of its answers to beginnings, of words and of numbers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from recurra.data.codecs.labels import Labels
from recurra.data.codecs.numbers import Scaled
from recurra.diagnostics import Earliness, earliness
from recurra.errors import DataError
from recurra.model import Model

RANDOM = np.random.default_rng(0)


def told(share: float, steps: int, label: str) -> dict[str, Any]:
    """A sequence that says what it is at one place: 1 or −1 there, else nothing."""
    x = np.zeros((steps, 1))
    x[int(share * steps)] = 1 if label == "up" else -1
    return {"vectors": x, "label": label}


def sums(bidirectional: bool = False) -> Model:
    """A model that answers by the sign of the sum of all it has read: h = x + h, z = (h, −h)."""
    examples = [told(0.4, 20, name) for name in ("up", "down")]
    codecs = {
        "input": Scaled().fit([each["vectors"] for each in examples]),
        "label": Labels("label").fit(["up", "up", "down"]),
    }
    core = {"kind": "recurrent", "cell": "rnn-identity", "hidden_size": 1, "bidirectional": bidirectional}
    config = {
        "embedder": {"kind": "numbers"},
        "core": core,
        "task": {"kind": "classify"},
        "batching": {"kind": "buckets"},
    }
    model = Model.from_config(config, codecs).double().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.fill_(0.0 if "bias" in name else 1.0)
        model.task.label.linear.weight[1] = -1
    return model


@pytest.mark.parametrize("bidirectional", [False, True])
def test_what_is_said_at_a_place_is_known_from_there_on(bidirectional: bool) -> None:
    examples = [told(0.42, steps, label) for steps in (20, 31) for label in ("up", "down") for _ in range(5)]
    found = earliness(sums(bidirectional), examples)
    assert found.values[:4].tolist() == [50.0] * 4 and found.values[4:].tolist() == [100.0] * 6
    assert found.examples == 20 and found.metric == "accuracy" and found.steps[0] == (2 + 4) / 2
    assert found.enough == 4
    assert found.conclusion == "With 50% of a sequence, 13 steps on average, its accuracy is 100, with all 100."
    assert json.loads(json.dumps(found.as_json()))["values"] == found.values.tolist()


def test_a_seeded_sample_of_many() -> None:
    examples = [told(0.1, 10, label) for label in ("up", "down") for _ in range(20)]
    empty = {"vectors": np.zeros((0, 1)), "label": "up"}
    assert earliness(sums(), [*examples, empty]).examples == 40
    assert earliness(sums(), examples, most=7).examples == 7


def test_of_words(made: Any) -> None:
    found = earliness(made("classify"), [{"text": "the quick fox jumps over", "label": "bad"}])
    assert found.steps.tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


@pytest.mark.parametrize("task", ["generate", "tag", "transduce"])
def test_who_answers_otherwise_is_refused(made: Any, task: str) -> None:
    with pytest.raises(DataError, match="not by one answer for a whole sequence"):
        earliness(made(task), [])


def test_without_labels_there_is_nothing_to_score(made: Any) -> None:
    with pytest.raises(DataError, match="no labelled examples to ask about"):
        earliness(made("classify"), [{"text": "the fox"}])


def test_what_is_concluded() -> None:
    def found(values: list[float], direction: Any = "max") -> Earliness:
        shares = np.arange(1, len(values) + 1) / len(values)
        return Earliness(shares, np.array(values), 10 * shares, "macro_f1", direction, 9)

    assert "needs nearly all of a sequence: with 50% its macro f1 is 20, with all 80." in found([20, 80]).conclusion
    assert found([3, 1.04, 1], "min").enough == 1 and found([3, 1.06, 1], "min").enough == 2
    assert found([0, 0]).conclusion == "With all of a sequence its macro f1 is 0."
