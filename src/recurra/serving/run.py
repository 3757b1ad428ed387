"""A trained run, opened: which of the runs it is follows from what its task needs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from recurra import checkpoint, registry
from recurra import config as configuration
from recurra.data import vocabulary as vocabularies
from recurra.model import Model
from recurra.serving.labels import LabelRun
from recurra.serving.texts import TextRun
from recurra.training.evaluation import find_device

Run = TextRun | LabelRun
"""A run directory and the model in it: `path`, `config`, `model`, `device`, `report`, `predict`, `evaluate`."""


def load_run(path: str | Path, plugins: Iterable[str | Path] = (), device: str = "auto") -> Run:
    """Open a run directory. Raises `CheckpointError` for one that is missing, cut, corrupt or of another version."""
    for plugin in plugins:
        registry.load_plugin(plugin)
    folder = checkpoint.open_run(path)
    config = configuration.load_recipe(folder.config)
    configuration.check(config)
    model = Model.from_config(config, vocabularies.load_all(folder.vocabulary))
    place = find_device(device)
    checkpoint.load_model(folder.model, model).to(place).eval()
    kind = TextRun if model.task.needs == ("text",) else LabelRun
    return kind(folder.path, config, model, place)
