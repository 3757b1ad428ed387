"""What came of trials is ranked by the task's metric, and read back as it was written."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from recurra.errors import CheckpointError
from recurra.trials.results import Result, ranked, read, same_metric, write


def result(trial: int, score: float | None, **others: object) -> Result:
    failed = "" if score is not None else "too large"
    return Result(trial, {"core.hidden_size": trial}, metric="f1", score=score, failed=failed, **others)  # type: ignore[arg-type]


@pytest.mark.parametrize(("better", "order"), [("max", [3, 1, 4, 0, 2, 5]), ("min", [0, 1, 4, 3, 2, 5])])
def test_the_best_first_what_failed_last(better: str, order: list[int]) -> None:
    scores = [0.1, 0.5, math.nan, 0.9, 0.5, None]
    found = [result(k, score, better=better) for k, score in enumerate(scores)]
    assert [each.trial for each in ranked(found)] == order


def test_more_time_comes_first_and_its_last_score_counts() -> None:
    found = [result(0, 0.1), result(1, 0.2), result(2, 0.9), result(1, 0.5, rung=1), result(0, None, rung=1)]
    assert [(each.trial, each.rung, each.score) for each in ranked(found)] == [(1, 1, 0.5), (2, 0, 0.9), (0, 1, None)]


def test_another_metric_cannot_be_compared() -> None:
    other = Result(1, {}, metric="accuracy", score=0.9)
    one, apart = same_metric([result(0, 0.1), other])
    assert one.score == 0.1 and apart.score is None
    assert apart.failed == "it is scored by accuracy, the first trial by f1: they cannot be compared"


def test_written_and_read(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    for found in (result(3, 0.5, minutes=1.5, parameters=7), result(3, math.inf, rung=2), result(4, None)):
        write(tmp_path, found)
        assert read(tmp_path, found.trial, found.rung) == found
    assert read(tmp_path, 9) is None
    (tmp_path / "results" / "0003.json").write_text('{"trial": 3}')
    with pytest.raises(CheckpointError, match=r"0003\.json.*Delete it, and the trial is done again"):
        read(tmp_path, 3)
