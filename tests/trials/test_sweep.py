"""`recurra sweep`: runs, a table, drawings; what fails, is killed, or is left to other shards."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import recurra
from recurra import cli, registry
from recurra.config import load_recipe

from .conftest import InProcess, Killed, found, words

GRID = ("--grid", "core.hidden_size=3,5", "--random", "training.learning_rate=log:1e-3:1e-1", "--trials", "4")
LEAVE = ("core.hidden_size",)


def sweep(*more: str, out: str = "sweep", leave: tuple[str, ...] = LEAVE) -> int:
    return cli.call(words(*more, out=out, leave=leave))


def table_of(out: str) -> list[dict[str, str]]:
    return [*csv.DictReader(Path(out, "table.csv").read_text(encoding="utf-8").splitlines())]


def test_trials_are_runs_ranked_by_their_validation(
    here: Path, jobs: type[InProcess], capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep(*GRID, "--seed", "3") == 0
    said = capsys.readouterr().out
    assert "4 of 4 trials, by their validation; the test is untouched" in said
    assert "The best on the test, beside baselines: recurra evaluate sweep/000" in said
    reports = [json.loads(Path("sweep", f"000{k}", "report.json").read_text()) for k in range(4)]
    kept = found()
    for k, report in enumerate(reports):
        assert [*report["scores"]] == ["valid"] and all(row["own"] for row in report["scores"]["valid"]["baseline"])
        assert report["seed"] == 3 and report["threads"] == 1
        config = load_recipe(Path("sweep", f"000{k}", "config.toml"))
        settings, score = kept[k]
        assert config["core"]["hidden_size"] == settings["core.hidden_size"] == (3, 5)[k % 2]
        assert config["training"]["learning_rate"] == settings["training.learning_rate"]
        assert score == report["scores"]["valid"]["model"]["accuracy"]
        assert report["commands"][0].startswith("recurra")
    table = table_of("sweep")
    scores = [float(row["score"]) for row in table]
    assert scores == sorted(scores, reverse=True) and {row["metric"] for row in table} == {"accuracy"}
    assert all(float(row["minutes"]) > 0 and int(row["threads"]) == 1 for row in table)
    for name in ("core.hidden_size", "training.learning_rate"):
        drawn = Path("sweep", f"{name}.svg").read_text(encoding="utf-8")
        assert drawn.count("<circle") == 4 and drawn.count("fill-opacity: 1") == 1 and name in drawn
    jobs.done.clear()
    assert cli.call(["sweep", "sweep", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert jobs.done == [] and [each["score"] for each in again["results"]] == scores
    assert again["metric"] == "accuracy" and again["best"] == f"sweep/{table[0]['trial']}"


def test_a_trial_that_fails_stands_in_the_table(
    here: Path, jobs: type[InProcess], capsys: pytest.CaptureFixture[str]
) -> None:
    huge = ("--grid", "core.hidden_size=100000000,4")
    assert sweep(*huge) == 0
    said = capsys.readouterr()
    assert "0000: core.hidden_size = 100000000, expected 16,777,216 at most." in said.out
    assert "0000 (core.hidden_size = 100000000) failed:" in said.err
    assert found()[0][1] is None and found()[1][1] is not None
    last = table_of("sweep")[-1]
    assert last["trial"] == "0000" and "16,777,216" in last["failed"]
    assert sweep(*huge) == 0 and jobs.done == [0, 1]
    assert sweep(*huge, "--retry") == 0 and jobs.done == [0, 1, 0]
    assert sweep("--grid", "core.hidden_size=100000000", out="other") == 2
    assert "recurra: no trial of 1 has a score; the first: core.hidden_size" in capsys.readouterr().err


def test_killed_and_called_again_it_goes_on(here: Path, jobs: type[InProcess]) -> None:
    assert sweep(*GRID, out="whole") == 0
    jobs.done.clear()
    jobs.most = 2
    with pytest.raises(Killed):
        sweep(*GRID)
    jobs.most = 1000
    assert sorted(found()) == [0]  # of the second nobody was told: its run is looked at
    assert sweep(*GRID) == 0
    assert jobs.done == [0, 1, 2, 3] and found() == found("whole")


def test_a_trial_that_was_stopped_goes_on_from_its_run(here: Path, jobs: type[InProcess]) -> None:
    settings = ("--grid", "core.hidden_size=4", "--set", "training.epochs=3")
    leave = ("core.hidden_size", "training.epochs")
    assert sweep(*settings, out="whole", leave=leave) == 0
    assert sweep(*settings, leave=leave) == 0
    Path("sweep", "results", "0000.json").unlink()
    report = json.loads(Path("sweep", "0000", "report.json").read_text())
    Path("sweep", "0000", "report.json").write_text(json.dumps({**report, "scores": {}, "unscored": ["valid model"]}))
    assert sweep(*settings, leave=leave) == 0
    commands = json.loads(Path("sweep", "0000", "report.json").read_text())["commands"]
    assert len(commands) == 2 and jobs.done == [0, 0, 0] and found() == found("whole")


def test_shards_are_the_whole(here: Path, jobs: type[InProcess], capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep(*GRID, out="whole") == 0
    jobs.done.clear()
    assert sweep(*GRID, "--shard", "2/2") == 0 and jobs.done == [1, 3]
    assert "4 trials, of which this is shard 2 of 2: 2;" in capsys.readouterr().err
    assert cli.call(["sweep", "sweep", "--shard", "1/2"]) == 0 and jobs.done == [1, 3, 0, 2]
    assert "4 of 4 trials" in capsys.readouterr().out
    assert found() == found("whole")


def test_what_there_is_by_now_is_shown(here: Path, jobs: type[InProcess], capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep(*GRID, "--shard", "2/2") == 0
    capsys.readouterr()
    assert cli.call(["sweep", "sweep", "--show"]) == 0 and jobs.done == [1, 3]
    said = capsys.readouterr().out
    assert "2 of 4 trials, by their validation" in said and "  0001 " in said and "  0000 " not in said


def test_more_trials_begin_with_those_there_are(here: Path, jobs: type[InProcess]) -> None:
    assert sweep(*GRID[:-1], "2") == 0
    before = found()
    assert cli.call(["sweep", "sweep", "--trials", "3"]) == 0 and jobs.done == [0, 1, 2]
    assert {k: each for k, each in found().items() if k < 2} == before


def test_a_folder_called_like_a_recipe_does_not_hide_it(here: Path, jobs: type[InProcess]) -> None:
    one = ("--grid", "core.hidden_size=3")
    assert sweep(*one, out="classifier") == 0 and sweep(*one) == 0 and jobs.done == [0, 0]
    assert cli.call(["sweep", "./classifier"]) == 0 and jobs.done == [0, 0]


def test_a_plugin_is_named_again(
    here: Path, jobs: type[InProcess], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for held in ("_parts", "_origins", "_plugins"):
        monkeypatch.setattr(registry, held, dict(getattr(registry, held)))
    Path("mine.py").write_text(
        "from recurra.cells.gru import gru\nfrom recurra.registry import part\n\nswept = part('cell', 'swept')(gru)\n"
    )
    assert sweep("--grid", "core.cell=swept", "--plugin", "mine.py", "--set", "core.hidden_size=3") == 0
    assert "recurra evaluate sweep/0000 --plugin mine.py\n" in capsys.readouterr().out
    assert cli.call(["sweep", "sweep"]) == 0 and jobs.done == [0]
    assert cli.call(["evaluate", "sweep/0000", "--plugin", "mine.py", "--no-baseline"]) == 0


def test_python_has_the_same(here: Path, jobs: type[InProcess]) -> None:
    settings = {"embedder.size": 4, "training.epochs": 1}
    done = recurra.sweep("classifier", "my.csv", out="sweep", grid={"core.hidden_size": [3, 5]}, settings=settings)
    assert done.best is done.trials[0] and done.best.settings["core.hidden_size"] in (3, 5)
    assert [each.trial for each in recurra.sweep("sweep").trials] == [each.trial for each in done.trials]
    assert jobs.done == [0, 1]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--grid", "core.hiden_size=3"], "unknown key core.hiden_size: did you mean 'hidden_size'?"),
        (["--grid", "core.cell=lstm,gruu"], "unknown cell 'gruu': did you mean 'gru'"),
        (["--grid", "core.hidden_size=3,four"], "core.hidden_size = 'four' is a str, expected int."),
        (["--grid", "core.dropout=0.1,x"], "core.dropout = 'x' is a str, expected float."),
        (["--grid", "training.patience=1,2.5"], "training.patience = 2.5 is a float, expected int"),
        (["--grid", "training.learning_rate=0.1,-1"], "training.learning_rate = -1.0, expected a number above 0."),
        (["--random", "core.hidden_size=uniform:1:9", "--trials", "3"], "expected int."),
        (["--grid", "core.hidden_size=3", "--set", "core.hidden_size=4"], "core.hidden_size is tried and set."),
        (["--grid", "data.train=a,b"], "data.train is the same in all trials. Name it by FILES."),
        (["--grid", "core.hidden_size=3", "--shard", "9/8"], "--shard 9/8, expected NUMBER/OF"),
        (["--grid", "core.hidden_size=3", "--workers", "0"], "--workers 0, expected a whole number from 1"),
        (["--grid", "core.hidden_size=3", "--threads", "0"], "threads = 0, expected 1 or more"),
        (["--grid", "core.hidden_size=3", "--halving", "2"], "Say how much the last ones have: --max-minutes 5"),
        (["--grid", "core.hidden_size=3", "--halving", "2", "--max-minutes", "1"], "of 1 trials leaves none"),
        (["--grid", "core.hidden_size=3", "--address", "auto"], "Add --on ray"),
        (["--grid", "core.hidden_size=3", "--epochs", "3"], "a setting of the recipe: --set training.epochs=3"),
    ],
)
def test_wrong_words_are_answered_before_anything_is_written(
    here: Path, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    assert sweep(*more) == 2
    assert said in capsys.readouterr().err and not Path("sweep").exists()


def test_wrong_words_are_answered_without_torch(here: Path) -> None:
    code = (
        "import sys; from recurra import cli; words = ('core.hiden_size=3', 'core.hidden_size=3,four'); "
        "codes = [cli.call(['sweep', 'classifier', 'my.csv', '--grid', word]) for word in words]; "
        "assert codes == [2, 2]; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_another_sweep_in_the_folder_is_refused(
    here: Path, jobs: type[InProcess], capsys: pytest.CaptureFixture[str]
) -> None:
    one = ("--grid", "core.hidden_size=3")
    assert sweep(*one) == 0

    def said(*more: str, **changed: Any) -> str:
        capsys.readouterr()
        assert sweep(*more, **changed) == 2
        return capsys.readouterr().err

    assert "sweep holds another sweep: grid was {'core.hidden_size': [3]}" in said("--grid", "core.hidden_size=4")
    assert "seed was 0, now it is 1. Go on with it by `recurra sweep sweep`" in said(*one, "--seed", "1")
    Path("runs", "one").mkdir(parents=True)
    Path("runs", "one", "config.toml").write_text("")
    assert "runs holds runs that are no trials of a sweep" in said(*one, out="runs")
    assert cli.call(["sweep", "sweep", *one]) == 2
    assert "is a sweep, which knows what it tries. Leave --grid away" in capsys.readouterr().err
    Path("sweep", "sweep.json").write_text("{}")
    assert "sweep/sweep.json" in said(*one)
