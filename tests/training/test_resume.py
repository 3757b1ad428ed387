"""Stopped and resumed is the same as never stopped, bit for bit on the CPU; and what cannot be resumed says so."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch

from recurra import checkpoint
from recurra.errors import CheckpointError
from recurra.training import evaluation as module
from recurra.training.average import Average
from recurra.training.interrupt import Interrupt
from recurra.training.log import Event, MetricsLog
from recurra.training.resume import _flatten, _unflatten, has_state

Make = Callable[..., Any]

SETTINGS: list[dict[str, Any]] = [
    {"optimiser": "adamw", "schedule": "warmup-cosine", "evaluate_every": 0.5},
    {"optimiser": {"kind": "adam", "weight_decay": 0.1}, "schedule": "plateau", "average": 0.9, "accumulate": 3},
    {"optimiser": "momentum", "schedule": {"kind": "staircase"}, "evaluate_every": 0.3, "clip_value": 0.01},
    {"optimiser": "sgd", "schedule": "exponential", "precision": "bf16"},
]


def interrupt_at(step: int) -> Callable[[Event], None]:
    def send(event: Event) -> None:
        if event.kind == "step" and event.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    return send


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("step", [1, 3, 5])
def test_interrupted_and_resumed_is_bit_for_bit(trainer: Make, settings: dict[str, Any], step: int) -> None:
    whole = trainer("whole", epochs=3, **settings)
    expected = whole.fit()

    stopped = trainer("parts", epochs=3, progress=interrupt_at(step), **settings)
    result = stopped.fit()
    assert result.interrupted
    assert result.step == step
    torch.manual_seed(12345)  # another process would have another generator
    resumed = trainer("parts", epochs=3, **settings)
    again = resumed.fit(resume=True)

    assert (again.step, again.best, again.best_step) == (expected.step, expected.best, expected.best_step)
    assert again.history == expected.history
    same(whole.model.state_dict(), resumed.model.state_dict())
    same(checkpoint.load_tensors(whole.run.model)[0], checkpoint.load_tensors(resumed.run.model)[0])
    same(checkpoint.load_tensors(whole.run.resume)[0], checkpoint.load_tensors(resumed.run.resume)[0])


def same(expected: dict[str, torch.Tensor], found: dict[str, torch.Tensor]) -> None:
    assert expected.keys() == found.keys()
    assert [name for name in expected if not torch.equal(expected[name], found[name])] == []


def test_dropout_is_what_makes_the_generator_matter(trainer: Make) -> None:
    """The tests above would see a generator that is not restored: another seed gives other weights."""
    one, other = trainer("one", seed=1), trainer("other", seed=2)
    one.fit()
    other.fit()
    assert not torch.equal(one.model.head.weight, other.model.head.weight)


def test_same_seed_same_weights(trainer: Make) -> None:
    one, other = trainer("one", seed=1), trainer("other", seed=1)
    one.fit()
    other.fit()
    same(one.model.state_dict(), other.model.state_dict())


def test_more_epochs_go_on_from_the_end(trainer: Make) -> None:
    whole, first, second = (trainer(name, epochs=n) for name, n in (("whole", 3), ("parts", 2), ("parts", 3)))
    whole.fit()
    first.fit()
    assert second.fit(resume=True).epochs == 3
    same(whole.model.state_dict(), second.model.state_dict())


def test_resuming_what_is_done_does_nothing(trainer: Make) -> None:
    first = trainer()
    expected = first.fit()
    lines = first.run.metrics.read_bytes()
    again = trainer().fit(resume=True)
    assert (again.reason, again.step, again.best) == ("epochs", expected.step, expected.best)
    assert first.run.metrics.read_bytes() == lines


def test_interrupted_run_has_a_model_and_knows_it_was_not_validated(trainer: Make, toy: Make) -> None:
    made = trainer(progress=interrupt_at(3))
    assert made.fit().best is None
    _, metadata = checkpoint.load_tensors(made.run.model)
    assert metadata["step"] == "3"
    assert "valid_loss" not in metadata
    same(checkpoint.load_model(made.run.model, toy(seed=1)).state_dict(), made.model.state_dict())


def test_interrupted_validation_is_done_again(trainer: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = trainer("whole")
    expected = whole.fit()
    evaluate = module.evaluate

    def interrupted(*arguments: Any, **keywords: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return evaluate(*arguments, **keywords)

    monkeypatch.setattr(module, "evaluate", interrupted)
    result = trainer("parts").fit()
    assert (result.reason, result.step, result.history) == ("interrupted", 8, ())
    monkeypatch.undo()
    again = trainer("parts")
    assert again.fit(resume=True).history == expected.history
    same(whole.model.state_dict(), again.model.state_dict())


def test_last_validation_interrupted_counts_as_interrupted(trainer: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate = module.evaluate

    def interrupted(*arguments: Any, **keywords: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return evaluate(*arguments, **keywords)

    monkeypatch.setattr(module, "evaluate", interrupted)
    result = trainer(evaluate_every=100.0).fit()
    assert (result.reason, result.step, result.best) == ("interrupted", 16, None)


def test_time_already_spent_counts(trainer: Make) -> None:
    now = [100.0]

    def tick(event: Event) -> None:
        if event.kind == "step":
            now[0] += 6.0
        if event.step == 5:
            os.kill(os.getpid(), signal.SIGINT) if event.kind == "step" else None

    settings: dict[str, Any] = {"epochs": 1000, "max_minutes": 1.0, "clock": lambda: now[0]}
    assert trainer(progress=tick, **settings).fit().minutes == pytest.approx(0.5)
    now[0] = 5000.0
    result = trainer(progress=tick, **settings).fit(resume=True)
    assert result.reason == "time"
    assert result.minutes == pytest.approx(1.0, abs=0.11)
    assert result.step in (9, 10)


def test_lines_after_the_saved_step_are_written_again(trainer: Make) -> None:
    made = trainer(progress=interrupt_at(3), log_every=1)
    made.fit()
    with made.run.metrics.open("a", encoding="utf-8") as file:
        file.write('{"step": 4, "loss": 9}\n{"step": 5, "lo')  # a crash, after steps that were not saved
    trainer(log_every=1).fit(resume=True)
    steps = [json.loads(line)["step"] for line in made.run.metrics.read_text(encoding="utf-8").splitlines()]
    assert steps == [*range(1, 9), 8, *range(9, 17), 16]


def test_log_begins_anew_without_resume(trainer: Make) -> None:
    made = trainer()
    made.run.metrics.write_text("older\n", encoding="utf-8")
    MetricsLog(made.run.metrics).close()
    assert made.run.metrics.read_bytes() == b""


def test_other_data_are_refused(trainer: Make) -> None:
    trainer(progress=interrupt_at(3)).fit()
    with pytest.raises(CheckpointError, match=r"was saved in an epoch of 8 batches, now it has 5\. Resume with"):
        trainer(batches=5).fit(resume=True)


def test_other_optimiser_is_refused(trainer: Make) -> None:
    trainer(progress=interrupt_at(3)).fit()
    with pytest.raises(CheckpointError, match=r"was saved by the optimiser AdamW, the settings now say SGD\. Resume"):
        trainer(optimiser="sgd").fit(resume=True)


TRIGGERED = {"kind": "triggered", "patience": 1}


@pytest.mark.parametrize("step", [2, 5, 6, 7, 11])
def test_a_triggered_mean_is_gone_on_with(
    trainer: Make, chunks: Any, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Stopped before its trigger, at it and after it, in the middle of an epoch and at its end."""
    evaluate = module.evaluate

    def worse(*arguments: Any, **keywords: Any) -> Any:
        score = evaluate(*arguments, **keywords)
        return score and dataclasses.replace(score, loss=-score.loss)  # what learning makes ever worse

    monkeypatch.setattr(module, "evaluate", worse)
    data = chunks(8, seed=5)
    ways: dict[str, Any] = {"train": lambda epoch: data, "valid": lambda: data}
    settings: dict[str, Any] = {"average": TRIGGERED, "evaluate_every": 0.25, "epochs": 3, **ways}
    whole = trainer("whole", **settings)
    expected = whole.fit()
    assert whole.counters.averaged_from == 6
    assert trainer("parts", progress=interrupt_at(step), **settings).fit().step == step
    torch.manual_seed(12345)
    resumed = trainer("parts", **settings)
    again = resumed.fit(resume=True)
    assert again.history == expected.history
    assert resumed.counters.averaged_from == 6
    same(whole.model.state_dict(), resumed.model.state_dict())
    same(checkpoint.load_tensors(whole.run.model)[0], checkpoint.load_tensors(resumed.run.model)[0])
    same(checkpoint.load_tensors(whole.run.resume)[0], checkpoint.load_tensors(resumed.run.resume)[0])


