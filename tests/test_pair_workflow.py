"""From pairs in every format to a run that translates: trained, opened, gone on with, asked with others."""

from __future__ import annotations

import json
import math
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
from recurra.answers import notes_of
from recurra.answers.notes import NOTHING
from recurra.asking.answering import never
from recurra.asking.writing import search_batch
from recurra.decoding.search import Search
from recurra.errors import ConfigError, DataError
from recurra.runs.run import Run
from recurra.training.log import Event
from recurra.types import Batch
from recurra.workflow.plan import make_plan
from recurra.workflow.training import execute

Pair = tuple[str, str]

SMALL = {
    "core.hidden_size": 12,
    "embedder.size": 10,
    "task.decoder.hidden_size": 12,
    "batching.size": 16,
    "training.epochs": 2,
    "training.schedule": "constant",
    "training.threads": 1,
    "training.device": "cpu",
}
SUBWORDS = {**SMALL, "vocabulary.size": 300}
TRANSFORMER = {
    **{f"{part}.{key}": 12 for part in ("core", "task.decoder") for key in ("hidden_size", "feed_forward")},
    **{f"{part}.{key}": 2 for part in ("core", "task.decoder") for key in ("heads", "num_layers")},
}
DRIFTING = "examples_per_second"
NOUNS = {"dog": "Hund", "bird": "Vogel", "man": "Mann", "fox": "Fuchs"}
ADJECTIVES = {"old": "alte", "big": "große", "red": "rote"}
VERBS = {"runs": "läuft", "sleeps": "schläft", "sings": "singt"}
LETTERS = {"a": ("AH", "EY"), "b": ("B",), "k": ("K",), "o": ("OW",), "x": ("K S",)}


def made(count: int = 60, seed: int = 1) -> list[Pair]:
    """Sentences about animals, word for word."""
    draw = random.Random(seed)
    pairs = []
    for _ in range(count):
        adjective, noun, verb = (draw.choice(list(words.items())) for words in (ADJECTIVES, NOUNS, VERBS))
        some = draw.random() < 0.5
        source = ["The", *([adjective[0]] if some else []), noun[0], verb[0]]
        target = ["Der", *([adjective[1]] if some else []), noun[1], verb[1]]
        pairs.append((" ".join(source) + ".", " ".join(target) + "."))
    return pairs


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def parallel(folder: Path, pairs: list[Pair]) -> list[Path]:
    return [
        write(folder / f"a.{side}", "".join(f"{pair[k]}\n" for pair in pairs)) for k, side in enumerate(("en", "de"))
    ]


def tabs(folder: Path, pairs: list[Pair]) -> list[Path]:
    return [write(folder / "a.tsv", "".join(f"{source}\t{target}\n" for source, target in pairs))]


def dictionary(folder: Path, pairs: list[Pair]) -> list[Path]:
    """Not of the pairs: made-up words, some of them said in two ways."""
    draw = random.Random(len(pairs))
    words = {"".join(draw.choices("abkox", k=draw.randint(2, 5))) for _ in pairs}
    lines = []
    for word in sorted(words):
        said = {" ".join(draw.choice(LETTERS[letter]) for letter in word) for _ in range(2)}
        lines += [f"{word.upper()}  {way}\n" for way in sorted(said)]
    return [write(folder / "a.dict", "".join(lines))]


def characters(folder: Path, pairs: list[Pair]) -> list[Path]:
    """Other words for the same in Chinese."""
    signs = dict(zip((*NOUNS, *ADJECTIVES, *VERBS, "The"), "狗鸟人狐老大红跑睡唱那", strict=True))
    lines = (f"{source}\t{''.join(signs[word] for word in source[:-1].split())}。\n" for source, _ in pairs)
    return [write(folder / "zh.tsv", "".join(lines))]


CASES: dict[str, tuple[str, Callable[[Path, list[Pair]], list[Path]], dict[str, Any], str, str]] = {
    "two files": ("translate", parallel, SUBWORDS, "parallel", "bleu"),
    "one file": ("translate", tabs, {**SUBWORDS, "task.tied": "none"}, "pairs", "bleu"),
    "a Transformer": ("translate", tabs, {**SUBWORDS, "core.kind": "transformer", **TRANSFORMER}, "pairs", "bleu"),
    "a fixed vector": ("translate", tabs, {**SUBWORDS, "task.decoder.context": "initial"}, "pairs", "bleu"),
    "a vector at every step": ("translate", tabs, {**SUBWORDS, "task.decoder.context": "every-step"}, "pairs", "bleu"),
    "characters": ("translate-characters", characters, SUBWORDS, "pairs", "bleu"),
    "pronunciations": ("pronounce", dictionary, SMALL, "dictionary", "word_error_rate"),
    "pronunciations by a Transformer": (
        "pronounce",
        dictionary,
        {**SMALL, "core.kind": "transformer", **TRANSFORMER},
        "dictionary",
        "word_error_rate",
    ),
    "characters to words": (
        "translate",
        tabs,
        {**SMALL, "vocabulary.kind": "character", "target.kind": "word", "task.tied": "none"},
        "pairs",
        "bleu",
    ),
    "exact answers": ("translate", tabs, {**SUBWORDS, "task.scores": "exact"}, "pairs", "exact_match"),
}


