"""Attention maps: the decoder's alignment, a Transformer's heads, their sharpness."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from recurra.diagnostics import AttentionMap, alignment, self_attention
from recurra.errors import ConfigError
from recurra.model import Model
from recurra.types import Batch

from .conftest import SENTENCES, TEXT

Made = Callable[..., Model]
DECODER: dict[str, Any] = {"kind": "recurrent", "hidden_size": 6}


@pytest.mark.parametrize("decoder", [DECODER, {"kind": "transformer", "hidden_size": 8, "heads": 2, "num_layers": 1}])
def test_alignment_of_a_given_target(made: Made, decoder: dict[str, Any]) -> None:
    model = made("transduce", decoder=decoder)
    found = alignment(model, {"source": "the quick fox", "target": "der fuchs"})
    assert found.rows == ("der", "fuchs", "∎")
    assert found.columns == ("the", "quick", "fox", "∎")
    assert not found.own_answer
    source, target = model.codecs["input"], model.codecs["target"]
    ids = {"input": [*source.encode(["the", "quick", "fox"]), len(source)]}
    ids["target"] = [*target.encode(["der", "fuchs"]), len(target)]
    batch = Batch({name: torch.tensor(numbers)[None] for name, numbers in ids.items()})
    with torch.no_grad():
        expected = model.task.alignment(model.embedder, model.core, batch)[0]
    assert np.allclose(found.weights, expected, atol=1e-6)
    assert found.weights.sum(1) == pytest.approx(np.ones(3), abs=1e-6)


def test_alignment_of_the_models_own_target(made: Made) -> None:
    found = alignment(made("transduce"), "the quick fox")
    assert found.own_answer and found.rows[-1] == "∎"
    assert found.weights.shape == (len(found.rows), 4)
    assert found.as_json()["entropy"] == found.entropy


def test_sharpness() -> None:
    sharp = AttentionMap(("a",), ("x", "y", "z", "w"), np.array([[0, 1.0, 0, 0]]))
    even = AttentionMap(("a",), ("x", "y", "z", "w"), np.full((1, 4), 0.25))
    assert (sharp.entropy, sharp.largest) == (0, 1)
    assert (even.entropy, even.largest) == (pytest.approx(math.log(4)), 0.25)


@pytest.mark.parametrize(("task", "causal"), [("generate", True), ("tag", False)])
def test_self_attention_head_by_head(made: Made, task: str, causal: bool) -> None:
    core = {"kind": "transformer", "hidden_size": 8, "heads": 2, "num_layers": 3, "causal": causal}
    given = TEXT[:9] if task == "generate" else SENTENCES[1]
    found = self_attention(made(task, core=core), given)
    assert [(one.layer, one.head) for one in found] == [(layer, head) for layer in (1, 2, 3) for head in (1, 2)]
    for one in found:
        assert one.map.weights.sum(1) == pytest.approx(np.ones(len(given)), abs=1e-6)
        assert (np.triu(one.map.weights, 1).max() == 0) == causal
    assert found[0].as_json()["head"] == 1


def test_watching_changes_no_output(made: Made) -> None:
    core = {"kind": "transformer", "hidden_size": 8, "heads": 2, "causal": True}
    model = made(core=core)
    batch = Batch({"input": torch.from_numpy(model.codecs["input"].encode(TEXT))[None]})
    trace: list[Any] = []
    with torch.no_grad():
        plain, _ = model.core(*model.embedder(batch))
        watched, _ = model.core(*model.embedder(batch), trace=trace)
    assert torch.allclose(plain, watched, atol=1e-6)
    assert [one.layer for one in trace] == [0, 1, 2]


def test_what_does_not_attend_says_so(made: Made) -> None:
    with pytest.raises(ConfigError, match="this model writes no target"):
        alignment(made(), TEXT)
    with pytest.raises(ConfigError, match="it has no self-attention"):
        self_attention(made(), TEXT)
    with pytest.raises(ConfigError, match="this decoder has no attention"):
        alignment(made("transduce", decoder={**DECODER, "context": "initial"}), "the fox")
