"""A model that reads numbers starts from a run on the like."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import recurra
from recurra import checkpoint, cli
from recurra.data.codecs.file import load
from recurra.errors import ConfigError, DataError
from recurra.workflow.fine_tuning import fine_tune
from recurra.workflow.plan import make_plan

SMALL: dict[str, Any] = {
    "reader.kind": "npz-jsonl",
    "input.kind": "scaled",
    "embedder.size": 5,
    "core.num_layers": 1,
    "task.ngrams": 0,
    "search.beam": 1,
    "baseline.kind": "frequent",
    "training.epochs": 1,
    "training.learning_rate": 1e-9,
    "training.schedule": "constant",
    "training.average": 0.0,
    "training.threads": 1,
    "training.device": "cpu",
}


def features(folder: Path, letters: str, count: int = 30) -> tuple[Path, Path]:
    random = np.random.default_rng(len(letters))
    lengths = random.integers(20, 30, count)
    offsets = np.concatenate(([0], lengths.cumsum()))
    np.savez(folder / "a.npz", features=random.normal(size=(offsets[-1], 3)).astype(np.float32), offsets=offsets)
    texts = ("".join(random.choice([*letters], 2)) for _ in range(count))
    (folder / "a.jsonl").write_text("".join(f'{{"text": "{text}"}}\n' for text in texts))
    return folder / "a.npz", folder / "a.jsonl"


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("before")
    settings = {**SMALL, "core.hidden_size": 6, "training.learning_rate": 0.01}
    recurra.train("transcribe", *features(folder, "abc"), out=folder / "run", settings=settings, no_test=True)
    return folder


def weights(run: Path) -> dict[str, Any]:
    return checkpoint.load_tensors(run / "model.safetensors")[0]


@pytest.mark.parametrize("letters", ["abc", "abcd"])
def test_all_that_fits_is_taken(before: Path, tmp_path: Path, letters: str) -> None:
    settings = {**SMALL, "init.from": str(before / "run")}
    recurra.train("transcribe", *features(tmp_path, letters), out=tmp_path / "run", settings=settings, no_test=True)
    ours, theirs = weights(tmp_path / "run"), weights(before / "run")
    assert ours.keys() == theirs.keys()
    learnt = [name for name in ours if name.startswith(("embedder.", "core.", "task.linear"))]
    fits = [name for name in learnt if ours[name].shape == theirs[name].shape]
    same = {name for name in fits if (ours[name] - theirs[name]).abs().max() < 1e-5}
    assert {name for name in learnt if not name.startswith("task.")} <= same
    assert ("task.linear.weight" in same) == (letters == "abc")
    report = checkpoint.read_report(tmp_path / "run" / "report.json")
    assert report["init"]["new"] == ([] if letters == "abc" else ["the task"])
    assert report["init"]["core"]["parameters"][0] == report["init"]["core"]["parameters"][1]


def test_it_learns_layer_by_layer_and_a_test_it_may_have_read_is_told(
    before: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {**SMALL, "init.from": str(before / "run"), "init.unfreeze": 1, "data.test_fraction": 0.2}
    files = (before / "a.npz", before / "a.jsonl")
    words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    assert cli.call(("train", "transcribe", *map(str, files), *words, "--no-test", "--out", str(tmp_path / "run"))) == 0
    said = "".join(capsys.readouterr())
    assert "Start: run run" in said and "the embedder, the task, 8 of 8 tensors of the core" in said
    assert "layer 0 of the core from epoch 1, the embedder from epoch 2 on" in said
    assert "The run run was trained on" in said and "cut otherwise" in said


def test_the_task_of_another_kind_is_new(before: Path, tmp_path: Path) -> None:
    model = SimpleNamespace(
        embedder=torch.nn.Module(),
        core=torch.nn.Module(),
        task=torch.nn.Module(),
        config={"task": {"kind": "classify"}},
    )
    theirs = load(before / "run" / "codecs.json")
    model.codecs = SimpleNamespace(saved=theirs)
    tensors = weights(before / "run")
    model.core.layers = torch.nn.Module()
    name = next(each for each in tensors if each.startswith("core.layers."))
    model.core.layers.register_parameter(name.rpartition(".")[2], torch.nn.Parameter(torch.zeros_like(tensors[name])))
    model.task.linear = torch.nn.Linear(*reversed(tensors["task.linear.weight"].shape))
    taken = fine_tune(model, before / "run")
    assert taken.new == ["the task"] and taken.tensors == (1, 1)
    model.config["task"]["kind"] = "transcribe"
    assert not fine_tune(model, before / "run").new


def test_its_form_is_that_of_the_run_but_for_what_is_set(before: Path, tmp_path: Path) -> None:
    files = features(tmp_path, "abc")
    stated = {"reader.kind": "npz-jsonl", "input.kind": "scaled", "init.from": str(before / "run")}
    config = make_plan("transcribe", files, settings={**stated, "embedder.noise": 0.7}).config
    assert config["core"]["hidden_size"] == 6 and config["embedder"]["size"] == 5 and config["embedder"]["noise"] == 0.7
    settings = {**SMALL, **stated, "core.cell": "gru"}
    with pytest.raises(DataError, match="no tensor of the core is as in the run"):
        recurra.train("transcribe", *files, out=tmp_path / "run", settings=settings, no_test=True)


def test_one_that_reads_something_else_is_refused(before: Path, tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("a\tb\n")
    settings = {"init.from": str(before / "run")}
    with pytest.raises(
        ConfigError, match=re.escape("reads scaled, this model line-image. Start from a run that reads")
    ):
        make_plan("line-reader", [tmp_path / "a.tsv"], settings=settings)
