"""Scores that adapt to the text, from a run on: their numbers, where these are chosen, and what is refused."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

import recurra
from recurra import cli, workflow
from recurra.data.batching.layout import SYMBOLS
from recurra.data.batching.streams import Streams
from recurra.errors import ConfigError, DataError
from recurra.progress import Wait, listening
from recurra.runs import adapted_scores as module
from recurra.runs.adapted_scores import cache_losses
from recurra.runs.reading import own_parts
from recurra.runs.run import Run
from recurra.training.dynamic import evaluate_dynamically, mean_squares
from recurra.training.evaluation import Score

WORDS = ("the", "cat", "sat", "on", "a", "mat", "and", "saw", "some", "big", "red", "dogs", "run", "past", "her", "old")
TINY = {
    "core.hidden_size": 10,
    "core.num_layers": 1,
    "core.init_range": "none",
    "embedder.size": 8,
    "embedder.init_range": "none",
    "task.init_range": "none",
    "batching.streams": 4,
    "batching.steps": 8,
    "training.epochs": 3,
    "training.schedule": "constant",
    "training.threads": 1,
    "training.device": "cpu",
    "baseline.order": 2,
}


def text(lines: int = 120) -> str:
    """Lines of words, each twice: the symbols of one lately read come again."""
    made = [" ".join(WORDS[(7 * k + j * (k % 5 + 1)) % len(WORDS)] for j in range(8)) for k in range(lines // 2)]
    return "".join(f"{line}\n{line}\n" for line in made)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("adapted")
    (folder / "my.txt").write_text(text(), encoding="utf-8")
    return recurra.train("word-lm-small", folder / "my.txt", out=folder / "run", settings=TINY)


def parts(run: Run) -> dict[str, Any]:
    own, encode = own_parts(run.config), run.model.codecs["input"].encode
    return {part: encode(getattr(own, part)[0]["text"]) for part in ("train", "valid", "test")}


def test_both_rows_stand_beside_the_score_of_one_stream(run: Run) -> None:
    scored = run.evaluate(dynamic=True, cache=True)
    ids = parts(run)["test"]
    nats, state = 0.0, None
    for token, target in pairwise(ids):
        log_p, state = run.model.step(state, int(token))
        nats -= float(log_p[0, target])
    assert scored["streams"] == 1
    assert scored["model"]["nats_per_symbol"] == pytest.approx(nats / (len(ids) - 1), rel=1e-5)
    assert scored["baseline"]
    dynamic, cached = scored["adapted"]
    assert (dynamic["name"], cached["name"]) == ("dynamic evaluation", "neural cache")
    assert set(dynamic["settings"]) == {"kind", "learning_rate", "decay", "steps"}
    assert set(cached["settings"]) == {"size", "theta", "weight"}
    assert [len(row["tried"]) for row in (dynamic, cached)] == [6, 36]
    for row in (dynamic, cached):
        assert set(row["seconds"]) == {"tuning", "scoring"}
        assert row["tuned_on"] == len(parts(run)["valid"]) - 1
        best = min(row["tried"], key=lambda each: each["nats_per_symbol"])
        assert best.items() >= {name: row["settings"][name] for name in list(best)[:2]}.items()
        assert math.isfinite(row["nats_per_symbol"]) and row["nats_per_symbol"] != scored["model"]["nats_per_symbol"]


def test_the_rows_are_scores_of_the_text_with_the_numbers_said(run: Run) -> None:
    scored = run.evaluate(
        dynamic={"learning_rate": 0.002, "decay": 0.01, "steps": 5}, cache={"theta": 0.7, "weight": 0.2, "size": 30}
    )
    ids, train = parts(run)["test"], parts(run)["train"]
    batches = Streams(20, 5).batches([{"input": train}], SYMBOLS)
    squares = mean_squares(run.model, [batches[k] for k in range(len(batches))])
    loss = evaluate_dynamically(
        run.model, Streams(1, 5).batches([{"input": ids}], SYMBOLS, whole=True), 0.002, 0.01, squares
    ).per_target
    dynamic, cached = scored["adapted"]
    assert dynamic["nats_per_symbol"] == pytest.approx(loss, rel=1e-6)
    expected = float(cache_losses(run.model, ids, 30, [0.7], [0.2])) / (len(ids) - 1)
    assert cached["nats_per_symbol"] == pytest.approx(expected, rel=1e-9)
    assert [(row["tried"], row["tuned_on"]) for row in scored["adapted"]] == [([], 0)] * 2


def test_one_number_said_leaves_the_other_to_be_chosen(run: Run) -> None:
    (row,) = run.evaluate(dynamic={"kind": "sgd", "decay": 0.002}, baseline=False)["adapted"]
    assert {each["decay"] for each in row["tried"]} == {0.002}
    assert [each["learning_rate"] for each in row["tried"]] == [0.1, 0.3, 1.0, 3.0]
    assert row["settings"]["kind"] == "sgd"


def test_the_cache_does_not_depend_on_how_the_text_is_cut(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = parts(run)["test"]
    whole = cache_losses(run.model, ids, 17, [0.1, 1.0], [0.1, 0.5, 0.0])
    monkeypatch.setattr(module, "SEGMENT", 7)
    assert torch.allclose(cache_losses(run.model, ids, 17, [0.1, 1.0], [0.1, 0.5, 0.0]), whole, rtol=1e-5)
    static = run.evaluate(cache={"theta": 0.1, "weight": 0.0}, baseline=False)["model"]["nats_per_symbol"]
    assert float(whole[0, 2]) / (len(ids) - 1) == pytest.approx(static, rel=1e-5)


def test_without_a_test_it_says_what_the_numbers_were_chosen_on(run: Run, tmp_path: Path) -> None:
    (tmp_path / "my.txt").write_text(text(), encoding="utf-8")
    other = recurra.train(
        "word-lm-small", tmp_path / "my.txt", out=tmp_path / "run", settings={**TINY, "data.test_fraction": 0.0}
    )
    assert "chosen on the text they are scored on" in other.evaluate(cache=True, baseline=False)["notes"][0]
    assert other.evaluate(cache={"theta": 0.1, "weight": 0.1}, baseline=False)["notes"] == []
    (tmp_path / "my.txt").unlink()
    (tmp_path / "other.txt").write_text(text(20), encoding="utf-8")
    with pytest.raises(DataError, match=r"own training data cannot be read: .* and say all that is chosen on it: dyn"):
        other.evaluate(tmp_path / "other.txt", baseline=False, dynamic=True)
    said = {"kind": "sgd", "learning_rate": 0.1, "decay": 0.0}
    assert other.evaluate(tmp_path / "other.txt", baseline=False, dynamic=said)["adapted"]


def test_steps_too_long_are_refused_with_the_next_move(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "evaluate_dynamically", lambda *a, **k: Score(math.inf, 12, 1))
    with pytest.raises(
        DataError, match=r"lost its way: the loss is beyond all numbers. Lower dynamic.learning_rate = 9, or"
    ):
        run.evaluate(baseline=False, dynamic={"kind": "sgd", "learning_rate": 9.0, "decay": 0.0})


class Names:
    """Remembers what was waited for, and how much of it was done at its end."""

    def __init__(self) -> None:
        self.ended: dict[str, tuple[int, int | None]] = {}

    def begin(self, wait: Wait) -> None: ...

    def end(self, wait: Wait) -> None:
        self.ended[wait.name] = wait.done, wait.total

    def say(self, sentence: str) -> None: ...


def test_whoever_waits_for_it_can_see_how_far_it_is(run: Run) -> None:
    names = Names()
    with listening(names):
        run.evaluate(baseline=False, dynamic=True, cache=True)
    for name in ("dynamic evaluation, choice 6 of 6", "dynamic evaluation, the text", "neural cache, the text"):
        done, total = names.ended[name]
        assert done == total


def test_the_verb_prints_scores_choices_and_seconds(run: Run, capsys) -> None:
    words = ["evaluate", str(run.path), "--dynamic", "--cache", "--set", "cache.size=40", "--device", "cpu"]
    assert cli.call(words) == 0
    said = capsys.readouterr().out
    assert "symbols, 0.00% unknown, read in one stream" in said
    lines = said.splitlines()
    row = next(line for line in lines if line.startswith("+ dynamic evaluation"))
    assert "kind rms, learning rate 0.00" in row and ", steps 20" in row
    assert any(line.startswith("+ neural cache") and "size 40, theta" in line for line in lines)
    assert any(line.startswith("kneser-ney, order 2") for line in lines)
    assert any(
        line.split() == ["learning", "rate", "decay", "0.001", "decay", "0.003", "decay", "0.01"] for line in lines
    )
    assert any(line.startswith("neural cache: ") and "s for the choice on the first" in line for line in lines)
    assert cli.call([*words[:3], "--set", "dynamic.learning_rate=0.001", "--set", "dynamic.decay=0", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["adapted"]
    assert found["settings"] == {"kind": "rms", "learning_rate": 0.001, "decay": 0.0, "steps": 20}
    assert cli.call([*words[:3], "--set", "dynamic.learning_rate=0.001", "--set", "dynamic.decay=0"]) == 0
    assert " s before it" in capsys.readouterr().out


def test_only_language_models_adapt(tmp_path: Path) -> None:
    table = "text,label\n" + "".join(
        f"{'good' if k % 2 else 'bad'} place,{'yes' if k % 2 else 'no'}\n" for k in range(40)
    )
    (tmp_path / "my.csv").write_text(table, encoding="utf-8")
    small = {"core.hidden_size": 8, "embedder.size": 8, "training.epochs": 1, "training.device": "cpu"}
    recurra.train("classifier", tmp_path / "my.csv", out=tmp_path / "labels", settings=small)
    with pytest.raises(
        ConfigError, match=r"are for language models, .*labels, whose task is classify, is none. Leave --dynamic"
    ):
        workflow.evaluate(tmp_path / "labels", dynamic=True)
    with pytest.raises(ConfigError, match=r"labels, whose task is classify, is none"):
        recurra.load(tmp_path / "labels").evaluate(cache=True)
