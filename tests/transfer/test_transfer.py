"""A model that starts from a language model's run: what it takes and says of it, and how it goes on."""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import recurra
from recurra import checkpoint, registry
from recurra import config as configuration
from recurra.config import Data
from recurra.data.shuffled import gather
from recurra.errors import CheckpointError
from recurra.training.log import Event
from recurra.workflow.material import Material
from recurra.workflow.plan import make_plan
from recurra.workflow.training import execute

from .conftest import LM, SMALL, WORDS, fresh, tensors


def test_the_language_model_reads_the_labelled_texts_as_the_classifier_does(folder: Path) -> None:
    config = configuration.load_recipe(folder / "lm" / "config.toml")
    assert (config["vocabulary"]["split"], config["vocabulary"]["lower"]) == ("words", True)
    assert config["reader"] == {"kind": "jsonl"}
    report = json.loads((folder / "lm" / "report.json").read_text())
    assert "cut 60 examples, shuffled with seed 0, into train 51" in report["split"]
    assert make_plan("word-lm-small", settings={"data.set": "imdb"}).config["reader"] == {"kind": "jsonl"}
    again = recurra.load(folder / "lm").evaluate(folder / "a.jsonl", baseline=False)
    assert again["symbols"] == sum(report["symbols"].values()) + report["scores"]["test"]["symbols"]


def test_a_labelled_file_read_as_plain_text_is_told(folder: Path) -> None:
    plan = make_plan("word-lm-small", [folder / "a.jsonl"], settings=LM)
    said = " ".join(Material(plan.config).sentences())
    assert (
        "looks labelled (a JSON object a line), and is read as plain text. To learn from its texts alone: --set" in said
    )
    assert "reader.kind=jsonl. To learn the labels: recurra train tagger or classifier" in said


def test_words_that_are_set_are_read_as_they_are_set(folder: Path) -> None:
    settings = {**LM, "reader.kind": "jsonl", "vocabulary.split": "space", "vocabulary.lower": False}
    material = Material(make_plan("word-lm-small", [folder / "a.jsonl"], settings=settings).config)
    assert (material.config["vocabulary"]["split"], material.config["vocabulary"]["lower"]) == ("space", False)
    assert not any("Words are read as" in sentence for sentence in material.sentences())


def test_a_language_model_on_labelled_texts_goes_on_by_its_recipe(folder: Path, tmp_path: Path) -> None:
    settings = {**LM, "reader.kind": "auto", "core.num_layers": 1}
    run = recurra.train("word-lm-small", folder / "a.jsonl", out=tmp_path / "lm", settings=settings)
    again = recurra.train("word-lm-small", folder / "a.jsonl", out=tmp_path / "lm", settings=settings, resume=True)
    assert again.config == run.config


def test_the_form_is_the_runs_and_the_regularisation_the_recipes(folder: Path) -> None:
    config = make_plan(
        "classifier", [folder / "a.jsonl"], settings={"init.from": str(folder / "deep"), "core.dropout": 0.3}
    ).config
    assert config["core"] == {
        "kind": "recurrent",
        "cell": "lstm",
        "hidden_size": 10,
        "num_layers": 2,
        "bidirectional": False,
        "merge": "concat",
        "dropout": 0.3,
    }
    assert config["embedder"] == {"kind": "words", "size": 6, "dropout": 0.4, "word_dropout": 0.05}
    assert config["vocabulary"] == {"kind": "tokens", "split": "words", "lower": True, "digits": False, "min_count": 2}
    assert config["init"] == {"from": str(folder / "deep")}
    chars = make_plan("classifier", [folder / "a.jsonl"], settings={"init.from": str(folder / "chars")}).config
    assert chars["vocabulary"]["split"] == "characters"
    assert not chars["vocabulary"]["lower"]


@pytest.mark.parametrize("run", ["lm", "deep", "chars"])
def test_same_symbols_same_vectors_same_core(folder: Path, run: str) -> None:
    model, taken = fresh(folder, run)
    theirs = tensors(folder / run)
    known = json.loads((folder / run / "codecs.json").read_text())["codecs"]["input"]["symbols"]
    mine = model.codecs["input"].symbols
    shared = [symbol for symbol in mine[1:] if symbol in known]
    assert len(shared) > 5
    for symbol in shared:
        assert torch.equal(model.embedder.weight[mine.index(symbol)], theirs["embedder.weight"][known.index(symbol)])
    unknown = known.index("<unk>" if "<unk>" in known else "\ufffd")
    assert torch.equal(model.embedder.weight[0], theirs["embedder.weight"][unknown])
    for name, parameter in model.core.named_parameters():
        assert torch.equal(parameter, theirs[f"core.{name}"]), name
    assert taken.symbols == (len(shared), len(mine) - 1)
    new = [
        row for symbol, row in zip(mine, model.embedder.weight, strict=True) if symbol not in known and row is not None
    ]
    assert all(not (theirs["embedder.weight"] == row).all(1).any() for row in new[1:])


