"""Weights know the vocabularies they were trained with: another one of the same size is refused, both files named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import recurra
from recurra import checkpoint, workflow
from recurra import config as configuration
from recurra.checkpoint import RunFolder
from recurra.data.codecs import file as codec_file
from recurra.data.mark import mark_of
from recurra.errors import CheckpointError
from recurra.model import Model
from recurra.training import resume
from recurra.training.resume import Counters
from recurra.workflow import transfer

from .export.conftest import make_model

CPU = torch.device("cpu")


def written(path: Path, model: Model) -> RunFolder:
    """A model as a run's folder."""
    path.mkdir()
    folder = RunFolder(path)
    folder.config.write_text(configuration.dump_toml(model.config), encoding="utf-8")
    codec_file.save(model.codecs.saved, folder.codecs)
    checkpoint.save_model(folder.model, model, {"step": "3"})
    return folder


def changed(folder: RunFolder, field: str, change: Callable[[dict[str, Any]], None]) -> None:
    """The vocabulary of another run of the same size in the place of the run's."""
    record = json.loads(folder.codecs.read_text(encoding="utf-8"))
    change(record["codecs"][field])
    folder.codecs.write_text(json.dumps(record), encoding="utf-8")


def turned(record: dict[str, Any]) -> None:
    """Two symbols that changed places."""
    record["symbols"][-1], record["symbols"][-2] = record["symbols"][-2:]


def unmarked(path: Path) -> None:
    """The file as it was written before weights knew their vocabularies."""
    tensors, metadata = checkpoint.load_tensors(path)
    checkpoint.save_tensors(path, tensors, {k: v for k, v in metadata.items() if k != "vocabulary"})


CASES: list[tuple[str, str, Callable[[dict[str, Any]], None]]] = [
    ("char-lm", "input", turned),
    ("slots", "tags", turned),
    ("slots", "label", turned),
    ("slots", "characters", turned),
    ("slots", "input", lambda record: record["settings"].update(split="words")),
    ("slots", "input", lambda record: record.update(splitter=1)),
    ("classifier", "label", turned),
    ("translate", "target", turned),
    ("fill", "input", turned),
]


@pytest.mark.parametrize(("recipe", "field", "change"), CASES)
def test_a_vocabulary_of_the_same_size_is_not_another_run_s(
    recipe: str, field: str, change: Callable[[dict[str, Any]], None], tmp_path: Path
) -> None:
    folder = written(tmp_path / "run", make_model(recipe))
    assert recurra.load(folder.path, device="cpu")
    changed(folder, field, change)
    said = f"{folder.model} was trained with another vocabulary than that in {folder.codecs}: its numbers mean"
    with pytest.raises(CheckpointError, match=f"^{said}"):
        recurra.load(folder.path, device="cpu")
    unmarked(folder.model)
    assert recurra.load(folder.path, device="cpu")


def test_runs_that_answer_together_are_checked_each(tmp_path: Path) -> None:
    first, second = (written(tmp_path / name, make_model("classifier")) for name in ("a", "b"))
    changed(second, "label", turned)
    with pytest.raises(CheckpointError, match=rf"^{second.model} was trained with another vocabulary"):
        workflow.evaluate(first.path, second.path, device="cpu")


def test_a_training_goes_on_with_its_own_vocabulary_alone(tmp_path: Path) -> None:
    model, other = make_model("char-lm"), make_model("char-lm")
    symbols = other.codecs["input"].symbols
    other.codecs["input"].take([*symbols[:-1], "ß"])
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    path = tmp_path / "resume.safetensors"
    resume.save(path, model, optimiser, None, None, Counters(step=2), resume.generators(CPU, lambda state: [state]))
    assert resume.load(path, model, optimiser, lambda _: None, CPU)[0].step == 2
    with pytest.raises(CheckpointError, match=rf"^{path} was trained with another vocabulary than that in .*\.json"):
        resume.load(path, other, optimiser, lambda _: None, CPU)
    unmarked(path)
    assert resume.load(path, other, optimiser, lambda _: None, CPU)[0].step == 2


def test_nothing_is_taken_from_a_run_with_another_vocabulary(tmp_path: Path) -> None:
    model = make_model("char-lm")
    folder, counts = written(tmp_path / "run", model), np.ones(len(model.codecs["input"]), np.int64)
    assert transfer.take(model, folder.path, counts).names
    changed(folder, "input", turned)
    with pytest.raises(CheckpointError, match=rf"^{folder.model} was trained with another vocabulary"):
        transfer.take(model, folder.path, counts)


def test_a_mark_is_of_what_is_written_whatever_its_order() -> None:
    record = {
        "kind": "subwords",
        "settings": {"size": 300, "lower": False},
        "symbols": ["a", "é"],
        "scores": [0.1, -2.5],
    }
    mark = mark_of({"input": record})
    again = json.loads(json.dumps({"input": dict(reversed(record.items()))}))
    assert mark_of(again) == mark and len(mark) == 16
    others = ({"symbols": ["é", "a"]}, {"scores": [0.1, -2.5000000000000004]}, {"settings": {"size": 300}})
    assert all(mark_of({"input": record | other}) != mark for other in others)
    assert mark_of({"target": record}) != mark