def test_a_decay_is_not_a_triggered_mean(trainer: Make) -> None:
    made = trainer(progress=interrupt_at(3), average=TRIGGERED)
    made.counters.averaged_from, made.average = 0, Average(made.parameters, None)
    made.fit()
    with pytest.raises(CheckpointError, match=r"was saved with training.average, the settings now say otherwise"):
        trainer(average=0.9).fit(resume=True)


@pytest.mark.parametrize(
    ("before", "after", "was"), [(0.0, 0.9, "without"), (0.9, 0.0, "with"), (0.9, TRIGGERED, "with")]
)
def test_other_average_is_refused(trainer: Make, before: float, after: Any, was: str) -> None:
    trainer(progress=interrupt_at(3), average=before).fit()
    with pytest.raises(CheckpointError, match=f"was saved {was} training.average, the settings now say otherwise"):
        trainer(average=after).fit(resume=True)


def test_no_state_to_resume(trainer: Make) -> None:
    with pytest.raises(CheckpointError, match=r"resume.safetensors is missing\. Training writes it before its first"):
        trainer().fit(resume=True)


class Killed(BaseException):
    """Stands for a process that is killed: nothing of ours catches it."""


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_killed_before_its_first_step_and_gone_on_with(trainer: Make, average: float) -> None:
    def kill(event: Event) -> None:
        raise Killed

    whole = trainer("whole", average=average)
    whole.fit()
    with pytest.raises(Killed):
        trainer("parts", average=average, progress=kill).fit()
    torch.manual_seed(12345)
    again = trainer("parts", average=average)
    assert has_state(again.run)
    again.fit(resume=True)
    same(checkpoint.load_tensors(whole.run.model)[0], checkpoint.load_tensors(again.run.model)[0])
    same(checkpoint.load_tensors(whole.run.resume)[0], checkpoint.load_tensors(again.run.resume)[0])


