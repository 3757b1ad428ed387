"""Trained from a corpus: as from files, gone on with bit for bit; and what does not fit it is named."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.workflow.encoding.conftest import batches_of, encoded, material_of

import recurra
from recurra import checkpoint
from recurra.data.corpus import reading
from recurra.data.corpus.reading import read_corpus
from recurra.errors import ConfigError, DataError, RecurraError, Stopped
from recurra.training.log import Event
from recurra.workflow.encoding import groups
from recurra.workflow.plan import make_plan

File = Callable[..., Path]
TINY = {
    "core.hidden_size": 8,
    "training.epochs": 2,
    "training.threads": 1,
    "training.device": "cpu",
    "training.schedule": "constant",
}


def test_a_run_from_a_corpus_is_scored_gone_on_with_and_evaluated(file_of: File, tmp_path: Path) -> None:
    file = file_of("char-lm")
    corpus = encoded("char-lm", file, out=tmp_path / "corpus")
    small = {"batching.streams": 3, "batching.steps": 16, "core.num_layers": 1, "baseline.order": 3}
    small = {**TINY, **small, "training.epochs": 3}
    files = recurra.train("char-lm", file, out=tmp_path / "files", settings=small)
    settings = {**small, "data.corpus": str(corpus)}
    run = recurra.train("char-lm", out=tmp_path / "run", settings=settings)
    assert run.report["scores"] == files.report["scores"]  # with those of the baseline
    assert run.report["split"] == files.report["split"]
    weights = checkpoint.load_tensors(run.path / "model.safetensors")[0]

    def stop(event: Event) -> None:
        if event.kind == "step" and event.step == 9:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Stopped):
        recurra.train("char-lm", out=tmp_path / "parts", settings=settings, progress=stop)
    (tmp_path / "moved").mkdir()
    corpus = corpus.rename(tmp_path / "moved" / "corpus")
    with pytest.raises(DataError, match="is no corpus"):
        recurra.train(tmp_path / "parts", resume=True)
    again = recurra.train(tmp_path / "parts", resume=True, settings={"data.corpus": str(corpus)})
    found = checkpoint.load_tensors(again.path / "model.safetensors")[0]
    assert all(torch.equal(weights[name], found[name]) for name in weights)
    scored = again.evaluate()
    assert scored["model"] == again.report["scores"]["test"]["model"]
    assert scored["baseline"][0]["name"] == run.report["scores"]["test"]["baseline"][0]["name"]


def test_shards_are_drawn_anew_for_each_epoch(file_of: File, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "LINES", 10)
    monkeypatch.setattr(reading, "TOGETHER", 30)
    file = file_of("classifier", lines=300)
    corpus = encoded("classifier", file, out=tmp_path / "corpus")
    held = read_corpus(corpus)
    shard_of = [k for k, shard in enumerate(held.index.shards) for _ in range(shard["examples"])]
    material = material_of("classifier", **{"data.corpus": str(corpus), "batching.size": 4})
    orders = []
    for epoch in (0, 1):
        passed = material.train(epoch, 5)
        order = [passed.order[k] for k in range(len(passed))]
        assert sorted(row for rows in order for row in rows) == [*range(len(shard_of))]  # each once
        assert order == [material.train(epoch, 5).order[k] for k in range(len(passed))]
        assert batches_of(material, epoch) == batches_of(material, epoch)
        mixed = [{shard_of[row] for row in rows} for rows in order]
        near = {k: set().union(*(each for each in mixed if k in each)) for k in range(len(held.index.shards))}
        assert max(map(len, near.values())) <= 5  # only those that were drawn together
        assert max(map(len, mixed)) > 1
        orders.append(order)
    assert orders[0] != orders[1]


def corpus_for(recipe: str, file_of: File, tmp_path: Path) -> Path:
    return encoded(recipe, file_of(recipe), out=tmp_path / "corpus")


def _cut(corpus: Path) -> None:
    os.truncate(corpus / "train.input.bin", 100)


def _changed(corpus: Path) -> None:
    with (corpus / "train.input.bin").open("r+b") as file:
        file.write(b"\7\7\7")


def _changed_codecs(corpus: Path) -> None:
    path = corpus / "codecs.json"
    path.write_text(path.read_text(encoding="utf-8").replace("d", "D"), encoding="utf-8")


def _missing(corpus: Path) -> None:
    (corpus / "valid.jsonl").unlink()


def _version(corpus: Path) -> None:
    path = corpus / "corpus.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 99}))


def _no_json(corpus: Path) -> None:
    (corpus / "corpus.json").write_text("{")


def _no_sizes(corpus: Path) -> None:
    path = corpus / "corpus.json"
    found = json.loads(path.read_text())
    del found["sizes"]
    path.write_text(json.dumps(found))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_cut, r"train.input.bin has 100 bytes, expected [\d,]+ bytes as corpus.json says. Copy it again"),
        (_changed, r"train.input.bin: its checksum is not what corpus.json says: the file was changed"),
        (_changed_codecs, r"codecs.json: its checksum is not what corpus.json says"),
        (_missing, r"valid.jsonl is missing, which corpus.json names"),
        (_version, r"corpus.json: a corpus of version 99, expected 1"),
        (_no_json, r"corpus.json:1: no JSON"),
        (_no_sizes, r"corpus.json: .*sizes"),
    ],
)
def test_a_broken_corpus_is_named(change: Any, said: str, file_of: File, tmp_path: Path) -> None:
    corpus = corpus_for("char-lm", file_of, tmp_path)
    change(corpus)
    with pytest.raises(DataError, match=said):
        material_of("char-lm", **{"data.corpus": str(corpus)})


@pytest.mark.parametrize(
    ("recipe", "settings", "said"),
    [
        (
            "word-lm",
            {},
            r"was encoded with vocabulary.kind = 'character' \(its fields: input\), this recipe has .*'word'",
        ),
        ("word-lm", {}, r"Train as it was encoded \(--set vocabulary.kind=character, or its recipe\), or encode anew"),
        (
            "classifier",
            {},
            r"was encoded with task.kind = 'generate' \(its fields: input\), this recipe has task.kind ",
        ),
        ("char-lm", {"vocabulary.min_count": 4}, r"vocabulary.min_count = 4, but .* was encoded with none"),
        ("char-lm", {"data.test_fraction": 0.2}, r"data.test_fraction says how data are cut, which was done when"),
        ("char-lm", {"data.set": "pydoc"}, r"holds all data, so data.set .* has no place beside it"),
        ("char-lm", {"data.corpus": "nowhere"}, r"nowhere is no corpus. A corpus is the folder that `recurra encode"),
        ("char-lm", {"data.corpus": 3}, r"data.corpus = 3, expected a path"),
        ("char-lm", {"batching.kind": "buckets"}, r"is one long text, but batching.kind = 'buckets' reads many"),
    ],
)
def test_what_does_not_fit_a_corpus_is_named(
    recipe: str, settings: dict[str, Any], said: str, file_of: File, tmp_path: Path
) -> None:
    corpus = corpus_for("char-lm", file_of, tmp_path)
    with pytest.raises(RecurraError, match=said):
        make_plan(recipe, settings={"data.corpus": str(corpus), **settings})


def test_files_have_no_place_beside_a_corpus(file_of: File, tmp_path: Path) -> None:
    corpus = corpus_for("char-lm", file_of, tmp_path)
    with pytest.raises(ConfigError, match=r"holds all data, so data.train \(files on the command line"):
        make_plan("char-lm", [file_of("char-lm")], settings={"data.corpus": str(corpus)})


def test_other_fields_of_the_same_task_are_named(file_of: File, tmp_path: Path) -> None:
    corpus = corpus_for("classifier", file_of, tmp_path)
    with pytest.raises(
        DataError, match=r"holds the fields input \(tokens\), .*ngrams.*expected input \(tokens\), label"
    ):
        material_of("classifier", **{"data.corpus": str(corpus), "task.ngrams": 0})


def test_settings_that_were_encoded_with_are_adopted(file_of: File, tmp_path: Path) -> None:
    file = file_of("tagger")
    corpus = encoded("tagger", file, out=tmp_path / "corpus", **{"vocabulary.min_count": 3})
    config = make_plan("tagger", settings={"data.corpus": str(corpus)}).config
    assert config["vocabulary"]["min_count"] == 3
    assert config["reader"]["kind"] == "columns"
    assert config["task"]["scheme"] == "bio"
    assert Path(config["data"]["corpus"]).is_absolute()
    with pytest.raises(ConfigError, match=r"task.scheme = 'iobes', but .* was encoded with 'bio'"):
        make_plan("tagger", settings={"data.corpus": str(corpus), "task.scheme": "iobes"})