def test_coverage_is_what_can_be_counted_by_hand(folder: Path) -> None:
    model, taken = fresh(folder, "lm")
    known = set(json.loads((folder / "lm" / "codecs.json").read_text())["codecs"]["input"]["symbols"])
    words = [symbol for symbol in model.codecs["input"].symbols if symbol != "<unk>"]
    assert set(words) == {*WORDS, "opera", "ballet"}  # those of the run's that these data lack are known, too
    assert taken.symbols == (len(WORDS), len(WORDS) + 2)
    assert known == {*WORDS, "<unk>", "<eos>"}
    reader = registry.construct("reader", {"kind": "jsonl"})
    data = Data(train=(str(folder / "b.jsonl"),), valid_fraction=0.1, test_fraction=0.1)
    train = [word for example in gather(data, reader).train for word in example["text"].lower().split()]
    assert taken.share == sum(word in known for word in train) / len(train)
    size = 4 * 10 * (6 + 10 + 2)
    assert (taken.tensors, taken.parameters) == ((4, 4), (size, size))
    assert re.fullmatch(
        r"Start: run lm \(\d+ steps\): the vectors of 18 of 20 symbols \(\d\d\.\d% of the training tokens\), "
        r"4 of 4 tensors of the core \(720 of 720 parameters\)\. New: 2 vectors, the task\.",
        taken.told(),
    )
    facts = taken.facts()
    report = json.loads((folder / "lm" / "report.json").read_text())
    assert (facts["data"], facts["from"]) == (report["data"], str(folder / "lm"))
    assert facts["symbols"] == [18, 20]


def test_a_core_that_reads_both_ways_takes_what_fits(folder: Path) -> None:
    model, taken = fresh(folder, "deep", core__bidirectional=True)
    theirs, own = tensors(folder / "deep"), dict(model.core.named_parameters())
    for name, parameter in own.items():
        held = theirs.get(f"core.{name}")
        first = name.endswith("_l0")
        same = held is not None and held.shape == parameter.shape and torch.equal(held, parameter)
        assert same == first, name  # a layer whose input is wider starts afresh as a whole
    assert taken.tensors == (4, 16)
    assert taken.new == [
        "2 vectors",
        "layer 0 of the core read backwards",
        "layer 1 of the core",
        "layer 1 of the core read backwards",
        "the task",
    ]


def test_two_readings_apart_take_the_forward_one(folder: Path) -> None:
    model, taken = fresh(folder, "deep", core__kind="both-ways")
    theirs = tensors(folder / "deep")
    for name, parameter in model.core.named_parameters():
        held = theirs[name.replace("forwards", "core.layers").replace("backwards", "core.layers")]
        assert torch.equal(held, parameter) == name.startswith("forwards"), name
    assert taken.tensors == (8, 16)
    assert taken.new[1:3] == ["layer 0 of the core read backwards", "layer 1 of the core read backwards"]
    assert set(taken.names) == {
        "embedder.weight",
        *(f"core.forwards.{n}" for n, _ in model.core.forwards.named_parameters()),
    }


def test_a_run_that_fills_blanks_starts_both_readings(folder: Path, tmp_path: Path) -> None:
    settings = {**SMALL, "training.epochs": 1, "core.hidden_size": 6, "embedder.size": 6, "reader.kind": "jsonl"}
    settings |= {"baseline.order": 2}
    fill = recurra.train("fill", folder / "a.jsonl", out=tmp_path / "fill", settings=settings)
    model, taken = fresh(tmp_path, "fill")
    assert all(torch.equal(p, fill.model.core.get_parameter(name)) for name, p in model.core.named_parameters())
    assert taken.new == ["3 vectors", "the task"]


