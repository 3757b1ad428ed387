"""Small runs of every kind, with random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from recurra.data.codecs.characters import Character
from recurra.data.codecs.labels import Labels
from recurra.data.codecs.tokens import Tokens
from recurra.model import Model
from recurra.serving.run import RUNS, learns_from

TEXT = "the quick brown fox jumps over the lazy dog\n"
WORDS = TEXT.split()
NAMES = ["good", "bad", "odd"]
BOTH = {"kind": "both-ways", "cell": "lstm", "hidden_size": 6}
LSTM = {"kind": "recurrent", "cell": "lstm", "hidden_size": 6}
TASKS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "writer": ({"kind": "generate"}, LSTM),
    "tagger": ({"kind": "tag", "scheme": "bio"}, LSTM),
    "slots": ({"kind": "tag", "scheme": "bio", "decoder": "crf", "intent": True}, {**LSTM, "bidirectional": True}),
    "pos": ({"kind": "tag", "scheme": "none"}, LSTM),
    "classifier": ({"kind": "classify"}, LSTM),
    "labels": ({"kind": "classify", "multi_label": True}, LSTM),
    "fill": ({"kind": "fill"}, BOTH),
    "pairs": ({"kind": "transduce", "decoder": {"kind": "recurrent", "hidden_size": 6}}, LSTM),
    "blind": ({"kind": "transduce", "decoder": {"kind": "recurrent", "hidden_size": 6, "context": "initial"}}, LSTM),
}
REPORT = {
    "split": "made for the tests",
    "seed": 0,
    "minutes": {"training": 0.5},
    "commands": ["recurra train"],
    "sample": {"text": TEXT},
    "scores": {
        "valid": {"model": {"loss": 1.5}, "baseline": [{"name": "nothing", "size": 1, "unit": "rows", "loss": 2.5}]}
    },
}


def _vocabularies(name: str) -> dict[str, Any]:
    if name == "writer":
        return {"input": Character().fit([TEXT])}
    found: dict[str, Any] = {"input": Tokens().fit([WORDS])}
    if name in ("tagger", "slots"):
        found["tags"] = Labels().fit([["O", "B-x", "I-x", "B-y"]])
    if name == "pos":
        found["tags"] = Labels().fit([["NOUN", "VERB"]])
    if name in ("classifier", "labels", "slots"):
        found["label"] = Labels().fit([NAMES])
    if name in ("pairs", "blind"):
        found["target"] = Tokens().fit([["der", "schnelle", "fuchs", "springt"]])
    return found


def make_run(name: str, folder: Path) -> Any:
    """A run of one of `TASKS`; of the writer there is a report."""
    task, core = TASKS[name]
    torch.manual_seed(len(name))
    config: dict[str, Any] = {
        "description": f"A small {name}.",
        "embedder": {"kind": "symbols", "size": 5},
        "core": core,
        "task": task,
        "batching": {"kind": "buckets", "size": 8},
    }
    model = Model.from_config(config, _vocabularies(name)).eval()
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(3)  # what is likely is then told from what is not
    path = folder / name
    path.mkdir(parents=True, exist_ok=True)
    if name == "writer":
        (path / "report.json").write_text(json.dumps(REPORT), encoding="utf-8")
    return RUNS[learns_from(model.task)](path, config, model, torch.device("cpu"))


@pytest.fixture(scope="session")
def small_runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """By name, runs that are not to be changed."""
    folder = tmp_path_factory.mktemp("served")
    return {name: make_run(name, folder) for name in TASKS}
