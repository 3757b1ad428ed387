"""Biases that begin at how often each symbol is, against the distribution a fresh model then gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from recurra import config as configuration
from recurra.tasks.contract import Begins
from recurra.types import Batch

from ..export.conftest import make_model


@pytest.mark.parametrize(
    ("recipe", "field", "settings"),
    [
        ("char-lm", "input", {}),
        ("fill", "input", {}),
        ("fill", "input", {"task.sides": "left", "core": {"kind": "recurrent", "hidden_size": 8}}),
        ("translate", "target", {}),
    ],
)
def test_a_model_that_has_learnt_nothing_gives_the_unigrams(recipe: str, field: str, settings: dict[str, Any]) -> None:
    assert recipe in configuration.recipe_names()
    model = make_model(recipe, settings)
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    assert isinstance(model.task, Begins)
    V = model.codecs[field].size + (1 if field == "target" else 0)
    drawn = np.random.default_rng(0)
    encoded = [{field: drawn.integers(V // 2, size=length)} for length in (7, 1, 12)]
    assert model.task.begin_from(encoded) == ""
    counts = np.bincount(np.concatenate([each[field] for each in encoded]), minlength=V)
    expected = torch.from_numpy((counts + 1) / (20 + V)).float()
    ids = torch.tensor([[1, 2, 0]])
    if field == "target":
        state = model.task.start(model.embedder, model.core, Batch({"input": ids}))
        log_p, _ = model.task.step(model.embedder, model.core, state, torch.tensor([0]))
        found = [log_p]
    else:
        found = [log_p[0] for log_p in model.task.ask(model.embedder, model.core, Batch({"input": ids})).values()]
    for log_p in found:
        assert torch.allclose(log_p.exp(), expected.expand_as(log_p), atol=1e-6)


def test_an_adaptive_softmax_has_no_bias_for_each_symbol() -> None:
    model = make_model("word-lm-small", {"task.softmax": {"kind": "adaptive", "cutoffs": [3, 6], "factor": 2.0}})
    before = model.task.emission.bias.clone()
    assert model.task.begin_from([{"input": np.array([1, 2])}]) == "" and torch.equal(model.task.emission.bias, before)
