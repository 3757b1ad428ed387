"""Fits a model by truncated backpropagation through time, and keeps its run usable and resumable at any moment."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor

from recurra import checkpoint
from recurra.checkpoint import RunFolder
from recurra.engine.device import autocast, find_precision, moved
from recurra.errors import CheckpointError, DataError, TrainingError
from recurra.training import resume as resumption
from recurra.training.average import Average
from recurra.training.evaluation import Batches, Trainable, Validation, Validator, by_loss
from recurra.training.group import Alone, Group
from recurra.training.interrupt import Interrupt
from recurra.training.log import Event, EventKind, MetricsLog, Progress, Reason, Result, Window
from recurra.training.optimisers import RATE, normalise_and_clip, set_rate
from recurra.training.pace import Pace, Stopwatch
from recurra.training.recording import Recordings
from recurra.training.resume import Counters
from recurra.training.settings import Training
from recurra.training.timetable import PROBED, Timetable
from recurra.training.unfreezing import Unfreezing
from recurra.types import Batch

__all__ = ["Result", "Trainer", "Training"]

FIRST_SAVE = 30.0
"""Seconds until the first checkpoint after that of step 0, if no validation came before: well within a minute."""
SAVE_EVERY = 300.0
"""Seconds from one resume state to the next, so that a crash costs no more than that."""
GENERATOR_OFFSET, PROCESS_OFFSET = 1, 1_000_003
"""Dropout draws with another seed than the weights at the start did, and in each process with another."""


class Sample(Protocol):
    """Lets validation take a share of its examples, from now on. `settled`: it is that of the whole training."""

    def __call__(self, share: float, /, *, settled: bool) -> None: ...


class Trainer:
    """Trains `model` on the batches of `train_batches(epoch)`, always the same for the same epoch, and validates on
    `valid_batches()`, by the loss or as `validate` does. Keeps `run` up to date and tells `progress` of every step,
    and `paced`, once, how long a step takes. `sample` lets it validate on fewer examples, where all would take too much
    of a budget. `spent`: seconds of the budget that are gone before the first step.

    A step takes `accumulate` batches; its gradient is that of their summed loss over their targets, or sequences.

    Of several processes, `group`, each takes a part of every batch; the first validates, writes and speaks for all.
    """

    def __init__(
        self,
        model: Trainable,
        settings: Training,
        train_batches: Callable[[int], Batches],
        valid_batches: Callable[[], Iterable[Batch]],
        run: RunFolder,
        *,
        validate: Validator = by_loss,
        unfreezing: Unfreezing | None = None,
        progress: Progress = lambda event: None,
        paced: Callable[[Pace], None] = lambda pace: None,
        sample: Sample | None = None,
        spent: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        group: Group | None = None,
    ) -> None:
        self._group = group or Alone()
        self._first, self._own_clock = self._group.rank == 0, clock
        self._stopwatch, self._paced, self._sample = Stopwatch(), paced, sample
        self.settings, self.run, self._progress = settings, run, progress
        self._clock = self._group.clock(clock)
        self._train_batches, self._valid_batches, self._validate = train_batches, valid_batches, validate
        self._unfreezing = unfreezing
        self.device = self._group.device(settings.device)
        self.model: Any = model.to(self.device)
        parameters = [p for p in model.parameters() if p.requires_grad]
        self.parameters: list[Tensor] = [*parameters]
        self._loss = self._group.loss(self.model)
        self.optimiser = settings.optimiser_part().build(parameters, settings.learning_rate)
        embedder = [p for name, p in model.named_parameters() if name.startswith("embedder.")]
        set_rate(self.optimiser, embedder, settings.embedder_rate)
        self.schedule = settings.schedule_part()
        self.counters = Counters(seconds=spent)
        self.average = self._make_average(self.counters)
        self.recordings = Recordings(settings)
        self._timetable = Timetable(settings)
        self._window = Window(lag=1 if self.device.type == "cpu" else settings.log_every)
        self.precision = find_precision(settings.precision, self.device)
        self._autocast = autocast(self.device, self.precision)
        self._batches: Batches | None = None
        self._carried: Any = None
        self._learning_rate = settings.learning_rate
        self._step_seconds, self._epoch_batches = 0.0, 0
        self._saved_at, self._saved_step = 0.0, 0
        self._interrupt, self._stopping = Interrupt(), False
        self._started = self._clock()

    def fit(self, *, resume: bool = False) -> Result:
        """Train to the end, or go on from the run's resume state.

        Raises `TrainingError` for a loss that is not finite, `CheckpointError` for a state that cannot be read or
        written, `DataError` if there is nothing to train on or to validate on.
        """
        if self.settings.threads is not None:
            torch.set_num_threads(self.settings.threads)
        if resume:
            self.counters, self.average, self._carried = resumption.load(
                self.run.resume, self.model, self.optimiser, self._make_average, self.device, self._group.rank
            )
            self._carried = self._group.part(self._carried)
            self._saved_at, self._saved_step = self.counters.seconds, self.counters.step
            if self._sample is not None and 0 < self.counters.valid_share < 1:
                self._sample(self.counters.valid_share, settled=True)
        else:
            torch.manual_seed(self.settings.seed + GENERATOR_OFFSET + self._group.rank * PROCESS_OFFSET)
        keep = self.counters.step if resume else None
        self._log = MetricsLog(self.run.metrics, keep) if self._first else None
        if self._first:
            self.recordings.open(self.run, keep)
        self._started = self._clock() - self.counters.seconds
        self.model.train()
        try:
            with self._interrupt, self._group.hearing():
                if not resume:
                    self._save()  # whatever happens from here on, the run can be gone on with
                return self._finish(self._loop())
        finally:
            if self._log is not None:
                self._log.close()
            self.recordings.close()

    def _loop(self) -> Reason:
        """Step until there is a reason to stop. What is due is read off the counters, so a resumed loop sees it too."""
        counters, timetable = self.counters, self._timetable
        while True:
            mark = timetable.mark(counters)
            if mark > counters.marks and timetable.affords(counters):
                self._evaluate(mark)
            if self._stopping or (self._interrupt.requested and self._group.size == 1):
                return "interrupted"
            elapsed = self._elapsed()
            reason = timetable.end(counters, elapsed, self._step_seconds)
            if reason is not None:
                return reason
            if timetable.by_clock(counters, elapsed):
                self._evaluate(None)
                continue
            self.step()
            self._measure()
            if counters.step % self.settings.log_every == 0:
                self._write_line()
            if self._elapsed() - self._saved_at >= (SAVE_EVERY if self._saved_step else FIRST_SAVE):
                self._write_line()
                self._save()

    def step(self) -> None:
        """One update of the weights."""
        settings, counters, started = self.settings, self.counters, self._clock()
        batches = self._epoch()
        if self._unfreezing is not None:
            self._unfreezing.reach(counters.epochs_done)
        end = min(counters.batch + settings.accumulate, len(batches))
        loss, targets, sequences, rate = torch.zeros((), device=self.device), 0, 0, 0.0
        record = self.recordings.due(counters.step + 1)
        for index in range(counters.batch, end):
            batch = moved(batches[index], self.device)
            watch = {} if record is None or index > counters.batch else {"record": record}
            with self._group.last(index == end - 1):
                with self._autocast:
                    minimised, output = self._loss(batch, None if batch.first else self._carried, watch)
                (minimised if batch.counted else 0 * minimised).backward()
            self._carried = output.state
            if batch.counted:
                loss = loss + output.loss
                targets, sequences = targets + output.targets, sequences + output.sequences
            rate += batch.rate
        loss, sums = self._group.added(loss, targets, sequences, self._interrupt.requested)
        targets, sequences, self._stopping = int(sums[0]), int(sums[1]), bool(sums[2])
        elapsed = self._elapsed()
        share = self._timetable.share(counters, elapsed)
        schedule = self.schedule.rate(counters.epochs_done, share, counters.history)
        schedule = min(schedule, self._timetable.ceiling(counters, elapsed, self._step_seconds))
        self._learning_rate = settings.learning_rate * schedule * (rate / (end - counters.batch))
        if record is not None:
            self.recordings.gradients(counters.step + 1, record)
        divisor = max(1, targets if settings.loss_per == "token" else sequences) / self._group.size
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norm = normalise_and_clip(gradients, divisor, settings.clip_value, settings.clip_norm)
        self._window.add(counters.step + 1, loss, targets, norm, self._learning_rate)
        self._update()
        counters.batch = end
        if end == len(batches):
            counters.epoch, counters.batch, counters.batches, self._batches = counters.epoch + 1, 0, 0, None
        self._step_seconds = self._clock() - started
        self._window.seconds += self._step_seconds
        self._tell("step")

    def _measure(self) -> None:
        """Tell how long a step takes, as soon as that is known."""
        seconds = self._stopwatch.take(self._step_seconds)
        if seconds is not None:
            counters, left = self.counters, self._timetable.budget - self._elapsed()
            self._paced(Pace(seconds, -(-self._epoch_batches // self.settings.accumulate), counters.step, left))

    def _update(self) -> None:
        """Let the optimiser use the gradients."""
        for group in self.optimiser.param_groups:
            group["lr"] = self._learning_rate * group.get(RATE, 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.counters.step += 1
        if self.average is not None:
            self.average.update(self.counters.step)

    def _epoch(self) -> Batches:
        """The batches of the epoch under way."""
        if self._batches is None:
            counters = self.counters
            batches = self._group.share(self._train_batches(counters.epoch))
            if not len(batches):
                raise DataError(f"epoch {counters.epoch + 1} has no batches. Give a longer file, or a smaller batch.")
            if counters.batch and counters.batches != len(batches):
                raise CheckpointError(
                    f"{self.run.resume} was saved in an epoch of {counters.batches} batches, now it has {len(batches)}."
                    f" Resume with the same data and batching, or train again."
                )
            counters.batches = self._epoch_batches = len(batches)
            self._batches = batches
        return self._batches

    def _evaluate(self, mark: int | None) -> None:
        """Validate and keep the weights if they are the best; at a `mark` of `evaluate_every` also tell the history.

        Ctrl-C breaks a validation off without a trace: the resumed run begins with it.
        """
        self._window.settle()
        counters = self.counters
        with self._averaged():
            validation, counters.evaluation_seconds = self._validation()
            if validation is None:
                return
            if not math.isfinite(validation.value):
                raise TrainingError(
                    f"step {counters.step}: the validation {validation.metric} is {validation.value}, expected a "
                    "finite number. Try a lower training.learning_rate, or a smaller training.clip_norm. What was "
                    "saved before stands."
                )
            # Of equals the later: a score of 0 that hardly anything could raise says nothing for the first weights.
            best = counters.best is None or validation.criterion <= counters.best
            if best:
                counters.best, counters.best_step = validation.criterion, counters.step
                self._save_model(validation)
        if mark is not None:
            counters.marks = mark
            counters.history.append(validation.criterion)
            self._trigger()
        counters.evaluated_step, counters.evaluated_at = counters.step, self._elapsed()
        self._tell("evaluation", validation, best)
        self.recordings.spectra(counters.step, self.model)
        since = {} if counters.averaged_from is None else {"averaged_from": counters.averaged_from}
        self._write_line(**{f"valid_{validation.metric}": validation.value, "best": best}, **since)
        self._save()

    def _validation(self) -> tuple[Validation | None, float]:
        """What validation finds, and the seconds it took. The first finds out how many examples a budget pays for."""
        counters, timetable, sample = self.counters, self._timetable, self._sample
        if sample is None or counters.valid_share or timetable.budget == math.inf:
            return self._validated()
        sample(PROBED, settled=False)
        validation, seconds = self._validated()
        if timetable.share_of_validation(seconds / PROBED) < 1:  # once more: kernels may have been compiled in it
            validation, seconds = self._validated()
        if validation is None:
            return None, seconds
        counters.valid_share = timetable.share_of_validation(seconds / PROBED)
        sample(counters.valid_share, settled=True)
        return (validation, seconds) if counters.valid_share == PROBED else self._validated()

    def _validated(self) -> tuple[Validation | None, float]:
        """A validation, None where it was interrupted; and the seconds it took."""
        started = self._elapsed()
        validation = self._validate(
            self.model,
            self._valid_batches(),
            device=self.device,
            precision=self.precision,
            stop=lambda: self._interrupt.requested,
            group=self._group,
        )
        validation = self._group.told(validation)
        seconds = self._elapsed() - started
        self.counters.validating += seconds
        return validation, seconds

    def _finish(self, reason: Reason) -> Result:
        counters = self.counters
        if reason != "interrupted" and counters.evaluated_step != counters.step:
            self._evaluate(None)
        if counters.evaluated_step != counters.step:
            reason = "interrupted"
        self._write_line()
        self._save()
        self._tell("end")
        return Result(
            reason=reason,
            step=counters.step,
            epochs=counters.epochs_done,
            minutes=self._elapsed() / 60.0,
            best=counters.best,
            best_step=counters.best_step,
            history=tuple(counters.history),
            signal=self._interrupt.signal,
        )

    def _save(self) -> None:
        """Write the resume state; and the model, while none was validated, so that there always is one."""
        self._window.settle()
        if self.counters.best is None:
            with self._averaged():
                self._save_model()
        self.counters.seconds = self._saved_at = self._elapsed()
        self._saved_step = self.counters.step
        carried, generators = self._group.whole(self._carried), resumption.generators(self.device, self._group.gathered)
        if self._first:
            resumption.save(
                self.run.resume, self.model, self.optimiser, self.average, carried, self.counters, generators
            )
        self._tell("checkpoint")

    def _save_model(self, validation: Validation | None = None) -> None:
        if not self._first:
            return
        found = {} if validation is None else {f"valid_{validation.metric}": repr(validation.value)}
        checkpoint.save_model(self.run.model, self.model, {"step": str(self.counters.step), **found})

    def _trigger(self) -> None:
        """Begin the mean of the weights where the settings leave that to validation, and the history says so."""
        triggered, counters = self.settings.triggered(), self.counters
        if triggered is not None and counters.averaged_from is None and triggered.now(counters.history):
            counters.averaged_from = counters.step
            self.average = self._make_average(counters)

    def _make_average(self, counters: Counters) -> Average | None:
        """The mean of the weights from here on, if there is to be one."""
        decay = self.settings.average
        if not isinstance(decay, dict):
            return Average(self.parameters, decay) if decay else None
        since = counters.averaged_from
        return None if since is None else Average(self.parameters, None, since)

    def _averaged(self) -> AbstractContextManager[None]:
        return nullcontext() if self.average is None else self.average.applied()

    def _elapsed(self) -> float:
        return self._clock() - self._started

    def _write_line(self, **evaluation: float | bool) -> None:
        """A line of metrics.jsonl, if there is anything new to tell."""
        self._window.settle()
        line = {**self._window.summary(), **evaluation}
        if line and self._log is not None:
            place = {
                "step": self.counters.step,
                "epoch": round(self.counters.epochs_done, 6),
                "minutes": round((self._own_clock() - self._started) / 60.0, 4),
                "learning_rate": self._learning_rate,
            }
            self._log.write({**place, **line})
        self._window.clear()

    def _tell(self, kind: EventKind, validation: Validation | None = None, best: bool = False) -> None:
        if not self._first:
            return
        elapsed = self._own_clock() - self._started
        self._progress(
            Event(
                kind=kind,
                step=self.counters.step,
                epoch=self.counters.epochs_done,
                progress=self._timetable.share(self.counters, elapsed),
                minutes=elapsed / 60.0,
                learning_rate=self._learning_rate,
                loss=self._window.loss,
                symbols_per_second=self._window.symbols_per_second,
                valid=None if validation is None else (validation.metric, validation.value),
                best=best,
            )
        )
