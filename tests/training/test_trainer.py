"""The loop: what a step computes, what it tells, and what it says when it cannot go on."""

from __future__ import annotations

import dataclasses
import errno
import json
import math
import os
from collections.abc import Callable
from typing import Any

import pytest
import torch

from recurra import checkpoint
from recurra.engine import short
from recurra.errors import CheckpointError, DataError, TrainingError
from recurra.training import evaluation as module
from recurra.training.evaluation import Score, evaluate
from recurra.training.log import Event, Window
from recurra.types import Batch

Make = Callable[..., Any]


def lines(trainer: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in trainer.run.metrics.read_text(encoding="utf-8").splitlines()]


def test_loss_falls_and_the_best_is_kept(trainer: Make, toy: Make, chunks: Any) -> None:
    same = chunks(8, seed=5)
    made = trainer(train=lambda epoch: same, valid=lambda: same, epochs=25, model=toy(dropout=0.0))
    result = made.fit()
    assert result.reason == "epochs"
    assert not result.interrupted
    assert (result.step, result.epochs) == (200, 25.0)
    assert result.history[-1] < 0.7 * result.history[0]
    assert result.best == min(result.history)
    best = checkpoint.load_model(made.run.model, toy(seed=1))
    assert evaluate(best, same).per_target == result.best
    _, metadata = checkpoint.load_tensors(made.run.model)
    assert metadata["step"] == str(result.best_step)
    assert float(metadata["valid_loss"]) == result.best


