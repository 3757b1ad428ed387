"""From labelled files of every format to a run that labels: trained, opened, gone on with, asked with others."""

from __future__ import annotations

import json
import random
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import recurra
from recurra import config as configuration
from recurra import workflow
from recurra.errors import ConfigError, DataError
from recurra.runs.run import Run
from recurra.tasks.tag import Tag
from recurra.training.log import Event
from recurra.workflow.doubts import doubts
from recurra.workflow.plan import make_plan
from recurra.workflow.training import execute

Row = tuple[list[str], list[str], str]
"""Words, their tags, the label of all."""

SMALL = {
    "core.hidden_size": 10,
    "embedder.size": 8,
    "training.epochs": 2,
    "training.schedule": "constant",
    "training.threads": 1,
    "training.device": "cpu",
}
SPELLED = {"embedder.spelling.size": 4, "embedder.spelling.filters": 6}
PLACES = ("Boston", "New York", "San Jose", "Denver", "Bern")
DRIFTING = "examples_per_second"


def made(count: int = 60, seed: int = 1, outside: str = "O") -> list[Row]:
    """Sentences about flights and fares, from somewhere to somewhere."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        words = draw.choice([["flights"], ["all", "flights"], ["cheapest", "fare"], ["what", "is", "the", "fare"]])
        tags, label = [outside] * len(words), words[-1].removesuffix("s")
        for preposition, place in zip(("from", "to"), draw.sample(PLACES, 2), strict=True):
            first, *rest = place.split()
            words = [*words, preposition, first, *rest]
            tags = [*tags, outside, f"B-{preposition}", *[f"I-{preposition}"] * len(rest)]
        rows.append((words, tags, label))
    return rows


def conllu(folder: Path, rows: list[Row]) -> Path:
    def line(k: int, word: str) -> str:
        kind = "PROPN" if word[0].isupper() else "ADP" if word in ("from", "to") else "NOUN"
        return "\t".join([str(k), word, word, kind, *"_" * 6]) + "\n"

    text = "".join("".join(line(k, w) for k, w in enumerate(words, 1)) + "\n" for words, _, _ in rows)
    return write(folder / "a.conllu", text)


def columns(folder: Path, rows: list[Row]) -> Path:
    pairs = (zip(words, tags, strict=True) for words, tags, _ in rows)
    return write(folder / "a.conll", "\n".join("".join(f"{w} _ {t}\n" for w, t in pair) for pair in pairs))


def aligned(folder: Path, rows: list[Row]) -> Path:
    found = folder / "aligned"
    found.mkdir()
    write(found / "seq.in", "".join(" ".join(words) + "\n" for words, _, _ in rows))
    write(found / "seq.out", "".join(" ".join(tags) + "\n" for _, tags, _ in rows))
    write(found / "label", "".join(label + "\n" for _, _, label in rows))
    return found


def table(folder: Path, rows: list[Row]) -> Path:
    return write(folder / "a.tsv", "text\tlabel\n" + "".join(f"{' '.join(w)}\t{label}\n" for w, _, label in rows))


def quoted(folder: Path, rows: list[Row]) -> Path:
    lines = (f'"{" ".join(words)}, ""please""",{label}\n' for words, _, label in rows)
    return write(folder / "a.csv", "text,label\n" + "".join(lines))


def jsonl(folder: Path, rows: list[Row]) -> Path:
    found = ({"tokens": words, "tags": tags, "label": label} for words, tags, label in rows)
    return write(folder / "a.jsonl", "".join(json.dumps(each) + "\n" for each in found))


def topics(folder: Path, rows: list[Row]) -> Path:
    found = (
        {"text": " ".join(w), "label": [label] * (label == "fare") + ["Bern"] * ("Bern" in w)} for w, _, label in rows
    )
    return write(folder / "several.jsonl", "".join(json.dumps(each) + "\n" for each in found))


def labelled_lines(folder: Path, rows: list[Row]) -> Path:
    return write(folder / "a.txt", "".join(f"__label__{label} {' '.join(words)}\n" for words, _, label in rows))


def trees(folder: Path, rows: list[Row]) -> Path:
    found = ((1 if label == "fare" else 4, words) for words, _, label in rows)
    return write(folder / "trees.txt", "".join(f"({k} {' '.join(f'(2 {w})' for w in words)})\n" for k, words in found))


