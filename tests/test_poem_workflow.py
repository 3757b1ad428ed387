"""From a file of poems to a run that writes them: scored, asked, and kept in their form."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import recurra
from recurra import cli, workflow
from recurra.answers import Answer, notes_of
from recurra.data.readers.poems import form_of, has_form
from recurra.decoding.ngram import NgramModel
from recurra.errors import ConfigError, DataError
from recurra.runs.reading import own_parts
from recurra.runs.run import Run
from recurra.runs.scoring import Together
from recurra.tasks.poem_scores import poem_report
from recurra.types import Example

POEMS = Path(__file__).parent / "fixtures" / "poems.jsonl"
SMALL: dict[str, Any] = {
    "core.hidden_size": 12,
    "embedder.size": 16,
    "task.decoder.hidden_size": 24,
    "task.dropout": 0.0,
    "task.decoder.dropout": 0.0,
    "embedder.dropout": 0.0,
    "batching.size": 16,
    "baseline.order": 3,
    "data.valid_fraction": 0.1,
    "data.test_fraction": 0.1,
    "training.learning_rate": 0.03,
    "training.epochs": 12,
    "training.average": 0.0,
    "training.schedule": "constant",
    "training.threads": 1,
    "training.device": "cpu",
}
SHARES = {"form", "rhyme", "tones", "rhyme_ratio", "tones_ratio", "copied", "copied_most"}


@dataclass
class Says:
    """Asked for poems, it says given texts; how likely the true ones were it knows from a run."""

    run: Run
    texts: list[str]

    @property
    def options(self) -> Any:
        return self.run.options()

    def answers(self, examples: Sequence[Example], options: Any) -> list[Answer]:
        assert len(examples) == len(self.texts)
        return [Answer((), {"target": text, "ended": True}) for text in self.texts]

    def loss(self, examples: Sequence[Example]) -> tuple[float, int]:
        return Together([self.run], self.options).loss(examples)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return recurra.train("poem", POEMS, out=tmp_path_factory.mktemp("poems") / "run", settings=SMALL)


def test_weights_are_chosen_by_the_loss_of_true_poems(run: Run) -> None:
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    valid = [line["valid_nats_per_symbol"] for line in lines if "valid_nats_per_symbol" in line]
    report = run.report
    assert valid[-1] < valid[0] and min(valid) == pytest.approx(report["scores"]["valid"]["model"]["nats_per_symbol"])
    assert report["judged"] == report["examples"]["valid"] == 6


def test_the_report_has_poems_beside_the_real_ones(run: Run) -> None:
    scores = run.report["scores"]["test"]
    *_, ngram, kept, real = scores["baseline"]
    assert [row["order"] for row in scores["baseline"][:-2]] == [2, 3]
    assert set(scores["model"]) == SHARES | {"nats_per_symbol", "perplexity"}
    assert scores["search"] == "drawn at random, temperature 0.8, top p 0.95, seed 0"
    assert (kept["name"], real["name"], kept["size"]) == ("model, form kept", "held-out poems", 6)
    assert kept["form"] == real["form"] == real["rhyme"] == 100 and real["rhyme_ratio"] == real["tones_ratio"] == 1
    assert ngram["name"] == "kneser-ney, order 3" and set(ngram) >= {"nats_per_symbol", "perplexity", "size"}
    assert {row[0] for row in scores["tables"]["form"]["rows"]} <= {"5x4", "7x4", "5x8", "7x8"}
    assert sum(row[1] for row in scores["tables"]["form"]["rows"]) == 6
    assert any("neither form nor title" in note for note in scores["notes"])
    for shown in run.report["shown"]:
        assert has_form(shown["target"], *form_of(shown["source"])) and shown["target"] == "".join(shown["lines"])


def test_model_and_n_grams_count_the_same_symbols(run: Run) -> None:
    parts = own_parts(run.config)
    encoder = run.model.codecs
    test = [symbol for each in encoder.encode_all(parts.test) for symbol in each["target"]]
    train = [symbol for each in encoder.encode_all(parts.train) for symbol in each["target"]]
    end = run.model.task.end
    fitted = NgramModel(3).fit([end, *train], end + 1)
    ngram = run.report["scores"]["test"]["baseline"][-3]["nats_per_symbol"]
    assert ngram == pytest.approx(-fitted.log_probabilities([end, *test]).mean())
    assert len(test) == sum(len(example["target"]) + 1 for example in parts.test)
    texts = [example["target"] for example in parts.test]
    scored, beside, _ = poem_report(run.model.task, Says(run, texts), parts.test, None)
    assert scored.metrics["rhyme_ratio"] == 1 and not scored.metrics.keys() & {"copied", "copied_most"}
    assert [row["name"] for row in beside] == ["model, form kept", "held-out poems"]


def test_a_transformer_writes_poems_too(tmp_path: Path) -> None:
    parts = {"hidden_size": 16, "heads": 2, "num_layers": 1, "feed_forward": 16}
    small = {name: value for name, value in SMALL.items() if not name.endswith(("hidden_size", "decoder.dropout"))}
    settings = small | {f"{part}.{key}": value for part in ("core", "task.decoder") for key, value in parts.items()}
    settings |= {"core.kind": "transformer", "training.epochs": 1}
    run = recurra.train("poem", POEMS, out=tmp_path / "run", settings=settings)
    assert run.report["scores"]["test"]["baseline"][-2]["form"] == 100
    assert run.config["task"]["decoder"]["kind"] == "transformer"


def test_what_is_copied_is_counted_in_characters(run: Run) -> None:
    parts = own_parts(run.config)
    first = [parts.train[0]["target"]] * len(parts.test)
    scored, *_ = poem_report(run.model.task, Says(run, first), parts.test, parts.train)
    width, lines = form_of(parts.train[0]["source"])
    assert scored.metrics["copied"] == scored.metrics["copied_most"] == width * lines


def test_a_poem_is_written_in_its_form(run: Run) -> None:
    asked = ["7x4 夜望", "5 × 8 山行", "雪後", "5x4 夜", "7x8 江樓"]
    answers = run.predict(*asked, form=True)
    assert [answer["source"] for answer in answers] == ["7x4 夜望", "5x8 山行", "5x8 雪後", *asked[3:]]
    for answer in answers:
        width, lines = form_of(answer["source"])
        assert [len(line) for line in answer["lines"]] == [width + 1] * lines
        assert has_form(answer["target"], width, lines) and answer["ended"]
    assert run.predict(*asked) == answers  # as the recipe says
    again = run.predict(*asked, seed=1)
    assert all(a["target"] != b["target"] for a, b in zip(answers, again, strict=True))
    beams = run.predict(*asked, beam=2, n_best=2)
    assert all(has_form(h["target"], *form_of(b["source"])) for b in beams for h in b["hypotheses"])
    assert run.predict("")[0].parts == ()


def test_without_the_form_it_writes_what_it_comes_to(run: Run) -> None:
    scored = run.evaluate(settings={"search.form": False, "search.temperature": 3.0, "search.top_p": 1.0})
    assert scored["model"]["form"] < 100 and scored["baseline"][-2]["form"] == 100
    assert "100 symbols" in scored["notes"][-1] or not scored["cut"]
    (answer,) = run.predict("7x8 夜望", form=False, temperature=3.0)
    assert answer["ended"] or notes_of([answer]) == ["1 of 1 target cut off without an end, after 100 symbols."]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("6x4 夜望", "6x4 in '6x4 夜望' is a form no poem is written in"),
        ("7x4", "no title in '7x4', expected one behi"),
    ],
)
def test_prompts_that_cannot_be(run: Run, asked: str, message: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(message)}"):
        run.predict(asked)


def test_poems_are_scored_one_run_at_a_time(run: Run) -> None:
    with pytest.raises(ConfigError, match=r"^2 runs whose task, .* cannot be scored together\. Evaluate one at a ti"):
        workflow.evaluate(run.path, run.path, device="cpu")


BAD: dict[str, tuple[str, dict[str, Any], str]] = {
    "another baseline": (
        "poem",
        {"baseline.kind": "word-table"},
        "baseline.kind = 'word-table', this task is scored beside kneser-ney.",
    ),
    "n-grams of a translation": (
        "translate",
        {"baseline.kind": "kneser-ney"},
        "baseline.kind = 'kneser-ney', this task is scored beside copy, frequent, word-table.",
    ),
    "a form of a translation": (
        "translate",
        {"search.form": True},
        "search.form keeps the form of a poem, but this run is scored as translation. Leave it out, or train",
    ),
    "no symbols": ("poem", {"search.longest": 0}, "search.longest = 0, expected 1 or more."),
}


@pytest.mark.parametrize("case", BAD)
def test_settings_that_do_not_go_together(case: str, tmp_path: Path) -> None:
    recipe, settings, message = BAD[case]
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        recurra.train(recipe, POEMS, out=tmp_path / "run", settings=settings)


def test_poems_are_printed_line_by_line(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.call(["predict", str(run.path), "7x4 夜望", "--n", "2", "--seed", "3"]) == 0
    head, *rest = capsys.readouterr().out.split("\n")
    lines = [head, *rest]
    assert lines[0] == lines[6] == "# 7x4 夜望" and lines[5] == "" and [len(line) for line in lines[1:5]] == [8] * 4
    assert lines[1:5] != lines[7:11]
    (answer,) = run.predict("7x4 夜望", seed=3)
    assert answer["lines"] == lines[1:5]
    for words, message in (
        (["6x4 夜望"], "6x4 in '6x4 夜望' is a form no poem is written in"),
        (["7x4 夜望", "--n", "0"], "search.n = 0, expected 1 or more."),
    ):
        assert cli.call(["predict", str(run.path), *words]) == 2
        assert f"recurra: {message}" in capsys.readouterr().err


def test_the_report_is_printed(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.call(["evaluate", str(run.path)]) == 0
    said = capsys.readouterr().out
    for line in ("model, form kept ", "held-out poems ", "kneser-ney, order 3 ", "form: ", "tones: "):
        assert f"\n{line}" in said, line