def test_a_tagger_takes_the_columns_beside_its_spelling(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.conll"
    file.write_text(
        "".join(f"{word} {'N' if k % 3 else 'V'}\n" + "\n" * (k % 4 == 0) for k, word in enumerate(WORDS * 6))
    )
    spelling = {"embedder.spelling.size": 4, "embedder.spelling.filters": 5}
    run = recurra.train(
        "tagger",
        file,
        out=tmp_path / "run",
        settings={
            **SMALL,
            **spelling,
            "training.epochs": 1,
            "training.learning_rate": 1e-30,
            "init.from": str(folder / "lm"),
        },
    )
    theirs, own = tensors(folder / "lm"), dict(run.model.core.named_parameters())
    columns = own["layers.weight_ih_l0"]
    assert columns.shape == (40, 11)
    torch.testing.assert_close(columns[:, :6], theirs["core.layers.weight_ih_l0"])
    torch.testing.assert_close(own["layers.weight_hh_l0"], theirs["core.layers.weight_hh_l0"])
    taken = run.report["init"]
    assert taken["core"] == {"tensors": [4, 4], "parameters": [720, 920]}
    assert taken["new"] == ["5 columns of layers.weight_ih_l0", "the task"]


def test_an_encoder_starts_too(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "pairs.tsv"
    draw = random.Random(5)
    rows = [draw.sample(WORDS, 3) for _ in range(40)]
    file.write_text("".join(f"{' '.join(row)}\t{' '.join(row[::-1])}\n" for row in rows))
    settings = {
        **SMALL,
        "training.epochs": 1,
        "training.learning_rate": 1e-30,
        "init.from": str(folder / "lm"),
        "task.decoder.hidden_size": 8,
        "task.decoder.readout_size": 8,
        "training.average": 0.0,
        "search.beam": 1,
    }
    run = recurra.train("translate", file, out=tmp_path / "run", settings=settings)
    assert run.config["vocabulary"]["kind"] == "tokens"
    assert run.report["init"]["symbols"] == [18, 18]
    theirs = tensors(folder / "lm")
    for name, parameter in run.model.core.named_parameters():
        torch.testing.assert_close(parameter, theirs[f"core.{name}"])


def test_a_language_model_starts_from_another(folder: Path, tmp_path: Path) -> None:
    settings = {**SMALL, "init.from": str(folder / "lm"), "batching.streams": 2, "training.learning_rate": 1e-30}
    settings |= {"training.epochs": 1, "reader.kind": "jsonl", "baseline.order": 2}
    run = recurra.train("word-lm-small", folder / "a.jsonl", out=tmp_path / "run", settings=settings)
    assert run.report["init"]["symbols"] == [19, 19]  # the line end is one of them
    torch.testing.assert_close(run.model.embedder.weight.detach(), tensors(folder / "lm")["embedder.weight"])


def test_vectors_that_are_not_tuned_stay(folder: Path) -> None:
    model, taken = fresh(folder, "lm", embedder__tune=False)
    assert int(model.embedder.fixed.sum()) == taken.symbols[0] + 1
    looked_up = model.embedder.look_up(torch.arange(len(model.codecs["input"])))
    number = model.codecs["input"].symbols.index("film")
    assert (tensors(folder / "lm")["embedder.weight"] == looked_up[number]).all(1).any()


def interrupt_at(step: int) -> Callable[[Event], None]:
    def stop(event: Event) -> None:
        if event.kind == "step" and event.step == step:
            signal.raise_signal(signal.SIGINT)

    return stop


def test_a_run_needs_the_other_one_no_more(folder: Path, tmp_path: Path) -> None:
    """Stopped, and gone on with after the language model is gone, is the same as never stopped, layer by layer."""
    shutil.copytree(folder / "lm", tmp_path / "lm")
    settings = {**SMALL, "init.from": str(tmp_path / "lm"), "init.unfreeze": 0.5, "batching.size": 8}
    whole = recurra.train("classifier", folder / "a.jsonl", out=tmp_path / "whole", settings=settings)
    with pytest.raises(KeyboardInterrupt):
        plan = make_plan("classifier", [folder / "a.jsonl"], out=tmp_path / "parts", settings=settings)
        execute(plan, progress=interrupt_at(2))
    shutil.rmtree(tmp_path / "lm")
    again = recurra.train("classifier", folder / "a.jsonl", out=tmp_path / "parts", settings=settings, resume=True)
    for name, weights in again.model.state_dict().items():
        assert torch.equal(weights, whole.model.state_dict()[name]), name
    expected, found = (checkpoint.load_tensors(run.path / "resume.safetensors")[0] for run in (whole, again))
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert again.report["init"] == whole.report["init"]
    assert again.config == whole.config
    report = json.loads((tmp_path / "parts" / "report.json").read_text())
    del report["init"]
    shutil.copytree(tmp_path / "parts", tmp_path / "unsaid")
    (tmp_path / "unsaid" / "report.json").write_text(json.dumps(report))
    with pytest.raises(
        CheckpointError, match=r"report.json no longer says what was taken .* Put the file back, or train"
    ):
        recurra.train(tmp_path / "unsaid", resume=True, settings={"training.epochs": 3})
    further = recurra.train(tmp_path / "parts", resume=True, settings={"training.epochs": 3})
    assert further.report["init"] == whole.report["init"]
    assert recurra.load(tmp_path / "parts").predict("a good film")[0]["label"] in "+-"


def test_all_learn_in_their_turn(folder: Path, tmp_path: Path) -> None:
    said: list[str] = []
    settings = {**SMALL, "init.from": str(folder / "deep"), "init.unfreeze": 1, "training.average": 0.0}
    plan = make_plan("classifier", [folder / "a.jsonl"], out=tmp_path / "run", settings=settings)
    run = execute(plan, say=said.append)
    theirs = tensors(folder / "deep")
    own = dict(run.model.core.named_parameters())
    assert torch.equal(own["layers.weight_hh_l0"], theirs["core.layers.weight_hh_l0"])
    assert any(s.startswith("Start: run deep (") for s in said)
    assert (
        "What is new learns first, layer 1 of the core from epoch 1, layer 0 of the core from epoch 2, the vectors "
        "from epoch 3 on." in said
    )
    assert (
        "Its form is that of the run it starts from: vocabulary.split = words, vocabulary.lower = true, "
        "vocabulary.digits = false, embedder.size = 6, core.cell = lstm, core.hidden_size = 10, core.num_layers = 2, "
        "core.bidirectional = false." in said
    )
