"""When a training validates, saves and stops."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from recurra import checkpoint
from recurra.training import evaluation as module
from recurra.training.evaluation import Score
from recurra.training.log import Event
from recurra.training.resume import Counters
from recurra.training.settings import Training
from recurra.training.timetable import Timetable

Make = Callable[..., Any]


class Clock:
    """Goes on by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def lines(trainer: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in trainer.run.metrics.read_text(encoding="utf-8").splitlines()]


def test_early_stopping(trainer: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([3.0, 2.0, 2.5, 2.1, 1.0])
    monkeypatch.setattr(module, "evaluate", lambda *a, **k: Score(next(losses), 1, 1))
    result = trainer(epochs=9, patience=2).fit()
    assert (result.reason, result.epochs, result.best, result.best_step) == ("patience", 4.0, 2.0, 16)


def test_validation_at_fractions_of_an_epoch(trainer: Make) -> None:
    made = trainer(batches=8, epochs=1, evaluate_every=0.25)
    result = made.fit()
    assert len(result.history) == 4
    assert [line["step"] for line in lines(made) if "valid_loss" in line] == [2, 4, 6, 8]


def test_last_weights_are_validated_even_between_two_marks(trainer: Make) -> None:
    made = trainer(batches=8, epochs=2, evaluate_every=1.5)
    result = made.fit()
    assert [line["step"] for line in lines(made) if "valid_loss" in line] == [12, 16]
    assert len(result.history) == 1


def test_time_budget_is_kept_and_validation_counts(trainer: Make, chunks: Any) -> None:
    clock = Clock()

    def slow(seconds: float) -> Any:
        clock.now += seconds
        return chunks(2, seed=99)

    made = trainer(
        epochs=10**6,
        max_minutes=10,
        schedule="warmup-cosine",
        clock=clock,
        valid=lambda: slow(5.0),
        progress=lambda event: slow(1.0) if event.kind == "step" else None,
        evaluate_every=1000.0,
    )
    result = made.fit()
    assert result.reason == "time"
    assert 9.8 <= result.minutes <= 10.0
    assert made.counters.evaluated_step == result.step  # the last weights were validated within the budget
    validations = [line["minutes"] for line in lines(made) if "valid_loss" in line]
    assert 9 <= len(validations) <= 11  # a tenth of the budget from one to the next
    assert made._learning_rate < 0.02 * 0.01  # the cosine came down with the clock
    assert result.history == ()


def test_budget_smaller_than_a_step_still_leaves_a_model(trainer: Make, toy: Make) -> None:
    made = trainer(max_minutes=1e-9)
    result = made.fit()
    assert (result.reason, result.step) == ("time", 0)
    assert result.best is not None
    checkpoint.load_model(made.run.model, toy())


def test_checkpoints_before_the_first_step_and_within_a_minute(trainer: Make, toy: Make) -> None:
    clock, seen = Clock(), []

    def tick(event: Event) -> None:
        if event.kind == "step":
            clock.now += 10
        if event.kind == "checkpoint":
            seen.append((event.minutes, checkpoint.load_tensors(made.run.model)[1]["step"]))

    made = trainer(clock=clock, batches=80, epochs=1, progress=tick)
    made.fit()
    assert seen[:3] == [(0.0, "0"), (0.5, "3"), (5.5, "33")]
    assert checkpoint.load_tensors(made.run.model)[1]["step"] == "80"


@pytest.mark.parametrize(("steps", "peak"), [(5, 1 / 40), (40, 8 / 40), (100, 20 / 40), (1000, 1.0)])
def test_with_a_budget_the_rate_climbs_over_forty_steps_or_a_fifth(steps: int, peak: float) -> None:
    timetable = Timetable(Training(max_minutes=1.0, epochs=1))
    rates = [timetable.ceiling(Counters(step=k), 60.0 * k / steps, 60.0 / steps) for k in range(steps)]
    assert rates[0] == 1 / 40
    assert max(rates) == pytest.approx(peak) and rates[-1] == pytest.approx(peak)
    assert timetable.ceiling(Counters(), 0.0, 0.0) == 1 / 40  # before anything is known
    assert Timetable(Training()).ceiling(Counters(), 0.0, 1.0) == 1.0  # without a budget schedules say all


def test_steps_that_all_epochs_have_are_all_there_will_be() -> None:
    timetable = Timetable(Training(max_minutes=1.0, epochs=2))
    counters = Counters(step=30, epoch=1, batches=0)
    assert timetable.ceiling(counters, 1.0, 0.001) == pytest.approx(0.2 * 60 / 40)


def test_validation_takes_a_tenth_of_a_budget_by_a_share_that_a_resumed_run_keeps(trainer: Make, chunks: Any) -> None:
    clock, shares, spent = Clock(), [], [0.0]

    def sample(share: float, *, settled: bool) -> None:
        shares.append((share, settled))

    def valid() -> Any:
        cost = 100.0 * (shares[-1][0] if shares else 1.0)
        clock.now, spent[0] = clock.now + cost, spent[0] + cost
        return chunks(2, seed=99)

    def tick(event: Event) -> None:
        clock.now += 1.0 if event.kind == "step" else 0.0

    keywords: dict[str, Any] = {"max_minutes": 10, "epochs": 10**6, "clock": clock, "valid": valid, "progress": tick}
    made = trainer(sample=sample, **keywords)
    result = made.fit()
    assert result.minutes <= 10.0
    assert [settled for _, settled in shares] == [False, True]
    assert shares[-1][0] == pytest.approx(0.1 / 4 * 600 / 100)  # four validations in the tenth
    assert 0.05 * 600 <= spent[0] <= 0.1 * 600
    again = trainer(sample=sample, **{**keywords, "max_minutes": 20})
    again.fit(resume=True)
    assert shares[2:] == [(shares[1][0], True)]


def test_a_validation_that_a_budget_pays_for_is_whole(trainer: Make) -> None:
    shares: list[float] = []
    made = trainer(max_minutes=10, sample=lambda share, *, settled: shares.append(share))
    made.fit()
    assert shares == [1 / 16, 1.0]
    assert trainer("other", sample=lambda share, *, settled: shares.append(share)).fit().reason == "epochs"
    assert len(shares) == 2  # without a budget nothing is left out
