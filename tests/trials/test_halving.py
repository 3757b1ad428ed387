"""Successive halving: who goes on, for how long, and after a kill."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recurra import cli
from recurra.config import load_recipe
from recurra.trials.halving import Rung, rungs, whole_time

from .conftest import InProcess, Killed, words

HALVED = (*("--random", "training.learning_rate=log:1e-3:1e-1", "--trials", "4", "--halving", "2"), "--max-minutes")


def test_the_rungs() -> None:
    assert rungs(20, 3, 9.0) == [Rung(20, 1.0), Rung(6, 3.0), Rung(2, 9.0)]
    assert rungs(4, 2, 0.02) == [Rung(4, 0.005), Rung(2, 0.01), Rung(1, 0.02)]
    assert rungs(2, 3, 5.0) == [Rung(2, 5.0)]
    assert whole_time(rungs(20, 3, 9.0)) == 20 * 1 + 6 * 2 + 2 * 6


def test_the_best_go_on_with_more_time(here: Path, jobs: type[InProcess], capsys: pytest.CaptureFixture[str]) -> None:
    sweep = words(
        *HALVED,
        "0.02",
        "--set",
        "training.epochs=100000",
        "--set",
        "training.patience=none",
        leave=("training.epochs",),
    )
    jobs.most = 5
    with pytest.raises(Killed):
        cli.call(sweep)
    jobs.most = 1000
    before = {path.name: path.read_bytes() for path in Path("sweep", "results").iterdir()}
    assert sorted(before) == ["0000.json", "0001.json", "0002.json", "0003.json"]
    assert cli.call(sweep) == 0
    said = capsys.readouterr()
    assert "Successive halving: 4 to 0.005 minutes, then 2 to 0.01 minutes, then 1 to 0.02 minutes; 0.04" in said.err
    assert "The best 2 of 4 trials train on, to 0.01 minutes." in said.err
    assert {name: Path("sweep", "results", name).read_bytes() for name in before} == before
    first = [json.loads(each) for each in before.values()]
    best = [each["trial"] for each in sorted(first, key=lambda each: (-each["score"], each["trial"]))]
    assert sorted(jobs.done[:4]) == [0, 1, 2, 3] and set(jobs.done[4:6]) <= set(best[:2])
    (last,) = Path("sweep", "results").glob("*-2.json")
    found = json.loads(last.read_text())
    assert found["trial"] in best[:2] and found["ended"] == "time"
    assert 0.02 <= found["minutes"] < 0.2
    config = load_recipe(Path("sweep", f"{found['trial']:04d}", "config.toml"))
    assert config["training"]["max_minutes"] == 0.02 and config["training"]["fit_budget"] is False
    assert next(line.split()[0] for line in said.out.splitlines() if line.strip().startswith("000")) == last.name[:4]
    jobs.done.clear()
    assert cli.call(sweep) == 0 and jobs.done == []
