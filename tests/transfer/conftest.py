"""Labelled reviews, language models of their words and characters, and what starts from them."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch

import recurra
from recurra import checkpoint
from recurra.model import Model
from recurra.workflow import transfer
from recurra.workflow.material import Material
from recurra.workflow.plan import make_plan

WORDS = ["the", "a", "film", "story", "plot", "actor", "was", "is", "very", "quite", "not"]
WORDS += ["good", "bad", "dull", "great", "long", "short", "."]
LM = {
    "core.hidden_size": 10,
    "embedder.size": 6,
    "batching.streams": 4,
    "batching.steps": 16,
    "training.epochs": 1,
    "training.threads": 1,
    "training.device": "cpu",
    "baseline.order": 2,
}
SMALL = {
    "training.epochs": 2,
    "training.schedule": "constant",
    "training.threads": 1,
    "training.device": "cpu",
}


def reviews(path: Path, count: int = 60, words: list[str] = WORDS, seed: int = 1) -> Path:
    draw = random.Random(seed)
    rows = ((" ".join(draw.choices(words, k=draw.randint(3, 9))), draw.choice("+-")) for _ in range(count))
    path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A labelled file, a language model of its words and one of its characters."""
    folder = tmp_path_factory.mktemp("transfer")
    file = reviews(folder / "a.jsonl")
    labelled = {**LM, "reader.kind": "jsonl"}
    recurra.train("word-lm-small", file, out=folder / "lm", settings={**labelled, "core.num_layers": 1})
    recurra.train("word-lm-small", file, out=folder / "deep", settings=labelled)
    recurra.train("char-lm", file, out=folder / "chars", settings={**labelled, "core.num_layers": 1})
    return folder


def tensors(run: Path) -> dict[str, torch.Tensor]:
    return checkpoint.load_tensors(run / "model.safetensors")[0]


def fresh(folder: Path, run: str, **settings: Any) -> tuple[Model, transfer.Taken]:
    """A model that has just been started from a run, on a file with words of its own."""
    file = reviews(folder / "b.jsonl", words=[*WORDS[:9], "Opera", "opera", "ballet"], seed=2)
    given = {key.replace("__", "."): value for key, value in settings.items()}
    plan = make_plan(
        "classifier", [file], settings={**SMALL, "reader.kind": "jsonl", **given, "init.from": str(folder / run)}
    )
    material = Material(plan.config)
    torch.manual_seed(3)
    model = Model.from_config(material.config, material.codecs)
    ids = torch.cat([torch.from_numpy(each) for each in material.input_ids()])
    counts = torch.bincount(ids, minlength=len(model.codecs["input"])).numpy()
    return model, transfer.take(model, folder / run, counts)