def segmented(folder: Path, rows: list[Row]) -> Path:
    return write(folder / "words.txt", "".join(" ".join(words) + "\n" for words, _, _ in rows))


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


CASES: dict[str, tuple[str, Callable[[Path, list[Row]], Path], dict[str, Any], str, str]] = {
    "parts of speech": ("tagger", conllu, SPELLED, "conllu", "accuracy"),
    "spans": ("tagger", columns, SPELLED, "columns", "f1"),
    "spans by a CRF": ("ner", jsonl, SPELLED, "jsonl", "f1"),
    "spans and intent": ("slots", aligned, SPELLED, "aligned", "sentence_accuracy"),
    "segments": ("segment", segmented, {}, "segmented", "f1"),
    "labels in a table": ("classifier", table, {"task.ngrams": 0}, "table", "accuracy"),
    "labels in quoted cells": ("classifier", quoted, {"task.pooling": "attention"}, "table", "accuracy"),
    "labels of lines": ("classifier", labelled_lines, {"task.class_weights": "balanced"}, "labelled-lines", "accuracy"),
    "labels of trees": ("classifier", trees, {"core.kind": "tdnn", "task.pooling": "mean"}, "trees", "accuracy"),
    "several labels": ("classifier", topics, {"task.multi_label": True}, "jsonl", "micro_f1"),
}


def test_every_labelled_recipe_is_trained_below() -> None:
    recipes = {name: configuration.load_recipe(name) for name in configuration.recipe_names()}
    others = {"generate", "transduce", "answer", "fill", "forecast", "score", "simulate", "transcribe", "draw"}
    elsewhere = {"activity", "pixels", "spoken-digits", "dna", "tree-sentiment"}  # in files of their own, too
    labelled = {name for name, recipe in recipes.items() if recipe["task"]["kind"] not in others} - elsewhere
    assert labelled == {recipe for recipe, *_ in CASES.values()}


@pytest.mark.parametrize("case", CASES)
def test_a_file_becomes_a_run_that_labels(case: str, tmp_path) -> None:
    recipe, form, settings, reader, metric = CASES[case]
    rows = made()
    file = form(tmp_path, rows)
    settings = {**SMALL, "training.epochs": 1, **settings}
    run = recurra.train(recipe, file, out=tmp_path / "run", settings=settings)
    configuration.check(configuration.load_recipe(run.path / "config.toml"))
    assert run.config["reader"]["kind"] == reader
    scores = run.report["scores"]["test"]
    assert (scores["examples"], run.report["examples"]) == (6, {"train": 48, "valid": 6})
    assert metric in scores["model"] and all(metric in row for row in scores["baseline"])
    names = [row["name"] for row in scores["baseline"]]
    assert (names[:2] == ["its network alone", "its n-grams alone"]) == bool(run.config["task"].get("ngrams"))
    lines = map(json.loads, (run.path / "metrics.jsonl").read_text().splitlines())
    assert [line[f"valid_{metric}"] for line in lines if f"valid_{metric}" in line] == [
        pytest.approx(run.report["scores"]["valid"]["model"][metric])
    ]
    words, _, _ = rows[0]
    (answer,) = run.predict(" ".join(words))
    known = {name: set(vocabulary.symbols) for name, vocabulary in run.model.codecs.saved.items() if name != "ngrams"}
    if "tags" in known:
        assert len(answer["tags"]) == len(answer["tokens"]) and set(answer["tags"]) <= known["tags"]
    if recipe == "slots" or case.startswith("labels"):
        assert answer["label"] in known["label"]
    if case == "several labels":
        assert set(answer["labels"]) <= known["label"] == {"fare", "Bern"}
    again = recurra.load(run.path, device="cpu")
    assert again.config == run.config
    assert again.predict(" ".join(words)) == [answer]
    assert without_speed(again.evaluate(baseline=False)["model"]) == scores["model"]


def without_speed(scored: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in scored.items() if name != DRIFTING}


JOINT = {**SMALL, **SPELLED, "task.decoder": "softmax", "training.epochs": 3, "training.learning_rate": 0.01}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("labels")


@pytest.fixture(scope="module")
def file(folder: Path) -> Path:
    return aligned(folder, made())


