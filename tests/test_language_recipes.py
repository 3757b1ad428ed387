"""The recipes of large language models at a small size: they start, learn, are validated and can be gone on with."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

import recurra
from recurra import config as configuration

PROSE = Path(__file__).parent / "fixtures" / "prose.txt"
SMALL: dict[str, Any] = {
    "core.hidden_size": 12,
    "embedder.size": 12,
    "batching.streams": 4,
    "batching.steps": 20,
    "vocabulary.kind": "character",
    "baseline.order": 2,
    "training.epochs": 2,
    "training.schedule": "constant",
    "training.threads": 1,
    "training.device": "cpu",
    "training.precision": "float32",
}


@pytest.mark.parametrize("recipe", ["word-lm", "word-lm-medium", "word-lm-awd", "char-lm-large"])
def test_a_recipe_learns_and_half_and_half_is_the_whole(recipe: str, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text(PROSE.read_text(encoding="utf-8")[:5000], encoding="utf-8")
    whole = recurra.train(recipe, text, out=tmp_path / "whole", settings=SMALL)
    recurra.train(recipe, text, out=tmp_path / "half", settings=SMALL | {"training.epochs": 1})
    again = recurra.train(tmp_path / "half", resume=True, settings={"training.epochs": 2})
    for name, weights in again.model.state_dict().items():
        assert torch.equal(weights, whole.model.state_dict()[name]), name
    lines = [json.loads(line) for line in (whole.path / "metrics.jsonl").read_text().splitlines()]
    losses = [line["valid_nats_per_symbol"] for line in lines if "valid_nats_per_symbol" in line]
    assert len(losses) == 2 and min(losses) < math.log(len(whole.model.codecs["input"])) - 0.1


def test_the_sizes_of_the_published_models() -> None:
    medium = configuration.load_recipe("word-lm-medium")
    assert (medium["core"]["num_layers"], medium["core"]["hidden_size"], medium["training"]["epochs"]) == (2, 650, 39)
    assert {medium[part]["dropout"] for part in ("embedder", "core", "task")} == {0.5}
    awd = configuration.load_recipe("word-lm-awd")
    assert awd["embedder"]["size"] == awd["core"]["hidden_size"] and awd["task"]["tied"]
    assert awd["training"]["average"] == {"kind": "triggered", "patience": 5}
    assert awd["batching"]["vary_steps"]
