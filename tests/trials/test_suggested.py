"""Trials that Optuna chooses: the same for the same seed, whichever ends first, and after a kill."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from recurra import cli

from .conftest import InProcess, Killed, found, words

CHOSEN = (
    *("--random", "training.learning_rate=log:1e-3:1e-1", "--random", "core.dropout=uniform:0:0.5"),
    *("--grid", "core.cell=gru,lstm", "--trials", "6", "--sampler", "optuna"),
)


def test_the_same_trials_whichever_ends_first_and_after_a_kill(here: Path, jobs: type[InProcess]) -> None:
    pytest.importorskip("optuna", reason="optuna is not installed")
    assert cli.call(words(*CHOSEN, out="whole")) == 0
    whole = found("whole")
    assert len(whole) == 6 and len({str(settings) for settings, _ in whole.values()}) == 6
    assert {settings["core.cell"] for settings, _ in whole.values()} <= {"gru", "lstm"}
    jobs.backwards = True
    jobs.done.clear()
    jobs.most = 5
    with pytest.raises(Killed):
        cli.call(words(*CHOSEN))
    jobs.most = 1000
    assert cli.call(words(*CHOSEN)) == 0
    assert found() == whole and jobs.done == [3, 2, 1, 0, 5, 4]
    assert cli.call(words(*CHOSEN, "--seed", "1", out="other")) == 0
    assert found("other")[0] != whole[0]


def test_what_does_not_go_together(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.call(words(*CHOSEN, "--shard", "1/2")) == 2
    assert "--sampler optuna looks at all scores, and a shard has its own alone." in capsys.readouterr().err
    assert cli.call(words(*CHOSEN, "--halving", "2", "--max-minutes", "1")) == 2
    assert "--sampler optuna and --halving cannot be put together" in capsys.readouterr().err


def test_without_optuna(here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert cli.call(words(*CHOSEN)) == 2
    assert "needs the package optuna, which is not installed: pip install 'recurra[optuna]'" in capsys.readouterr().err