@pytest.fixture(scope="module")
def run(folder: Path, file: Path) -> Run:
    """Tags and label together, with dropout of words and entries as the recipe says."""
    events: list[Event] = []
    run = recurra.train("slots", file, out=folder / "run", settings=JOINT, progress=events.append)
    assert {event.valid[0] for event in events if event.valid} == {"sentence_accuracy"}
    assert (run.config["embedder"]["dropout"], run.config["embedder"]["word_dropout"]) == (0.4, 0.1)
    return run


@pytest.fixture(scope="module")
def other(folder: Path, file: Path) -> Run:
    """The same with another seed, and trained less."""
    settings = {**JOINT, "training.seed": 1, "training.epochs": 1}
    return recurra.train("slots", file, out=folder / "other", settings=settings)


def test_the_run_directory_is_complete(run: Run) -> None:
    assert {file.name for file in run.path.iterdir()} == {
        *("config.toml", "codecs.json", "model.safetensors", "resume.safetensors", "metrics.jsonl", "report.json")
    }
    assert run.config["task"]["scheme"] == "bio"  # found in the training data, kept for later files
    assert run.config["reader"] == {"kind": "aligned", "encoding": "utf-8"}
    assert list(run.model.codecs.saved) == ["input", "tags", "label", "characters"]


def test_the_report_says_all_that_a_score_needs(run: Run, file: Path) -> None:
    report = run.report
    facts = "recurra torch split data seed threads device precision commands minutes parameters notes shown"
    assert set(facts.split()) <= set(report)
    assert report["split"].startswith("cut 60 examples, shuffled with seed 0, into train 48 (80.0%), valid 6")
    assert f"{file} read as aligned: a folder with seq.in and seq.out." in report["notes"]
    assert any(note.endswith("have the very words of a training example.") for note in report["notes"])
    assert report["parameters"] == sum(p.numel() for p in run.model.parameters())
    assert report["vocabulary"] == {name: len(each) for name, each in run.model.codecs.saved.items()}
    scores = report["scores"]["test"]
    names = "f1 precision recall accuracy intent_accuracy sentence_accuracy unseen_tags unseen_labels"
    assert set(scores["model"]) == set(names.split())
    first, second = scores["baseline"]
    assert first["name"] == "most frequent tag of each word" and second["unit"] == "parameters"
    assert set(scores["tables"]) == {"types", "labels"}
    assert len(report["shown"]) == 3 and all(set(each) == {"tokens", "tags", "label"} for each in report["shown"])
    best = max(json.loads(line).get("valid_sentence_accuracy", -1) for line in (run.path / "metrics.jsonl").open())
    assert best == pytest.approx(report["scores"]["valid"]["model"]["sentence_accuracy"])


def test_evaluate_without_files_is_the_reports_test(run: Run, file: Path) -> None:
    scored = without_speed(run.evaluate())
    assert (scored.pop("data"), scored.pop("split")) == ("test", run.report["split"])
    assert json.loads(json.dumps(scored)) == without_speed(run.report["scores"]["test"])
    assert "baseline" not in run.evaluate(baseline=False)
    assert run.evaluate(file, baseline=False)["examples"] == 60


def test_predict_takes_text_and_tokens(run: Run) -> None:
    text = "all flights from New York to Atlantis"
    by_text, by_tokens, empty = run.predict(text, text.split(), [])
    assert by_text == by_tokens
    assert by_text["tokens"] == text.split() and len(by_text["tags"]) == 7 and by_text["label"] in ("fare", "flight")
    assert empty.parts == ()
    assert run.predict(text) == [by_text]  # alone as among others
    assert recurra.load(run.path).predict(text) == [by_text]
    assert run.predict() == []


def test_runs_together_answer_by_their_mean(run: Run, other: Run, file: Path) -> None:
    rows = made(seed=9)
    examples = [{"tokens": words} for words, _, _ in rows]
    together = run.answers(run.questions(examples, [other]), run.options(), beside=[other])
    differing = 0
    for example, answer in zip(examples, together, strict=True):
        batching = configuration_batch(run, example)
        with torch.no_grad():
            each = [r.model.task.ask(r.model.embedder, r.model.core, batching) for r in (run, other)]
        best = sum(potentials["tags"][0] for potentials in each).argmax(1)
        assert answer["tags"] == run.model.codecs["tags"].decode(best)
        differing += any(potentials["tags"][0].argmax(1).tolist() != best.tolist() for potentials in each)
    assert differing
    scored = workflow.evaluate(run.path, other.path, file, device="cpu", baseline=False)
    assert (scored["runs"], scored["parameters"]) == (2, 2 * run.model.parameter_count)
    assert scored["model"] != run.evaluate(file, baseline=False)["model"]


