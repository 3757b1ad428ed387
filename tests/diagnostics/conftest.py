"""Small models of every kind that can be looked into, with random weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from recurra.data.codecs.characters import Character
from recurra.data.codecs.labels import Labels
from recurra.data.codecs.tokens import Tokens
from recurra.model import Model

TEXT = 'He said "go (now)" and left.\nShe [did not] say: "why?"\n'
SENTENCES = [["the", "quick", "fox", "jumps"], ["over", "the", "lazy", "dog", "."]]
TAGS = ["O", "B-x", "I-x"]


def _vocabularies(task: str) -> dict[str, Any]:
    if task == "generate":
        return {"input": Character().fit([TEXT])}
    found: dict[str, Any] = {"input": Tokens().fit(SENTENCES)}
    if task == "tag":
        found["tags"] = Labels().fit([TAGS])
    if task == "classify":
        found["label"] = Labels().fit([["good", "bad", "odd"]])
    if task == "transduce":
        found["target"] = Tokens().fit([["der", "schnelle", "fuchs", "springt"]])
    return found


TASKS: dict[str, dict[str, Any]] = {
    "generate": {"kind": "generate"},
    "tag": {"kind": "tag", "scheme": "bio"},
    "classify": {"kind": "classify"},
    "fill": {"kind": "fill"},
    "transduce": {"kind": "transduce", "decoder": {"kind": "recurrent", "hidden_size": 6}},
}


@pytest.fixture
def made() -> Callable[..., Model]:
    """A model of a task with settings of its core, and of the task behind them."""

    def make(task: str = "generate", core: dict[str, Any] | None = None, **settings: Any) -> Model:
        torch.manual_seed(len(task))
        kind = "both-ways" if task == "fill" else "recurrent"
        config = {
            "embedder": {"kind": "symbols", "size": 6},
            "core": core or {"kind": kind, "cell": "lstm", "hidden_size": 6, "num_layers": 2},
            "task": {**TASKS[task], **settings},
            "batching": {"kind": "streams" if task == "generate" else "buckets"},
        }
        return Model.from_config(config, _vocabularies(task)).eval()

    return make
