"""What a training with a budget is scored on where there is no time for all, and what it says of that."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recurra import cli
from recurra.training.log import Result
from recurra.training.settings import Training
from recurra.workflow import results, sampled

PROSE = Path(__file__).parents[1] / "fixtures" / "prose.txt"
SETTINGS = ("core.hidden_size=12", "core.num_layers=1", "embedder.size=6", "batching.streams=16", "batching.steps=16")


def test_scoring_has_a_fifth_of_a_budget_beyond_it_and_what_training_left() -> None:
    def allowed(minutes: float | None, taken: float) -> float:
        result = Result("epochs", 1, 1.0, taken, None, 0, ())
        return results._allowed(Training(epochs=1, max_minutes=minutes), result)

    assert allowed(10.0, 10.0) == pytest.approx(120.0)
    assert allowed(10.0, 4.0) == pytest.approx(480.0)
    assert allowed(0.1, 0.1) == results.AT_LEAST
    assert allowed(None, 10.0) == float("inf")


def test_where_there_is_no_time_a_few_are_scored_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(results, "_allowed", lambda settings, result: 0.0)
    monkeypatch.setattr(sampled, "FEWEST_STEPS", 200)
    out = str(tmp_path / "run")
    words = [word for setting in (*SETTINGS, "training.epochs=1", "training.seed=3") for word in ("--set", setting)]
    budget = ["--max-minutes", "5", "--no-fit-budget"]
    assert cli.call(["train", "char-lm", str(PROSE), "--out", out, *budget, *words]) == 0
    shown = capsys.readouterr()
    report = json.loads(Path(out, "report.json").read_text(encoding="utf-8"))
    assert not {"unscored", "scored"} & report.keys()  # nothing is missing that --resume would score
    whole = report["split"].partition("test ")[2].split()[0]
    assert [*report["scores"]] == ["test"]
    scored = report["scores"]["test"]
    assert scored["notes"] == [
        f"Scored on 200 of {whole} characters, drawn by the seed; all of them: recurra evaluate {out}.",
        f"No baseline: it would take longer than --max-minutes leaves; with all: recurra evaluate {out}.",
        "The validation examples are not scored: --max-minutes leaves no time for it.",
    ]
    assert all(note in shown.out for note in scored["notes"])
    assert scored["symbols"] < 250 and scored["drawn"] < 1 and "baseline" not in scored
    assert f"To score all {whole} characters of the test would take about " in shown.err
    assert cli.call(["evaluate", out, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["symbols"] > 1_000 and "baseline" in found