def configuration_batch(run: Run, example: dict[str, Any]) -> Any:
    from recurra.data.batching.buckets import Buckets

    codecs = run.model.codecs
    return Buckets().batches([codecs.encode(example)], codecs.layouts, whole=True)[0]


def test_runs_that_cannot_answer_together_are_refused(run: Run, tmp_path) -> None:
    def trained(name: str, recipe: str, file: Path, **settings: Any) -> Path:
        chosen = {name.replace("__", "."): value for name, value in settings.items()}
        recurra.train(recipe, file, out=tmp_path / name, settings={**SMALL, "training.epochs": 1, **chosen})
        return tmp_path / name

    (tmp_path / "new").mkdir()
    tags = [(words, [tag.replace("to", "into") for tag in tags], label) for words, tags, label in made()]
    new = trained("a", "slots", aligned(tmp_path / "new", tags), task__decoder="softmax")
    crf = trained("b", "slots", aligned(tmp_path, made()))
    classes = trained("c", "classifier", table(tmp_path, made()))
    characters = trained("d", "classifier", table(tmp_path, made()), vocabulary__split="characters")
    for others, message in (
        (
            [run.path, new],
            f"{run.path} and {new} cannot answer together: their codecs of tags differ. Name runs",
        ),
        ([run.path, crf], "the runs score labels in different ways, by tags, label and by tags, transitions, start"),
        (
            [run.path, classes],
            f"{run.path} and {classes} cannot answer together: one names tags and label, the other label. Name",
        ),
        ([classes, characters], f"{classes} and {characters} cannot answer together: they split a text in different"),
    ):
        with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
            workflow.evaluate(*others, device="cpu", baseline=False)


def test_half_and_half_is_the_whole(run: Run, file: Path, tmp_path) -> None:
    halves = tmp_path / "halves"
    recurra.train("slots", file, out=halves, settings=JOINT | {"training.epochs": 1})
    again = recurra.train("slots", file, out=halves, resume=True, settings=JOINT)  # by the recipe, as it was started
    same_training(again, run)
    assert again.config == run.config


def test_a_run_stopped_in_an_epoch_goes_on_as_if_it_were_not(run: Run, file: Path, tmp_path) -> None:
    parts = tmp_path / "parts"

    def stop(event: Event) -> None:
        if event.kind == "step" and event.step == 4:  # of 3 in an epoch
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match=r"stopped after step 4 and saved. Go on: recurra train .*parts"):
        recurra.train("slots", file, out=parts, settings=JOINT, progress=stop)
    same_training(recurra.train(parts, resume=True), run)


def same_training(one: Any, other: Run) -> None:
    for name, weights in one.model.state_dict().items():
        assert torch.equal(weights, other.model.state_dict()[name]), name
    for part, scored in other.report["scores"].items():
        assert without_speed(one.report["scores"][part]) == without_speed(scored)


def test_resume_refuses_other_data_and_another_job(run: Run, tmp_path) -> None:
    file = columns(tmp_path, made())
    out = tmp_path / "run"
    settings = {**SMALL, **SPELLED, "training.epochs": 1}
    recurra.train("ner", file, out=out, settings=settings)
    with pytest.raises(ConfigError, match=r"embedder.word_dropout was 0\.1 when .*run was started, now it is 0.5"):
        recurra.train(out, resume=True, settings={"embedder.word_dropout": 0.5})
    with pytest.raises(ConfigError, match=r"task.scheme was 'bio' when .*run was started, now it is 'iob1'"):
        recurra.train(out, resume=True, settings={"task.scheme": "iob1"})
    before = (out / "resume.safetensors").read_bytes()
    file.write_text(file.read_text().replace("Bern", "Basel"))
    with pytest.raises(DataError, match=r"the training data are others than when .*run was started.* Put the former"):
        recurra.train(out, resume=True, settings={"training.epochs": 2})
    assert (out / "resume.safetensors").read_bytes() == before
    file.unlink()
    opened = recurra.load(out)
    with pytest.raises(DataError, match=r"the run's own training data cannot be read: .*no such file.* Or name files"):
        opened.evaluate()


