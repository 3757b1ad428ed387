"""A trained run, opened: which of the runs it is follows from what its task learns from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from recurra import checkpoint
from recurra import config as configuration
from recurra import plugins as own_files
from recurra.data.codecs import file as codec_file
from recurra.errors import ConfigError, UnknownName
from recurra.model import Model
from recurra.serving.fills import FillRun
from recurra.serving.labels import LabelRun
from recurra.serving.pairs import PairRun
from recurra.serving.texts import TextRun
from recurra.training.evaluation import find_device

Run = TextRun | LabelRun | PairRun | FillRun
"""A run directory and the model in it: `path`, `config`, `model`, `device`, `report`, `does`, `predict`, `evaluate`."""
RUNS: dict[str, type[TextRun] | type[LabelRun] | type[PairRun] | type[FillRun]] = {
    "text": TextRun,
    "labels": LabelRun,
    "pairs": PairRun,
    "sentences": FillRun,
}
"""By what the task learns from."""


def learns_from(task: Any) -> Literal["text", "labels", "pairs", "sentences"]:
    """The data a task learns from, by the fields it needs: one long text alone, sentences alone, a source, or else
    what has labels."""
    if "source" in task.needs:
        return "pairs"
    if task.needs == ("tokens",):
        return "sentences"
    return "text" if task.needs == ("text",) else "labels"


def load_run(path: str | Path, plugins: Iterable[str | Path] = (), device: str = "auto") -> Run:
    """Open a run directory. Raises `CheckpointError` for one that is missing, cut, corrupt or of another version."""
    plugins = [*plugins]
    own_files.load(plugins)
    folder = checkpoint.open_run(path)
    config = configuration.load_recipe(folder.config)
    try:
        configuration.check(config)
    except UnknownName as error:
        raise ConfigError(f"{error} {own_files.hint(folder.path, plugins)}") from error
    model = Model.from_config(config, codec_file.load(folder.codecs))
    place = find_device(device)
    checkpoint.load_model(folder.model, model).to(place).eval()
    return RUNS[learns_from(model.task)](folder.path, config, model, place)
