"""From a text to a run that fills its blanks: trained, scored beside its left side and n-grams, opened, asked."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

import recurra
from recurra import config as configuration
from recurra import workflow
from recurra.data.blanks import read_line
from recurra.errors import ConfigError, DataError
from recurra.runs.run import Run
from recurra.workflow.material import Material
from recurra.workflow.plan import make_plan

PROSE = Path(__file__).parent / "fixtures" / "prose.txt"
SMALL: dict[str, Any] = {
    "core.hidden_size": 12,
    "embedder.size": 10,
    "batching.size": 8,
    "vocabulary.max_size": 100,
    "baseline.order": 3,
    "training.learning_rate": 0.02,
    "training.epochs": 3,
    "training.device": "cpu",
    "training.threads": 1,
}
REVIEWS = "label\ttext_a\n" + "".join(
    f"{k % 2}\t{a}很{b}，{'不' * (k % 3)}想再来{k % 7}次\n"
    for k, (a, b) in enumerate(zip("房间早餐服务" * 6, "好小吵" * 12, strict=True))
)


def train(recipe: str, file: Path, out: Path, **settings: Any) -> Run:
    chosen = {name.replace("__", "."): value for name, value in settings.items()}
    return recurra.train(recipe, file, out=out, settings=SMALL | chosen)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train("fill", PROSE, tmp_path_factory.mktemp("fill") / "run", core__num_layers=2, core__dropout=0.1)


def test_the_report_shows_both_sides_the_left_one_and_n_grams(run: Run) -> None:
    report = run.report
    assert run.config["reader"] == {"kind": "lines", "encoding": "utf-8"}
    assert re.match(r"cut \d+ examples, shuffled with seed 0", report["split"])
    scored = report["scores"]["test"]
    names = [row["name"] for row in scored["baseline"]]
    order = ("Kneser–Ney, order 3, left only", "Kneser–Ney, order 3, both sides")
    assert names == ["left only, the same network", *order]
    for row in (scored["model"], *scored["baseline"]):
        assert 0 <= row["top1"] <= row["top5"] <= 100 and 1 < row["perplexity"] < 200
    by_left = [scored["model"]["perplexity"] < scored["baseline"][0]["perplexity"]]
    assert by_left == [True] and scored["baseline"][2]["perplexity"] < scored["baseline"][1]["perplexity"]
    assert scored["tokens"] > scored["examples"] and 0 < scored["unknown_share"] < 0.2
    assert [note.split("%", 1)[1] for note in scored["notes"]] == [
        " of the places hold the unknown symbol, which counts as a symbol like any other, for the model and beside it."
    ]
    assert [row[0] for row in scored["tables"]["places"]["rows"]] == ["known", "unknown"]
    assert scored["tables"]["places"]["rows"][0][1] + scored["tables"]["places"]["rows"][1][1] == scored["tokens"]
    assert scored["baseline"][0]["size"] < scored["parameters"] == run.model.parameter_count
    assert len(report["shown"]) == 3
    for shown in report["shown"]:
        assert shown["tokens"].count("___") == len(shown["blanks"]) == 1 and "truth" in shown
    lines = map(json.loads, (run.path / "metrics.jsonl").read_text().splitlines())
    best = min(line["valid_perplexity"] for line in lines if "valid_perplexity" in line)
    assert best == pytest.approx(report["scores"]["valid"]["model"]["perplexity"])


def test_saved_loaded_and_evaluated_anew(run: Run) -> None:
    again = recurra.load(run.path, device="cpu")
    assert again.config == run.config
    text = "the clerk ___ one more lantern."
    assert again.predict(text) == run.predict(text)
    scored = again.evaluate()
    assert (scored["data"], scored["split"]) == ("test", run.report["split"])
    expected = run.report["scores"]["test"]
    assert scored["model"] == pytest.approx(expected["model"])
    assert [row["top1"] for row in scored["baseline"]] == pytest.approx([row["top1"] for row in expected["baseline"]])
    other = run.evaluate(PROSE, baseline=False)
    assert other["examples"] > expected["examples"] and len(other["baseline"]) == 1


def test_half_and_half_is_the_whole(run: Run, tmp_path: Path) -> None:
    settings = {"core__num_layers": 2, "core__dropout": 0.1}
    train("fill", PROSE, tmp_path / "run", **settings, training__epochs=1)
    again = recurra.train(tmp_path / "run", resume=True, settings={"training.epochs": 3})
    # The schedule knows the epochs to come, so that only the settings that last can be compared.
    assert again.report["epochs"] == pytest.approx(3) and again.config["core"] == run.config["core"]


def test_guesses(run: Run) -> None:
    text = "The clerk ___ one more lantern."
    (answer,) = run.predict(text, top=4)
    assert answer["tokens"] == ["The", "clerk", "___", "one", "more", "lantern", "."] and answer["unknown"] == []
    (blank,) = answer["blanks"]
    assert blank["place"] == 2
    for side in ("both", "left"):
        shares = [guess["p"] for guess in blank[side]]
        assert len(shares) == 4 and shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 1
        assert "<unk>" not in [guess["symbol"] for guess in blank[side]]
    for written in ("The clerk __ one more lantern.", "The clerk ＿ one more lantern.", text.split("___")):
        given = written if isinstance(written, str) else [*answer["tokens"]]
        assert run.predict(given, top=4) == [answer]
    changed = run.predict("The clerk ___ nobody", top=4)[0]["blanks"][0]
    assert changed["left"] == [
        {"symbol": g["symbol"], "p": pytest.approx(g["p"])} for g in blank["left"]
    ]  # what stands to the right is not read from the left
    assert changed["both"] != blank["both"]
    several, alone = run.predict("The ___ ___ one more lantern.", "The <unk> ___ one more lantern.", top=4)
    assert several["blanks"][1]["both"] == [
        {"symbol": g["symbol"], "p": pytest.approx(g["p"])} for g in alone["blanks"][0]["both"]
    ]
    assert [each.parts for each in run.predict("", [])] == [(), ()]
    everything = len(run.model.codecs["input"]) - 1
    assert len(run.predict("___", top=10_000)[0]["blanks"][0]["both"]) == everything


def test_tokens_that_are_unknown_are_read_as_they_were_learnt(run: Run) -> None:
    vocabulary = run.model.codecs["input"]
    line = read_line(["LANTERN", "“clerk”", "___", "Zweig", "..."], vocabulary)
    assert (line.tokens, line.blanks) == (["lantern", "clerk", "___", "Zweig", "..."], [2])
    assert line.unknown == ["Zweig", "..."]


def test_what_cannot_be_filled(run: Run, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"^no blank in 'the clerk_waits': write ___ where a word is missing, as in \"i a"
    ):
        run.predict("the clerk_waits")
    with pytest.raises(DataError, match=r"^no blank in 'the clerk': write ___"):
        run.predict(["the", "clerk"])
    with pytest.raises(ConfigError, match=r"^top = 0, expected 1 or more symbols for a blank\."):
        run.predict("___", top=0)
    known = train("fill", PROSE, tmp_path / "run", vocabulary__max_size=None, training__epochs=1)
    assert known.predict("the ___ waits")[0]["blanks"]
    with pytest.raises(
        ConfigError, match=r"^2 blanks in one text: while one is filled, the others are read as an unkno"
    ):
        known.predict("the ___ waits", "the ___ ___")
    assert known.evaluate(baseline=False)["tables"] == {} == known.report["scores"]["test"]["tables"]
    with pytest.raises(ConfigError, match=r"^2 runs whose task, fill, .* cannot be scored together\. Evaluate one"):
        workflow.evaluate(run.path, known.path, device="cpu")


def test_characters_of_a_labelled_table_are_filled(tmp_path: Path) -> None:
    file = tmp_path / "reviews.tsv"
    file.write_text(REVIEWS, encoding="utf-8")
    reading = {"reader__kind": "table", "reader__text": "text_a"}
    run = train("fill-characters", file, tmp_path / "run", vocabulary__max_size=15, **reading)
    notes = [note for note in run.report["notes"] if "left out" in note]
    assert all(re.search(r"left out, whose very text is in a later part, too\.$", note) for note in notes)
    (answer,) = run.predict("房间__好，想 ___ 来")[:1]
    assert answer["tokens"] == [*"房间", "___", *"好，想", "___", "来"]
    assert all(len(guess["symbol"]) == 1 for blank in answer["blanks"] for guess in blank["both"])
    assert run.evaluate(file, baseline=False)["examples"] == 36


def test_the_left_side_has_a_run_of_its_own(tmp_path: Path) -> None:
    settings = {**SMALL, "core.kind": "recurrent", "training.epochs": 1}
    run = recurra.train("fill", PROSE, out=tmp_path / "run", settings=settings)
    assert run.config["task"]["sides"] == "left" and run.config["core"]["kind"] == "recurrent"
    names = [row["name"] for row in run.report["scores"]["test"]["baseline"]]
    assert names == ["Kneser–Ney, order 3, left only", "Kneser–Ney, order 3, both sides"]
    (blank,) = run.predict("the ___ waits")[0]["blanks"]
    assert blank.keys() == {"place", "left"}


def test_words_that_are_spelt_and_their_vectors(tmp_path: Path) -> None:
    vectors = tmp_path / "vectors.txt"
    vectors.write_text("lantern 1 2 3\nclerk 4 5 6\n")
    spelling = {"kind": "convolution", "size": 4, "filters": 4, "width": 3}
    spelt = {"embedder__kind": "words", "embedder__size": 3, "embedder__spelling": spelling, "task__tied": False}
    settings = {name.replace("__", "."): value for name, value in spelt.items()}
    settings = {**SMALL, "embedder.kind": "words", **settings, "vocabulary.vectors": str(vectors), "training.epochs": 1}
    run = recurra.train("fill", PROSE, out=tmp_path / "run", settings=settings)
    assert run.predict("the ___ waits")[0]["blanks"]
    with pytest.raises(
        ConfigError, match=r"task.tied wants an embedder that is one matrix `weight` \[V, 7\], but Word"
    ):
        recurra.train("fill", PROSE, out=tmp_path / "tied", settings={**settings, "task.tied": True})


def test_parts_that_do_not_go_together(tmp_path: Path) -> None:
    def refused(message: str, recipe: str = "fill", **settings: Any) -> None:
        chosen = {name.replace("__", "."): value for name, value in settings.items()}
        with pytest.raises(ConfigError, match=message):
            recurra.train(recipe, PROSE, out=tmp_path / "run", settings=chosen)

    refused(
        r"reader.kind = 'text' gives no sentences one by one, but the task 'fill' reads tokens or text\.",
        reader__kind="text",
    )
    refused(r"reader.kind = 'pairs' gives no sentences one by one", reader__kind="pairs")
    refused(
        r"reader.gives = 'labels', but the task 'fill' learns from sentences one by one\. Set", reader__gives="labels"
    )
    refused(
        r"reader.gives = 'sentences', but the task 'tag' learns from labelled examples\. Set",
        "tagger",
        reader__gives="sentences",
    )
    refused(r"reader.kind = 'lines' gives text, but the task 'tag' learns tags", "tagger", reader__kind="lines")
    refused(
        r"vocabulary.kind = 'word' has symbols that are no tokens, but baseline.kind = 'blank-n",
        vocabulary__kind="word",
    )
    refused(r"baseline.kind = 'bag', this task is scored beside blank-ngrams\.", baseline__kind="bag")
    refused(r"there are no validation examples\. Name a file with --valid", data__valid_fraction=0)


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("multi30k", "auto", r"'multi30k' is made of pairs of .*, but this recipe learns from sentences"),
        ("pydoc", "auto", r"'pydoc' is one long text, .* but this recipe learns from sentences"),
        ("trec", "lines", r"'trec' is in the format 'labelled-lines', but reader.kind = 'lines'"),
    ],
)
def test_sets_of_other_things_are_refused(name: str, kind: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_plan("fill", settings={"data.set": name, "reader.kind": kind})


def test_sets_of_lines_and_of_labelled_texts_are_sentences() -> None:
    for name in ("ptb", "wikitext-2", "chnsenticorp", "atis"):
        assert make_plan("fill", settings={"data.set": name}).config["data"]["set"] == name
    assert make_plan("fill", settings={"data.set": "ptb", "reader.kind": "lines"})


@pytest.mark.parametrize("recipe", ["fill", "fill-characters"])
def test_the_recipes_are_whole(recipe: str) -> None:
    configuration.check(configuration.load_recipe(recipe))


def test_a_validation_that_is_stopped_says_nothing(run: Run) -> None:
    material = Material(run.config, run.model.codecs.saved)
    place = torch.device("cpu")
    judged = material.validate(run.model, material.valid(), device=place, precision="float32", stop=lambda: True)
    assert judged is None and not run.model.training