def test_word_vectors_are_adopted_and_found_again(tmp_path) -> None:
    rows = made()
    words = sorted({word.lower() for row, _, _ in rows for word in row} - {"bern"})
    draw = random.Random(3)
    vectors = {word: [round(draw.uniform(-1, 1), 3) for _ in range(8)] for word in [*words, "atlantis"]}
    file = write(tmp_path / "vectors.txt", "".join(f"{word} {' '.join(map(str, v))}\n" for word, v in vectors.items()))
    settings = {**SMALL, **SPELLED, "vocabulary.vectors": str(file), "embedder.tune": False}
    plan = make_plan("tagger", [columns(tmp_path, rows)], out=tmp_path / "run", settings=settings)
    said: list[str] = []
    run = execute(plan, say=said.append)
    train = json.loads((tmp_path / "run" / "report.json").read_text())
    distinct, tokens = train["coverage"]
    assert distinct == pytest.approx(len(words) / (len(words) + 1)) and 0.8 < tokens < 1
    assert any(f"Vectors for {distinct:.1%} of the words, {tokens:.1%} of the tokens." in line for line in said)
    file.unlink()  # the model holds them by now
    for each in (run, recurra.load(tmp_path / "run", device="cpu")):
        vocabulary = each.model.codecs["input"]
        for word, vector in vectors.items():
            row = each.model.embedder.look_up(torch.from_numpy(vocabulary.encode([word])))[0]
            assert row.tolist() == pytest.approx(vector), word
        assert vocabulary.encode(["Atlantis", "Nowhere"])[1] == 0 < vocabulary.encode(["Atlantis"])[0]
    with pytest.raises(ConfigError, match=r"the vectors have shape \(\d+, 8\), expected \(\d+, 9\).*embedder.size"):
        file.write_text("".join(f"{word} {' '.join(map(str, v))}\n" for word, v in vectors.items()))
        recurra.train("tagger", tmp_path / "a.conll", out=tmp_path / "b", settings={**settings, "embedder.size": 9})
    assert not (tmp_path / "b").exists()


def test_names_that_training_never_saw_are_counted_and_said(run: Run, tmp_path) -> None:
    rows = [*made(3), (["fare", "via", "Bern"], ["O", "O", "B-via"], "stopover")]
    scored = run.evaluate(aligned(tmp_path, rows), baseline=False)
    assert (scored["model"]["unseen_tags"], scored["model"]["unseen_labels"]) == (1, 1)
    total = sum(len(words) for words, _, _ in rows)
    assert scored["notes"] == [
        f"1 of {total} tags were never seen in training (B-via): the model cannot give them.",
        "1 of 4 labels were never seen in training (stopover): the model cannot give them.",
    ]


def test_files_unlike_the_trainings_are_read_as_they_are_said_to_be(run: Run, tmp_path) -> None:
    file = jsonl(tmp_path, made(5, seed=5))
    with pytest.raises(DataError, match=r"It was read as aligned, .* but looks like jsonl: --set reader.kind=jsonl$"):
        run.evaluate(file, baseline=False)
    expected = run.evaluate(aligned(tmp_path, made(5, seed=5)), baseline=False)
    scored = run.evaluate(file, baseline=False, settings={"reader.kind": "jsonl"})
    assert scored["model"] == expected["model"]


def test_tags_without_spans_are_judged_by_accuracy_in_a_run_of_their_own(tmp_path) -> None:
    file, out = conllu(tmp_path, made()), tmp_path / "run"
    settings = {**SMALL, **SPELLED}
    recurra.train("tagger", file, out=out, settings=settings)
    again = recurra.train("tagger", file, out=out, resume=True, settings={**settings, "training.epochs": 3})
    assert again.model.task.main_metric == ("accuracy", "max")
    assert "f1" not in again.evaluate(baseline=False)["model"]
    settings["task.scheme"] = "none"
    assert recurra.train("tagger", file, out=out, resume=True, settings={**settings, "training.epochs": 4}).report[
        "epochs"
    ] == pytest.approx(4)


def test_tags_that_stand_for_none_are_counted() -> None:
    """`_` in a column of tags; where every tag is one, nothing can be learnt anyway."""
    fields = Tag().fields
    train = [{"tokens": ["a", "b"], "tags": ["_", "X"]}, {"tokens": ["c"], "tags": ["_"]}]
    assert doubts(train, fields) == [
        "2 of 3 tags are '_', as files of columns write what is not known: it is learnt like any other."
    ]
    assert not doubts([{"tokens": ["a"], "tags": ["X"]}], fields)