def test_a_run_without_a_state_begins_at_step_0_unless_weights_were_trained(trainer: Make) -> None:
    made = trainer(progress=interrupt_at(3))
    assert not has_state(made.run)
    checkpoint.save_model(made.run.model, made.model, {"step": "0"})  # killed between the first two files
    assert not has_state(made.run)
    made.fit()
    assert has_state(made.run)
    made.run.resume.unlink()
    with pytest.raises(CheckpointError, match=r"resume.safetensors is missing, and model.safetensors holds weights"):
        has_state(made.run)
    made.run.model.unlink()
    assert not has_state(made.run)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_what_ends_a_process_ends_a_training_in_order(trainer: Make, number: signal.Signals) -> None:
    before = signal.getsignal(number)

    def send(event: Event) -> None:
        if event.kind == "step" and event.step == 3:
            os.kill(os.getpid(), number)

    made = trainer(progress=send)
    result = made.fit()
    assert (result.interrupted, result.step, result.signal) == (True, 3, number)
    assert json.loads(checkpoint.load_tensors(made.run.resume)[1]["counters"])["step"] == 3
    assert signal.getsignal(number) is before


def test_handlers_of_the_program_around_are_left_alone() -> None:
    came: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
    try:
        with Interrupt() as interrupt:
            os.kill(os.getpid(), signal.SIGTERM)
            assert came == [signal.SIGTERM] and not interrupt.requested
    finally:
        signal.signal(signal.SIGTERM, before)


def test_model_weights_are_no_state_to_resume(trainer: Make) -> None:
    made = trainer()
    checkpoint.save_model(made.run.resume, made.model)
    with pytest.raises(CheckpointError, match=r"holds no training to resume \(KeyError\('counters'\) is wrong\)"):
        made.fit(resume=True)


def test_carried_states_of_any_nesting() -> None:
    x, y, z = torch.randn(2), torch.randn(1, 3), torch.randn(())
    for state in (None, x, (x, y), ((x, (y, None)), (z,)), ()):
        leaves: list[torch.Tensor] = []
        form = json.loads(json.dumps(_flatten(state, leaves)))
        assert str(_unflatten(form, leaves)) == str(state)


def test_second_interrupt_ends_at_once(trainer: Make) -> None:
    def twice(event: Event) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        trainer(progress=twice).fit()
    assert signal.getsignal(signal.SIGINT) is before


def test_trainer_works_outside_the_main_thread(trainer: Make) -> None:
    results: list[Any] = []
    made = trainer()
    thread = threading.Thread(target=lambda: results.append(made.fit()))
    thread.start()
    thread.join()
    assert results[0].reason == "epochs"


def test_process_that_ignores_ctrl_c_goes_on_ignoring_it() -> None:
    code = (
        "import os, signal; from recurra.training.interrupt import Interrupt\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "with Interrupt() as interrupt:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    assert not interrupt.requested\n"
        "assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_interrupt_asks_first() -> None:
    with Interrupt() as interrupt:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt.requested
