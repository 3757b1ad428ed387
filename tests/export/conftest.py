"""Small models of every task with random weights, as runs that were never trained."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper

from recurra import checkpoint, registry
from recurra import config as configuration
from recurra.data.codecs.characters import Character
from recurra.data.codecs.labels import Labels
from recurra.export import program, write
from recurra.export.parts import Part
from recurra.model import Model
from recurra.runs.run import Run
from recurra.testing.samples import random_value

TEXT = "the dogs, 2 of them, ran home. where did she go? John's cat isn't big enough (so far)."
WORDS = [TEXT.split(), list("abcdefg")]
TAGS = ["O", "B-per", "I-per", "B-loc"]
SMALL = {
    "embedder.size": 8,
    "core.hidden_size": 8,
    "core.heads": 2,
    "core.degree": 1,  # random weights of products run away
    "core.feed_forward": 12,
    "task.decoder.hidden_size": 8,
    "task.decoder.heads": 2,
    "task.decoder.feed_forward": 12,
    "task.hidden_size": 8,
    "task.latent": 4,
    "task.steps": 3,
}


def fitted(settings: Mapping[str, Any]) -> Any:
    """A vocabulary of a few texts."""
    kind = settings["kind"]
    if kind == "subwords":
        return registry.construct("codec", {**settings, "size": 300, "min_count": 1}).fit([TEXT] * 3)
    made = registry.construct("codec", {**settings, "min_count": 1} if "min_count" in settings else settings)
    if "sound" in made.forms:
        return made.fit([random_value("sound", 30, np.random.default_rng(0))])
    if made.forms in (("notes",), ("moves",)):
        return made.fit([random_value(made.forms[0], 30, np.random.default_rng(0))])
    if kind == "grey-picture":
        return made.fit([random_value("image", 7, np.random.default_rng(0))])
    if kind == "bases":
        return made
    if kind == "tokens":
        return made.fit([made.tokens(TEXT), *WORDS])
    return made.fit([TEXT])


def make_model(recipe: str, settings: Mapping[str, Any] | None = None) -> Model:
    """A recipe's model, shrunk, with random weights."""
    settings = dict(settings or {})
    config = configuration.with_settings(configuration.load_recipe(recipe), {})
    for whole in [name for name, value in settings.items() if isinstance(value, dict) and "kind" in value]:
        section, _, key = whole.rpartition(".")
        (config[section] if section else config)[key] = settings.pop(whole)
    small = {name: value for name, value in SMALL.items() if _has(config, name)}
    config = configuration.with_settings(config, {**small, **settings})
    task = registry.construct("task", config["task"])
    numbers = config.get("vocabulary", config.get("input", task.fields["input"].codec))
    of_numbers = "vectors" in registry.find("codec", numbers["kind"]).forms
    draw = np.random.default_rng(0)
    if of_numbers:
        symbols = {"input": registry.construct("codec", numbers).fit([draw.uniform(1, 2, (9, 2))])}
    else:
        symbols = {"input": fitted(numbers)}
    if "target" in task.fields:
        joint = config["task"].get("tied") == "all"
        if not of_numbers:
            symbols["target"] = symbols["input"] if joint else fitted(config.get("target") or config["vocabulary"])
        else:
            symbols["target"] = registry.construct("codec", task.fields["target"].codec).fit([draw.normal(size=(9, 2))])
    if config["embedder"].get("spelling"):
        symbols["characters"] = Character().fit([TEXT])
    if "tags" in task.fields:
        symbols["tags"] = Labels().take(TAGS)
    if "label" in task.fields or "labels" in task.fields:
        symbols["label"] = Labels().take(["yes", "no", "home"])
    if "node_labels" in task.fields:
        symbols["node_labels"] = registry.construct("codec", {"kind": "node-labels"}).fit([["yes", "no"]])
    if "tree" in task.fields:
        symbols["tree"] = registry.construct("codec", task.fields["tree"].codec)
    if "number" in task.fields:
        symbols["number"] = registry.construct("codec", task.fields["number"].codec).fit([1.0, 2.0])
    if "scale" in task.fields:
        symbols["scale"] = Labels("label").take(["a", "b"])
    if "ngrams" in task.fields:
        symbols["ngrams"] = registry.construct("codec", task.fields["ngrams"].codec).fit([TEXT.split(), *WORDS] * 2)
    if "texts" in task.fields:
        symbols["texts"] = registry.construct("codec", task.fields["texts"].codec).fit([TEXT])
    torch.manual_seed(0)
    model = Model.from_config(config, symbols).eval()
    for parameter in model.parameters():
        torch.nn.init.uniform_(parameter, -0.5, 0.5)
    for buffer in model.buffers():
        if buffer.is_floating_point() and bool(buffer.isnan().any()):  # what a training sets at its end
            torch.nn.init.uniform_(buffer, 0.1, 0.5)
    return model


def _has(config: Mapping[str, Any], name: str) -> bool:
    """Whether the part of a table has a setting."""
    section, _, key = name.rpartition(".")
    table: Any = config
    for part in section.split("."):
        table = table.get(part, {})
    return isinstance(table, dict) and "kind" in table and key in registry.defaults(part, table["kind"])


def run_of(model: Model, path: Path) -> Any:
    """A model as a run; its folder need not be there."""
    return Run(path, model.config, model, torch.device("cpu"))


KEPT: dict[tuple[str, str], bytes] = {}


def remembered(part: Part, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """What `record` makes, made once for all tests: torch's exporter takes seconds."""
    model, core = part.model, type(part.model.core).__name__
    key = part.file, core + checkpoint.fingerprint(model) + json.dumps(model.config, default=str)
    if key not in KEPT:
        KEPT[key] = program.record(part, {}).SerializeToString()
    made = onnx.load_model_from_string(KEPT[key])
    helper.set_model_props(made, dict(metadata))
    return made


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "record", remembered)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