@pytest.mark.parametrize("per", ["token", "sequence"])
@pytest.mark.parametrize("accumulate", [1, 3])
def test_step_is_the_gradient_of_the_normalised_sum(
    trainer: Make, toy: Make, chunks: Any, per: str, accumulate: int
) -> None:
    model, data = toy(dropout=0.0), chunks(5, seed=3)  # the last batch is a step shorter
    made = trainer(
        model=model,
        train=lambda epoch: data,
        epochs=1,
        accumulate=accumulate,
        loss_per=per,
        optimiser="sgd",
        learning_rate=0.5,
        clip_norm=None,
    )
    made.fit()
    plain = toy(dropout=0.0)
    state = None
    for start in range(0, len(data), accumulate):
        loss, count = 0.0, 0
        for k in range(start, min(start + accumulate, len(data))):
            output = plain.loss(data[k], state)
            loss, count = loss + output.loss, count + (output.targets if per == "token" else output.sequences)
            state = tuple(part.detach() for part in output.state)
        gradients = torch.autograd.grad(loss / count, list(plain.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(plain.parameters(), gradients, strict=True):
                parameter -= 0.5 * gradient
    assert made.counters.step == math.ceil(len(data) / accumulate)
    for ours, theirs in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_accumulated_batches_equal_one_large_batch(trainer: Make, toy: Make, chunks: Any) -> None:
    streams = [chunks(1, seed=seed)[0] for seed in range(4)]
    whole = Batch({name: torch.cat([batch.fields[name] for batch in streams]) for name in ("input", "target")})
    models = []
    for folder, data in (("one", [whole]), ("four", streams)):
        made = trainer(folder, model=toy(dropout=0.0), train=lambda epoch, d=data: d, accumulate=4, clip_norm=0.1)
        assert made.fit().step == 2
        models.append(made.model)
    for one, four in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(one, four, rtol=1e-4, atol=1e-5)


def test_state_is_carried_detached_and_reset(trainer: Make, toy: Make) -> None:
    model, ids = toy(), torch.zeros(2, 4, dtype=torch.long)
    trainer(model=model, batches=3, epochs=2, valid=lambda: [Batch({"input": ids, "target": ids})]).fit()
    carried = [state is not None for state in model.seen]
    assert carried == [False, True, True, False, False, True, True, False]  # an epoch, validation, and again
    assert all(not part.requires_grad for state in model.seen if state for part in state)


def test_schedule_is_followed(trainer: Make) -> None:
    rates = []
    made = trainer(
        schedule={"kind": "warmup-cosine", "warmup": 0.25, "floor": 0.1},
        batches=8,
        epochs=2,
        learning_rate=0.5,
        progress=lambda event: rates.append(event.learning_rate) if event.kind == "step" else None,
    )
    made.fit()
    assert rates == pytest.approx([0.5 * made.schedule.rate(0.0, k / 16, []) for k in range(16)])


def test_plateau_sees_the_history(trainer: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    losses, rates = iter([3.0, 3.5, 3.2, 2.0]), {}
    monkeypatch.setattr(module, "evaluate", lambda *a, **k: Score(next(losses), 1, 1))
    made = trainer(
        schedule="plateau",
        epochs=4,
        learning_rate=0.8,
        progress=lambda event: rates.setdefault(math.ceil(event.epoch), event.learning_rate),
    )
    result = made.fit()
    assert result.history == (3.0, 3.5, 3.2, 2.0)
    assert [rates[epoch] for epoch in (1, 2, 3, 4)] == pytest.approx([0.8, 0.8, 0.4, 0.2])


def test_log_has_a_line_every_n_steps(trainer: Make) -> None:
    made = trainer(batches=8, epochs=1, log_every=3, schedule={"kind": "exponential", "factor": 0.5})
    result = made.fit()
    first, second, last = lines(made)
    assert [line["step"] for line in (first, second, last)] == [3, 6, 8]
    assert first["epoch"] == pytest.approx(3 / 8)
    assert first["learning_rate"] == pytest.approx(0.01 * 0.5 ** (2 / 8))
    assert 0 < first["gradient_norm"] <= first["gradient_norm_max"]
    assert first["symbols_per_second"] > 0
    assert first["loss"] == pytest.approx(math.log(7), rel=0.2)
    assert "valid_loss" not in first
    assert (last["valid_loss"], last["best"]) == (result.best, True)


def test_events(trainer: Make) -> None:
    events: list[Event] = []
    trainer(batches=4, epochs=1, progress=events.append).fit()
    kinds = ["checkpoint", *["step"] * 4, "evaluation", "checkpoint", "checkpoint", "end"]
    assert [event.kind for event in events] == kinds
    assert [event.progress for event in events[:5]] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert events[5].best
    assert events[5].valid is not None
    assert math.isnan(events[0].loss) and all(math.isfinite(event.loss) for event in events[1:])


def test_averaged_weights_are_validated_and_kept(trainer: Make, toy: Make, chunks: Any) -> None:
    model, tracked = toy(), toy()
    means = [p.detach().clone() for p in tracked.parameters()]

    def follow(event: Event) -> None:
        if event.kind == "step":
            decay = min(0.9, (1 + event.step) / (10 + event.step))
            for mean, p in zip(means, model.parameters(), strict=True):
                mean.mul_(decay).add_(p.detach(), alpha=1 - decay)

    made = trainer(model=model, epochs=1, average=0.9, progress=follow)
    result = made.fit()
    kept = checkpoint.load_model(made.run.model, toy(seed=1))
    for ours, mean, last in zip(kept.parameters(), means, model.parameters(), strict=True):
        torch.testing.assert_close(ours.detach(), mean)
        assert not torch.equal(ours, last)  # training goes on from the weights themselves
    assert evaluate(kept, chunks(2, seed=99)).per_target == result.best


def test_a_mean_begins_where_validation_gets_worse(trainer: Make, toy: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    losses, model, own, seen = iter([5.0, 4.0, 4.5, 4.2, 3.5, 3.6]), toy(), {}, []

    def validate(model: Any, *arguments: Any, **keywords: Any) -> Score:
        seen.append([p.detach().clone() for p in model.parameters()])
        return Score(next(losses), 1, 1)

    def follow(event: Event) -> None:
        if event.kind == "step":
            own[event.step] = [p.detach().clone() for p in model.parameters()]

    monkeypatch.setattr(module, "evaluate", validate)
    made = trainer(model=model, batches=4, epochs=6, average={"kind": "triggered", "patience": 1}, progress=follow)
    result = made.fit()
    assert result.history == (5.0, 4.0, 4.5, 4.2, 3.5, 3.6)
    assert made.counters.averaged_from == 16, "4.2 is worse than 4.0, the best of those more than one validation ago"
    for epoch, found in enumerate(seen[:4], start=1):
        assert all(torch.equal(a, b) for a, b in zip(found, own[4 * epoch], strict=True)), epoch
    for epoch in (5, 6):
        weights = [own[step] for step in range(16, 4 * epoch + 1)]
        for found, *steps in zip(seen[epoch - 1], *weights, strict=True):
            torch.testing.assert_close(found, torch.stack(steps).mean(0), rtol=1e-5, atol=1e-7)
    kept = checkpoint.load_model(made.run.model, toy(seed=1))
    assert result.best_step == 20
    assert all(torch.equal(a, b) for a, b in zip(kept.parameters(), seen[4], strict=True)), "the mean is what is kept"
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), own[24], strict=True))
    said = [line.get("averaged_from") for line in lines(made) if "valid_loss" in line]
    assert said == [None, None, None, 16, 16, 16]


def test_a_batch_says_the_rate_of_its_step(trainer: Make, chunks: Any) -> None:
    rates = []

    class Rated(chunks):
        def __getitem__(self, k: Any) -> Any:
            return dataclasses.replace(super().__getitem__(k), rate=(k + 1) / 4)

    for accumulate in (1, 2):
        made = trainer(
            f"by {accumulate}",
            train=lambda epoch: Rated(4, seed=1),
            epochs=1,
            learning_rate=0.8,
            accumulate=accumulate,
            schedule={"kind": "exponential", "factor": 0.5},
            progress=lambda event: rates.append(event.learning_rate) if event.kind == "step" else None,
        )
        made.fit()
    expected = [0.8 * 0.5 ** (k / 4) * (k + 1) / 4 for k in range(4)]
    assert rates == pytest.approx([*expected, 0.8 * 1.5 / 4, 0.8 * 0.5**0.5 * 3.5 / 4])
    assert made.optimiser.param_groups[0]["lr"] == rates[-1]


def test_the_embedder_may_learn_at_a_rate_of_its_own(trainer: Make, toy: Make) -> None:
    moved = []
    for rate in (1.0, 0.1):
        model = toy(dropout=0.0)
        model.embedder = model.embedding
        del model.embedding
        object.__setattr__(model, "embedding", model.embedder)  # as it is called in the toy's loss
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        made = trainer(f"at {rate}", model=model, embedder_rate=rate, optimiser="sgd", clip_norm=None)
        made.step()
        moved.append({name: p.detach() - before[name] for name, p in model.named_parameters()})
    for name, change in moved[0].items():
        expected = 0.1 * change if name == "embedder.weight" else change
        torch.testing.assert_close(moved[1][name], expected, rtol=1e-4, atol=1e-7)
    made.fit()  # the same groups after a pause
    again = trainer("at 0.1", model=model, embedder_rate=0.1, optimiser="sgd", clip_norm=None)
    assert [group["rate"] for group in again.optimiser.param_groups] == [1.0, 0.1, 1.0]
    again.fit(resume=True)
    assert [group["rate"] for group in again.optimiser.param_groups] == [1.0, 0.1, 1.0]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_penalty_is_trained_on_and_not_told(trainer: Make, toy: Make, chunks: Any, accumulate: int) -> None:
    model, data = toy(dropout=0.0), chunks(2, seed=3)
    loss_of = model.loss

    def penalised(batch: Batch, state: Any) -> Any:
        output = loss_of(batch, state)
        return dataclasses.replace(output, penalty=output.targets * 0.7 * model.head.weight.square().sum())

    model.loss = penalised
    told = []
    trainer(
        model=model,
        train=lambda epoch: data,
        epochs=1,
        accumulate=accumulate,
        optimiser="sgd",
        learning_rate=0.1,
        clip_norm=None,
        log_every=1,
        progress=lambda event: told.append(event.loss) if event.kind == "step" else None,
    ).fit()
    plain, state, k, expected = toy(dropout=0.0), None, 0, []
    while k < len(data):
        total, targets, end = 0.0, 0, min(k + accumulate, len(data))
        for batch in (data[i] for i in range(k, end)):
            output = plain.loss(batch, state)
            total, targets = total + output.loss, targets + output.targets
            state = tuple(part.detach() for part in output.state)
        objective = total / targets + 0.7 * plain.head.weight.square().sum()
        gradients = torch.autograd.grad(objective, list(plain.parameters()))
        expected.append(float(total.detach()) / targets)
        k = end
        with torch.no_grad():
            for parameter, gradient in zip(plain.parameters(), gradients, strict=True):
                parameter -= 0.1 * gradient
    assert told == pytest.approx(expected, rel=1e-5)
    for ours, theirs in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_bf16_keeps_weights_in_float32(trainer: Make, toy: Make) -> None:
    model = toy()
    seen = []
    model.head.register_forward_hook(lambda layer, inputs, output: seen.append(output.dtype))
    assert trainer(model=model, epochs=1, precision="bf16").fit().best < 3
    own = short.multiplies(torch.device("cpu"))  # else products of rounded factors in float32
    assert set(seen) == {torch.bfloat16 if own else torch.float32}
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_float64_models_train(trainer: Make, toy: Make) -> None:
    assert math.isfinite(trainer(model=toy().double(), epochs=1).fit().best)


def test_loss_that_is_not_finite_stops_before_it_spoils_the_weights(trainer: Make, toy: Make, weights: Make) -> None:
    model = toy()
    sound, last = model.loss, {}

    def broken(batch: Batch, state: Any) -> Any:
        output = sound(batch, state)
        last.update(weights(model))
        return dataclasses.replace(output, loss=output.loss * (math.inf if len(model.seen) == 4 else 1.0))

    model.loss = broken
    made = trainer(model=model, log_every=1)
    with pytest.raises(TrainingError) as raised:
        made.fit()
    assert str(raised.value) == (
        "step 4: the loss is inf per target, the gradient norm nan, expected finite numbers, at learning rate 0.01. Try"
        " a lower training.learning_rate, or a smaller training.clip_norm. What was saved before stands."
    )
    assert all(torch.equal(tensor, last[name]) for name, tensor in model.state_dict().items())
    assert [line["step"] for line in lines(made)] == [1, 2, 3]


def test_gradient_that_is_not_finite_stops(trainer: Make, toy: Make) -> None:
    model = toy()
    model.head.weight.register_hook(lambda gradient: gradient * math.nan)
    with pytest.raises(TrainingError, match=r"step 1: the loss is 1\.\S+ per target, the gradient norm nan"):
        trainer(model=model).fit()


def test_validation_that_is_not_finite_stops(trainer: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "evaluate", lambda *a, **k: Score(math.nan, 1, 1))
    with pytest.raises(TrainingError, match=r"step 8: the validation loss is nan, expected a finite number\. Try"):
        trainer().fit()


def test_nothing_to_train_on(trainer: Make) -> None:
    with pytest.raises(DataError, match=r"epoch 1 has no batches\. Give a longer file, or a smaller batch"):
        trainer(train=lambda epoch: []).fit()


def test_nothing_to_validate_on(trainer: Make) -> None:
    with pytest.raises(DataError, match=r"the data to evaluate on hold no target\. Give a longer file, or cut off"):
        trainer(valid=list).fit()


def test_full_disk_leaves_the_last_checkpoint(trainer: Make, toy: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(event: Event) -> None:
        if event.kind == "step" and event.step == 10:
            monkeypatch.setattr(os, "fsync", refuse)

    def refuse(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    made = trainer(progress=fill, evaluate_every=0.5)
    with pytest.raises(CheckpointError, match=r"safetensors cannot be written, the disk is full .* Free some space"):
        made.fit()
    monkeypatch.undo()
    assert checkpoint.load_tensors(made.run.model)[1]["step"] in {"4", "8"}
    assert trainer(evaluate_every=0.5).fit(resume=True).step == 16


def test_log_that_cannot_be_written(trainer: Make) -> None:
    made = trainer(log_every=1)

    class Full:
        def write(self, data: bytes) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def close(self) -> None:
            pass

    def break_log(event: Event) -> None:
        made._log._file = Full()

    made._progress = break_log
    with pytest.raises(TrainingError, match=r"metrics.jsonl cannot be written, the disk is full"):
        made.fit()


def test_threads_are_set(trainer: Make) -> None:
    trainer(threads=2, epochs=1).fit()
    assert torch.get_num_threads() == 2


def test_gpu_losses_are_looked_at_seldom() -> None:
    window = Window(lag=3)
    for step in (1, 2):
        window.add(step, torch.tensor(math.nan), 5, torch.tensor(1.0), 0.1)
    with pytest.raises(TrainingError, match="step 1: the loss is nan"):
        window.add(3, torch.tensor(1.0), 5, torch.tensor(1.0), 0.1)


def test_every_parameter_moves(trainer: Make, toy: Make, weights: Make) -> None:
    model = toy()
    before = weights(model)
    trainer(model=model, epochs=1).fit()
    assert not [name for name, tensor in model.state_dict().items() if torch.equal(tensor, before[name])]