def test_every_recipe_of_pairs_is_trained_below() -> None:
    recipes = {name: configuration.load_recipe(name) for name in configuration.recipe_names()}
    pairs = {name for name, recipe in recipes.items() if recipe["task"]["kind"] == "transduce"}
    elsewhere = {"poem", "caption"}  # tests/test_poem_workflow.py, tests/test_caption_workflow.py
    assert pairs == {recipe for recipe, *_ in CASES.values()} | elsewhere


@pytest.mark.parametrize("case", CASES)
def test_files_become_a_run_that_translates(case: str, tmp_path: Path) -> None:
    recipe, form, settings, reader, metric = CASES[case]
    files = form(tmp_path, made())
    settings = {**settings, "training.epochs": 1, "data.valid_fraction": 0.2, "data.test_fraction": 0.1}
    run = recurra.train(recipe, *files, out=tmp_path / "run", settings={**settings, "search.beam": 1})
    saved = configuration.load_recipe(run.path / "config.toml")
    configuration.check(saved)
    assert saved["reader"]["kind"] == reader and "alternative" not in saved
    report = run.report
    scores = report["scores"]["test"]
    assert metric in scores["model"] and all(metric in row for row in scores["baseline"])
    assert report["examples"]["train"] > 0 and report["targets_per_second"] > 0 and report["unit"] == "target tokens"
    lines = map(json.loads, (run.path / "metrics.jsonl").read_text().splitlines())
    valid = [line[f"valid_{metric}"] for line in lines if f"valid_{metric}" in line]
    assert valid == [pytest.approx(report["scores"]["valid"]["model"][metric])]  # greedy, all of them
    source = "xab" if reader == "dictionary" else "The old dog runs."
    (answer,) = run.predict(source)
    assert answer["source"] == source and answer["unknown_source"] == 0
    again = recurra.load(run.path, device="cpu")
    assert again.config == run.config and again.predict(source) == [answer]
    assert again.evaluate(baseline=False)["model"] == scores["model"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pairs")


@pytest.fixture(scope="module")
def files(folder: Path) -> list[Path]:
    return parallel(folder, made())


SPLIT = {"data.valid_fraction": 0.1, "data.test_fraction": 0.1}
LEARNT = {
    **SUBWORDS,
    **SPLIT,
    "core.hidden_size": 24,
    "embedder.size": 24,
    "embedder.init_range": 0.8,
    "embedder.dropout": 0.1,
    "task.dropout": 0.1,
    "training.learning_rate": 0.02,
    "training.epochs": 14,
}
WORDS = {**SMALL, **SPLIT, "vocabulary.kind": "tokens", "task.tied": "none", "training.epochs": 1}


@pytest.fixture(scope="module")
def run(folder: Path, files: list[Path]) -> Run:
    """Subwords of both sides, with dropout, label smoothing and the mean of the weights as the recipe says."""
    events: list[Event] = []
    run = recurra.train("translate", *files, out=folder / "run", settings=LEARNT, progress=events.append)
    assert {event.valid[0] for event in events if event.valid} == {"bleu"}
    assert run.config["task"]["label_smoothing"] and run.config["task"]["dropout"] and run.config["training"]["average"]
    return run


@pytest.fixture(scope="module")
def other(folder: Path, files: list[Path]) -> Run:
    """The same with another seed."""
    return recurra.train("translate", *files, out=folder / "other", settings={**LEARNT, "training.seed": 1})


@pytest.fixture(scope="module")
def words(folder: Path, files: list[Path]) -> Run:
    """Whole words, so that others are unknown."""
    return recurra.train("translate", *files, out=folder / "words", settings=WORDS)


def test_the_report_says_all_that_a_score_needs(run: Run) -> None:
    report = run.report
    facts = "recurra torch split data seed threads device precision commands minutes parameters notes shown"
    assert set(facts.split()) <= set(report)
    assert report["split"].startswith("cut 60 examples, shuffled with seed 0, into train 48 (80.0%), valid 6")
    assert report["joint"] and report["vocabulary"].keys() == {"input"}
    scores = report["scores"]["test"]
    assert set(scores["model"]) == {"bleu", "bleu_cased", "chrf"} and scores["search"] == "beam 5, length penalty 0.6"
    assert any("version:" in note for note in scores["notes"])
    assert scores["examples"] == 6 and scores["examples_per_second"] > 0
    assert [row["name"] for row in scores["baseline"]] == [
        "word-for-word table",
        "the source itself",
        "most frequent answer",
    ]
    assert len(report["shown"]) == 3
    assert all(set(each) >= {"source", "target", "references"} for each in report["shown"])


def test_all_sides_share_one_matrix(run: Run) -> None:
    V, D = len(run.model.codecs["target"]) + 1, 24
    matrices = [weights for weights in run.model.parameters() if weights.shape == (V, D)]
    assert len(matrices) == 1 and matrices[0] is run.model.embedder.weight
    assert run.model.codecs["input"].symbols == run.model.codecs["target"].symbols


def test_predict_keeps_the_order_and_an_empty_line_is_empty(run: Run) -> None:
    sources = [source for source, _ in made(12, seed=7)]
    asked = [*sources[:3], "", "  ", *sources[3:]]
    answers = run.predict(*asked)
    assert answers[3:5] == run.predict("", "") and [dict(each) for each in answers[3:5]] == [{"notes": [NOTHING]}] * 2
    del answers[3:5]
    assert [answer["source"] for answer in answers] == sources
    for source, answer in zip(sources, answers, strict=True):
        (alone,) = run.predict(source)
        assert alone["target"] == answer["target"] and alone["score"] == pytest.approx(answer["score"], rel=1e-5)
    assert run.predict() == []
    assert run.predict(sources[0].split())[0]["target"] == answers[0]["target"]  # its tokens instead of a text
    assert run.predict({"source": sources[0], "target": "?"})[0]["target"] == answers[0]["target"]


def test_n_best_are_ranked_and_the_best_stands_outside(run: Run) -> None:
    (answer,) = run.predict("The old dog runs.", beam=4, n_best=3)
    scores = [each["score"] for each in answer["hypotheses"]]
    assert len(scores) == 3 and scores == sorted(scores, reverse=True)
    assert answer["target"] == answer["hypotheses"][0]["target"] and answer["score"] == scores[0]
    assert "hypotheses" not in run.predict("The old dog runs.", beam=4)[0]


def test_what_is_drawn_depends_on_the_seed_and_the_line_alone(run: Run) -> None:
    sources = [source for source, _ in made(8, seed=3)]
    drawn = run.predict(*sources, temperature=1.5, seed=4)
    assert drawn == run.predict(*sources, temperature=1.5, seed=4)
    assert [a["target"] for a in drawn] != [a["target"] for a in run.predict(*sources, temperature=1.5, seed=5)]
    again = run.predict(*sources[:3], temperature=1.5, seed=4)
    assert [answer["target"] for answer in again] == [answer["target"] for answer in drawn[:3]]
    cold, greedy = run.predict(*sources, temperature=0), run.predict(*sources, beam=1)
    assert [answer["target"] for answer in cold] == [answer["target"] for answer in greedy]


def test_the_alignment_is_where_attention_is_largest(run: Run) -> None:
    source = "The old dog runs."
    (answer,) = run.predict(source, alignment=True)
    codecs, model = run.model.codecs, run.model
    (ids,) = codecs["input"].encode_all([source])
    assert answer["source_tokens"] == codecs["input"].pieces(ids)
    assert "".join(answer["target_tokens"]).replace("▁", " ").strip() == answer["target"].strip()
    (target,) = codecs["target"].encode_all([answer["target"]])
    end = model.task.end
    batch = Batch({"input": torch.tensor([[*ids, end]]), "target": torch.tensor([[*target, end]])})
    with torch.no_grad():
        attention = model.task.alignment(model.embedder, model.core, batch)
    if len(target) == len(answer["target_tokens"]):  # the model may have put the same text together of other pieces
        assert answer["alignment"] == attention[0, :-1, :-1].argmax(1).tolist()
    assert [word for word, _ in answer["aligned"]] == answer["target"].split()
    assert all(set(of) <= set(source.split()) for _, of in answer["aligned"])


def test_no_alignment_without_attention(files: list[Path], tmp_path: Path) -> None:
    settings = {**SUBWORDS, **SPLIT, "training.epochs": 1, "task.decoder.context": "initial"}
    fixed = recurra.train("translate", *files, out=tmp_path / "run", settings=settings)
    with pytest.raises(ConfigError, match="has a decoder without attention, so nothing says which part of a source"):
        fixed.predict("The old dog runs.", alignment=True)


@pytest.mark.parametrize("aligns", [True, False])
def test_an_unknown_symbol_is_copied_or_not_written(aligns: bool, words: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    model = words.model
    monkeypatch.setattr(type(model.task.decoder), "aligns", aligns)
    bias = model.task.bias.detach().clone()
    with torch.no_grad():
        model.task.bias[0] = 50.0  # nothing but the unknown symbol, up to the longest target
    try:
        (answer,) = words.predict("The platypus runs.", beam=1)
    finally:
        with torch.no_grad():
            model.task.bias.copy_(bias)
    tokens = answer["target"].replace(".", " .").split()
    assert answer["unknown_source"] == 1 and answer["unknown_target"] == 0
    assert (answer["unknown"], answer["unknown_places"]) == (["platypus"], [1])
    known, *cut = notes_of([answer])
    assert known == "the run does not know 'platypus' (token 2)."
    if aligns:
        assert set(tokens) <= {"The", "platypus", "runs", "."} and not answer["ended"]
        assert cut == ["1 of 1 target cut off without an end, 3 times as long as the source and 10 symbols more."]
    else:  # the others share what the unknown one has
        assert set(tokens) <= {*model.codecs["target"].symbols[1:]}


def test_runs_write_together_by_their_mean_probability(run: Run, other: Run, files: list[Path]) -> None:
    source = "The red fox sleeps."
    encoder = run.model.codecs
    (encoded,) = encoder.encode_all([{"source": source}])
    batch = Batch({"input": torch.from_numpy(encoded["input"])[None]})
    models, end = [run.model, other.model], run.model.task.end
    ((found, *_),) = search_batch(models, [batch, batch], [{"source": source}], Search(beam=3, n_best=2), [0], never)
    with torch.no_grad():
        p = [together(model, batch, [*found.tokens, end]) for model in models]
    assert found.log_p == pytest.approx(sum(math.log((a + b) / 2) for a, b in zip(*p, strict=True)), rel=1e-4)
    scored = workflow.evaluate(run.path, other.path, *files, device="cpu", baseline=False)
    assert (scored["runs"], scored["parameters"]) == (2, 2 * run.model.parameter_count)
    assert scored["model"] != run.evaluate(*files, baseline=False)["model"]


def together(model: Any, batch: Batch, tokens: list[int]) -> list[float]:
    """The probability of each symbol of a target, read one by one."""
    state, token, found = model.task.start(model.embedder, model.core, batch), torch.tensor([model.task.end]), []
    for following in tokens:
        log_p, state = model.task.step(model.embedder, model.core, state, token)
        found.append(float(log_p[0, following].exp()))
        token = torch.tensor([following])
    return found


def test_runs_that_cannot_write_together_are_refused(run: Run, words: Run) -> None:
    message = f"{run.path} and {words.path} cannot answer together: their codecs of target differ. Name runs that"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        workflow.evaluate(run.path, words.path, device="cpu", baseline=False)


def test_runs_of_other_kinds_do_not_answer_with_it(run: Run, tmp_path: Path) -> None:
    table = write(tmp_path / "a.csv", "text,label\n" + "".join(f"place {k},{'yn'[k % 2]}\n" for k in range(20)))
    small = {"core.hidden_size": 8, "embedder.size": 8, "training.epochs": 1, "training.device": "cpu"}
    recurra.train("classifier", table, out=tmp_path / "labels", settings=small)
    with pytest.raises(ConfigError, match=r"cannot answer together: one names target, the other label\. Name runs of"):
        workflow.evaluate(run.path, tmp_path / "labels", device="cpu")
    with pytest.raises(ConfigError, match=r"^beam is no option of this run\. It takes top\. Leave beam out\."):
        workflow.evaluate(tmp_path / "labels", device="cpu", settings={"search.beam": 1})


def test_evaluate_searches_as_it_is_told(run: Run, files: list[Path]) -> None:
    greedy = run.evaluate(*files, baseline=False, settings={"search.beam": 1})
    assert greedy["search"] == "greedy"
    assert greedy["model"] != run.evaluate(*files, baseline=False, settings={"search.no_repeat": 1})["model"]
    drawn = run.evaluate(*files, baseline=False, settings={"search.temperature": 0.5, "search.top_k": 3})
    assert drawn["search"] == "drawn at random, temperature 0.5, top k 3, seed 0"


def test_files_unlike_the_trainings_are_read_as_they_are_said_to_be(run: Run, files: list[Path], tmp_path) -> None:
    (file,) = tabs(tmp_path, made())
    with pytest.raises(DataError, match=r"1 file, expected them in twos: .* reader.kind=pairs"):
        run.evaluate(file, baseline=False)
    scored = run.evaluate(file, baseline=False, settings={"reader.kind": "pairs"})
    assert scored["model"] == run.evaluate(*files, baseline=False)["model"]


def test_half_and_half_is_the_whole(run: Run, files: list[Path], tmp_path: Path) -> None:
    halves = tmp_path / "halves"
    recurra.train("translate", *files, out=halves, settings=LEARNT | {"training.epochs": 7})
    again = recurra.train("translate", *files, out=halves, resume=True, settings=LEARNT)  # by the recipe
    same_training(again, run)
    assert again.config == run.config


def test_a_run_stopped_in_an_epoch_goes_on_as_if_it_were_not(run: Run, files: list[Path], tmp_path: Path) -> None:
    parts = tmp_path / "parts"

    def stop(event: Event) -> None:
        if event.kind == "step" and event.step == 5:  # of 3 or 4 in an epoch
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match=r"stopped after step 5 and saved. Go on: recurra train .*parts"):
        recurra.train("translate", *files, out=parts, settings=LEARNT, progress=stop)
    same_training(recurra.train(parts, resume=True), run)


def same_training(one: Any, other: Run) -> None:
    for name, weights in one.model.state_dict().items():
        assert torch.equal(weights, other.model.state_dict()[name]), name
    for part, scored in other.report["scores"].items():
        mine = one.report["scores"][part]
        assert {**mine, DRIFTING: 0} == {**scored, DRIFTING: 0}


def test_resume_refuses_other_data(files: list[Path], tmp_path: Path) -> None:
    mine = parallel(tmp_path, made())
    out = tmp_path / "run"
    settings = {**SUBWORDS, **SPLIT, "training.epochs": 1}
    recurra.train("translate", *mine, out=out, settings=settings)
    mine[1].write_text(mine[1].read_text(encoding="utf-8").replace("Hund", "Köter"), encoding="utf-8")
    with pytest.raises(DataError, match=r"the training data are others than when .*run was started.* Put the former"):
        recurra.train(out, resume=True, settings={"training.epochs": 2})
    mine[0].unlink()
    opened = recurra.load(out)
    with pytest.raises(DataError, match=r"the run's own training data cannot be read: .*no such file.* Or name files"):
        opened.evaluate()


def test_each_of_several_targets_trains_and_all_of_them_count(tmp_path: Path) -> None:
    lines = (f"A{'B' * k}  {first}{' B' * k}\n" for k in range(20) for first in ("AH", "EY"))
    file = write(tmp_path / "a.dict", "".join(lines))
    run = recurra.train("pronounce", file, out=tmp_path / "run", settings={**SMALL, **SPLIT, "training.epochs": 1})
    report = run.report
    assert report["examples"] == {"train": 16, "valid": 2} and report["pairs"] == 32
    assert run.report["scores"]["test"]["examples"] == 2
    assert len(report["shown"][0]["references"]) == 2


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    pairs = made()
    pairs[1], pairs[2], pairs[3] = (pairs[1][0], ""), ("", pairs[2][1]), (pairs[3][0], pairs[3][1] * 20)
    files = parallel(tmp_path, pairs)
    settings = {**SUBWORDS, "batching.longest": 60, "search.valid": 3, "training.epochs": 1}
    said: list[str] = []
    valid = parallel(tmp_path / "..", made(6, seed=8))
    plan = make_plan("translate", files, out=tmp_path / "run", valid=valid, test=valid, settings=settings)
    execute(plan, say=said.append)
    assert "2 of 60 training pairs left out, as a side is empty." in said
    assert "1 of 58 training pairs left out, as a side has more than 60 symbols (batching.longest)." in said
    assert "A validation writes for 3 of 6 validation sources, evenly spaced among them (search.valid)." in said


def test_an_empty_side_is_scored_where_it_stands(run: Run, tmp_path: Path) -> None:
    pairs = [("", "Der Hund läuft."), *made(5)]
    scored = run.evaluate(*parallel(tmp_path, pairs), baseline=False)
    assert scored["examples"] == 6
