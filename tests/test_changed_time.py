"""An embedder that makes one step of two: what follows reads the shorter time; what needs every step is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import recurra
from recurra import cli, registry
from recurra.errors import ConfigError
from recurra.model import make_parts

PLUGIN = '''
import torch
from torch import nn

from recurra.registry import part
from recurra.types import Lengths


@part("embedder", "pairs")
class Pairs(nn.Module):
    """Two symbols make a step."""

    changes_time = True

    def __init__(self, size: int = 4) -> None:
        super().__init__()
        self.size, self.output_size = size, 2 * size

    def build(self, sizes):
        self.vectors = nn.Embedding(sizes.vocabulary + 1, self.size)
        return self

    def forward(self, batch):
        symbols, lengths = batch.fields["input"] + 1, batch.structure.values
        if lengths is not None:
            there = torch.arange(symbols.shape[1], device=symbols.device) < lengths[:, None]
            symbols, lengths = symbols * there, (lengths + 1) // 2
        symbols = nn.functional.pad(symbols, (0, 1))
        even, odd = symbols[:, :-1:2], symbols[:, 1::2]
        return torch.cat((self.vectors(even), self.vectors(odd)), 2), Lengths(lengths)
'''
TINY = {
    "embedder.kind": "pairs",
    "core.hidden_size": 6,
    "training.epochs": 2,
    "training.threads": 1,
    "training.device": "cpu",
    "vocabulary.min_count": 1,
}
TEXTS = ["the soup was good", "bad", "the soup was very bad indeed"]


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("pairs") / "pairs.py"
    path.write_text(PLUGIN, encoding="utf-8")
    yield path
    for key, module in [*registry._origins.items()]:
        if module.startswith("recurra_plugin_"):
            registry._parts.pop(key, None), registry._origins.pop(key)
    registry._plugins.clear()


@pytest.fixture(scope="module")
def classifier(plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("changed")
    rows = [f"{text} {k}\t{label}" for k in range(20) for text, label in zip(TEXTS, "abb", strict=True)]
    (folder / "texts.tsv").write_text("text\tlabel\n" + "\n".join(rows) + "\n", encoding="utf-8")
    recurra.train("classifier", folder / "texts.tsv", out=folder / "run", settings=TINY, plugins=[plugin])
    return folder / "run"


def shares(answer: Any) -> dict[str, float]:
    return {each["label"]: each["p"] for each in answer["likeliest"]}


def test_a_core_reads_the_shortened_time(classifier: Path, plugin: Path) -> None:
    """Alone and beside longer ones a text is answered alike; what the core is given is half as long."""
    run = recurra.load(classifier, plugins=[plugin], device="cpu")
    lengths: list[int] = []

    def note(core: Any, given: Any) -> None:
        (x, structure), B = given[:2], len(given[0])
        lengths.extend([x.shape[1]] * B if structure.values is None else structure.values.tolist())

    run.model.core.register_forward_pre_hook(note)
    together = run.predict(*TEXTS, top=2)
    assert sorted(lengths) == [1, 2, 3]
    for text, answer in zip(TEXTS, together, strict=True):
        (alone,) = run.predict(text, top=2)
        assert shares(alone) == pytest.approx(shares(answer), abs=1e-6)


def test_its_export_says_the_same(classifier: Path, plugin: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the extra export is not installed")
    words = ["export", str(classifier), "--out", str(tmp_path / "onnx"), "--plugin", str(plugin)]
    assert cli.call(words) == 0
    ours, theirs = (recurra.load(each, plugins=[plugin], device="cpu") for each in (classifier, tmp_path / "onnx"))
    for one, other in zip(ours.predict(*TEXTS, top=2), theirs.predict(*TEXTS, top=2), strict=True):
        assert shares(one) == pytest.approx(shares(other), abs=1e-5)


def test_what_names_every_step_is_refused(classifier: Path, plugin: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.call(["stream", str(classifier), "--plugin", str(plugin)]) == 2
    assert "cannot be streamed: its embedder, 'pairs', gives other steps than" in capsys.readouterr().err


def test_what_is_no_matter_of_steps_is_looked_into(
    classifier: Path, plugin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.call(["inspect", str(classifier), "--text", "the soup was good", "--plugin", str(plugin)]) == 0
    assert "the embedder 'pairs' gives other steps than the input has" in "".join(capsys.readouterr())


@pytest.mark.parametrize("task", ["generate", "tag"])
def test_a_task_of_every_step_is_refused_before_data(plugin: Path, task: str) -> None:
    registry.load_plugin(plugin)
    config = {"embedder": {"kind": "pairs"}, "core": {"kind": "recurrent"}, "task": {"kind": task}}
    with pytest.raises(ConfigError, match=f"'pairs' gives other steps than the input has, but the task '{task}' reads"):
        make_parts(config)


def test_a_translation_is_not_aligned(plugin: Path, tmp_path: Path) -> None:
    rows = "".join(f"{a} {b} {c}\t{c} {b} {a}\n" for a in "abc" for b in "abc" for c in "abc")
    (tmp_path / "pairs.tsv").write_text(rows, encoding="utf-8")
    settings = {**TINY, "task.decoder.hidden_size": 6, "training.epochs": 1, "task.tied": "output"}
    del settings["vocabulary.min_count"]
    recurra.train("translate", tmp_path / "pairs.tsv", out=tmp_path / "run", settings=settings, plugins=[plugin])
    run = recurra.load(tmp_path / "run", plugins=[plugin], device="cpu")
    assert len(run.predict("a b c", beam=2)) == 1
    with pytest.raises(ConfigError, match="'pairs' gives other steps than the input has, or the input has no words"):
        run.predict("a b c", alignment=True)
