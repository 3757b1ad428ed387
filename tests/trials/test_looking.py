"""How far trainings are is told by the end of their logs, and by nothing where that says nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from recurra.training.lock import NAME
from recurra.trials import looking
from recurra.trials.looking import LAST, Looking, epoch_of, going
from recurra.trials.plan import Asked, Sweep

LINE = b'{"step": 3, "epoch": 1.25, "loss": 0.5}\n'


@pytest.mark.parametrize(
    ("log", "epoch"),
    [
        (LINE, 1.25),
        (LINE + b'{"step": 4, "ep', 1.25),
        (b'{"step": 1, "epoch": 0.5}\n' * LAST + LINE, 1.25),
        (b"", 0.0),
        (b"no json\n", 0.0),
        (b'["a list"]\n', 0.0),
        (None, 0.0),
    ],
)
def test_the_epoch_of_a_log(log: bytes | None, epoch: float, tmp_path: Path) -> None:
    if log is not None:
        (tmp_path / "metrics.jsonl").write_bytes(log)
    assert epoch_of(tmp_path) == epoch


def test_those_that_train_are_told_each_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = Sweep(Asked("tagger", tmp_path), {}, {}, 3, {"training": {"epochs": 5}}, ())
    assert going(sweep) == ""
    for trial in (0, 2):
        sweep.place(trial).mkdir()
        (sweep.place(trial) / "metrics.jsonl").write_bytes(LINE)
    (sweep.place(2) / NAME).write_bytes(b"")
    assert going(sweep) == "0002 at epoch 1.2 of 5"
    told: list[str] = []
    look = Looking(sweep, told.append)
    look()
    assert told == []
    monkeypatch.setattr(looking, "EVERY", 0.0)
    look()
    assert told == ["Training: 0002 at epoch 1.2 of 5"]
