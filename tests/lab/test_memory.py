"""Tiny trainings: they learn, repeat, are taken up again, and say what is wrong."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from recurra.errors import ConfigError, DataError
from recurra.lab import memory
from recurra.lab.memory import Outcome, Trial, outcomes, train, trials

LONG = 600.0
"""Seconds that are not used up."""


def test_a_tiny_network_learns_to_add_over_five_steps() -> None:
    found = train(Trial("adding", "gru", 5, True, hidden=16, learning_rate=0.02), seconds=LONG, steps=400)
    assert found.end == "solved" and found.solved == found.steps
    assert found.error < found.baseline / 10
    assert found.curve[0][1] > found.baseline / 2 and found.curve[-1] == (found.steps, found.error)


def test_numbers_repeat_by_seed_and_clipping_changes_them() -> None:
    trial = Trial("copy", "rnn-tanh", 3, True, hidden=8)
    one, again = (train(trial, seconds=LONG, steps=30) for _ in range(2))
    assert replace(one, seconds=0.0) == replace(again, seconds=0.0)
    assert one.end == "steps" and one.steps == 30 and [step for step, _ in one.curve] == [0, 25, 30]
    assert train(replace(trial, seed=1), seconds=LONG, steps=30).curve != one.curve
    steep = Trial("adding", "rnn-relu", 20, True, hidden=8, learning_rate=0.05)
    assert (
        train(steep, seconds=LONG, steps=25).curve != train(replace(steep, clipped=False), seconds=LONG, steps=25).curve
    )


def test_time_ends_a_training_and_a_loss_that_is_not_finite() -> None:
    late = train(Trial("adding", "rnn-tanh", 4, True, hidden=4), seconds=0.0, steps=30)
    assert (late.end, late.steps, late.solved) == ("time", 1, None) and len(late.curve) == 2
    wild = train(Trial("adding", "rnn-identity", 500, False, hidden=8, learning_rate=30.0), seconds=LONG, steps=40)
    assert wild.end == "diverged" and math.isinf(wild.largest) and wild.error > 0
    assert Outcome.from_json(json.loads(json.dumps(wild.as_json()))).end == "diverged"


def test_what_is_known_is_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "new" / "memory.json"
    wanted = trials(["adding"], ["rnn-tanh", "gru"], [4], [True], hidden=4)
    first = [one for one, _ in outcomes(wanted[:1], minutes=5, steps=2, file=file)]
    both = list(outcomes(wanted, minutes=5, steps=2, file=file))
    assert [known for _, known in both] == [True, False] and both[0][0] == first[0]
    ran: list[str] = []
    monkeypatch.setattr(
        memory, "train", lambda trial, **_: ran.append(trial.cell) or replace(both[0][0], trial=trial, steps=3)
    )
    longer = list(outcomes(wanted, minutes=5, steps=3, file=file))
    assert ran == ["rnn-tanh", "gru"] and [one.steps for one, _ in longer] == [3, 3]
    assert all(known for _, known in outcomes(wanted, minutes=5, steps=1, file=file))
    timed = replace(both[0][0], end="time", seconds=50.0, steps=1)
    assert memory._done(timed, 9, 40.0) and not memory._done(timed, 9, 60.0)


def test_what_was_cut_short_is_not_replaced_by_less(tmp_path: Path) -> None:
    file = tmp_path / "memory.json"
    (trial,) = trials(["adding"], ["rnn-tanh"], [4], [True], hidden=4)
    far = replace(train(trial, seconds=LONG, steps=2), steps=50, end="time", seconds=0.0)
    memory._write(file, {trial.key: far})
    ((found, known),) = outcomes([trial], minutes=1e-9, steps=90, file=file)
    assert found.steps == 50 and not known


def test_every_combination_once() -> None:
    found = trials(["adding", "copy"], ["lstm", "gru"], [5, 9], [True, False])
    assert len(found) == len({one.key for one in found}) == 16


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: trials(["ading"]), "unknown problem 'ading': did you mean 'adding'"),
        (lambda: trials(lags=[50, 1]), "lag 1, expected 2 or more"),
        (lambda: trials(hidden=0), "0 units at a learning rate of 0.003"),
        (lambda: trials(learning_rate=0.0), "a learning rate of 0.0, expected both above 0"),
        (lambda: list(outcomes([], minutes=0.0)), "0.0 minutes and 3000 steps"),
        (lambda: list(outcomes([], minutes=1.0, steps=0)), "1.0 minutes and 0 steps"),
    ],
)
def test_what_is_refused(call, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        call()


@pytest.mark.parametrize("content", ["{", '{"outcomes": [{}]}', "[]", '{"outcomes": [{"trial": 3}]}'])
def test_another_file_is_left_alone(tmp_path: Path, content: str) -> None:
    file = tmp_path / "memory.json"
    file.write_text(content)
    with pytest.raises(DataError, match="not what an experiment on memory left there"):
        list(outcomes([], minutes=1.0, file=file))
    assert file.read_text() == content
