"""Does what a plan says: data, vocabularies, model, training, scores beside the baseline, something to look at."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import torch

import recurra
from recurra import checkpoint, storage
from recurra import config as configuration
from recurra import plugins as own_files
from recurra.checkpoint import RunFolder
from recurra.data.codecs import file as codec_file
from recurra.engine.device import precision_note
from recurra.errors import RecurraError, Stopped
from recurra.runs.run import Run, load_run
from recurra.training import resume as resumption
from recurra.training.group import Group, joined
from recurra.training.lock import locked
from recurra.training.log import Progress, Result
from recurra.training.pace import Pace
from recurra.training.settings import Training
from recurra.training.trainer import Trainer
from recurra.workflow import budget, results
from recurra.workflow.plan import Plan
from recurra.workflow.prepared import Prepared, prepare

Say = Callable[[str], None]


def execute(
    plan: Plan,
    *,
    say: Say = lambda sentence: None,
    progress: Progress = lambda event: None,
    command: str | None = None,
    no_test: bool = False,
    baseline: bool = True,
) -> Run:
    """Train, score the best weights, write the report, and open the run.

    `say` is told in sentences what was found and done, `progress` every step; `command` goes into the report.
    With `no_test` the test is left to `recurra evaluate`; without `baseline` none is fitted.
    Ctrl-C and SIGTERM end training in order and raise `Stopped`, a `KeyboardInterrupt` that says how to go on.
    During the scoring afterwards they end that at once; what was scored stands in the report.
    A run that was killed before its first checkpoint is gone on with from step 0.

    Of several processes of a launcher each calls it, and the first speaks and writes; the others return once the
    training has ended, before it is scored.
    """
    configuration.check(plan.config)
    group = joined()
    if group.rank:
        say, progress = _silent, _silent
    for note in plan.notes:
        say(note)
    try:
        return _entered(plan, group, say, progress, command, no_test, baseline)
    except RecurraError as error:
        error.said = not group.speaks(str(error))
        raise


def _silent(_: object) -> None:
    """Where another process speaks."""


def _entered(
    plan: Plan, group: Group, say: Say, progress: Progress, command: str | None, no_test: bool, baseline: bool
) -> Run:
    """`execute` in a group of processes, while no other training writes in the folder."""
    first = group.rank == 0
    with locked(plan.out, say) if first else nullcontext():
        folder = checkpoint.open_run(plan.out) if plan.resume else None
        if folder is None:
            if first:
                checkpoint.check_free(plan.out)
        else:
            checkpoint.check_places(folder)
            if _finished(plan, folder):
                say(
                    f"{folder.path} is trained to its end and scored: there is nothing left to do. To train longer: "
                    f"recurra train {folder.path} --resume{_plugged(plan)} {_longer(folder, plan)}"
                )
                return load_run(folder.path, device=plan.config["training"].get("device", "auto"))
        group.told(None)  # all have seen the folder as it was
        if first:
            storage.sweep(plan.out, [file.name for file in RunFolder(plan.out).files])
        return _execute(plan, folder, group, say, progress, command, no_test, baseline)


def _execute(
    plan: Plan,
    folder: RunFolder | None,
    group: Group,
    say: Say,
    progress: Progress,
    command: str | None,
    no_test: bool,
    baseline: bool,
) -> Run:
    """`execute` while no other training writes in the folder; `folder`: of the run that goes on."""
    begun = time.monotonic()
    former: dict[str, Any] = {} if folder is None else checkpoint.read_report(folder.report)
    unchanged = folder is not None and plan.config == configuration.load_recipe(folder.config)
    prepared = prepare(plan, folder, group, baseline=baseline)
    for sentence in _beginning(plan, folder, prepared, former, group):
        say(sentence)
    report = _Report(plan, prepared, former, command, group, say)
    if report.written:
        folder = folder or checkpoint.create_run(plan.out)
        codec_file.save(prepared.material.codecs.saved, codec_file.find(folder.path))
        report.keep()
        configuration.write_config(folder.config, prepared.config)
    folder = folder or RunFolder(plan.out)
    trainer = _trainer(prepared, folder, group, progress, report)
    if remark := precision_note(trainer.precision, trainer.device):
        say(remark)
    fitting = time.monotonic()
    result = trainer.fit(resume=prepared.going_on)
    around = fitting - begun, time.monotonic()
    if result.interrupted:
        together = f" --processes {group.size}" if group.size > 1 else ""
        again = f"recurra train {folder.path} --resume{together}{_plugged(plan)}"
        raise Stopped(f"stopped after step {result.step:,} and saved. Go on: {again}", result.signal or signal.SIGINT)
    training, material = prepared.training, prepared.material
    say(_ended(result, training))
    run = load_run(folder.path, device=training.device)
    if not report.written:
        return run
    if material.conform(run.model, run.device, training.seed, results.for_searching(training)):
        checkpoint.save_model(folder.model, run.model, checkpoint.load_tensors(folder.model)[1])

    def write(found: dict[str, Any]) -> None:
        """Keep what is known by now."""
        minutes = (around[0] + time.monotonic() - around[1]) / 60
        report.add({**found, "minutes": {"training": result.minutes, "around": minutes}})

    results.score_and_show(
        run,
        material,
        result,
        trainer,
        write,
        no_test=no_test,
        baseline=baseline,
        say=say,
        former=former if unchanged and former.get("steps") == result.step else None,
        plugged=_plugged(plan),
    )
    return run


def _beginning(
    plan: Plan, folder: RunFolder | None, prepared: Prepared, former: dict[str, Any], group: Group
) -> Iterator[str]:
    """What is to be known before the first step."""
    *before, last = prepared.material.sentences()
    yield from before
    yield f"{last} Model: {prepared.model.parameter_count:,} parameters."
    yield from prepared.begun_with
    if prepared.fitted is not None and (prepared.fitted.changes or plan.fit):
        yield prepared.fitted.said
    processes = former.get("processes", 1)
    if prepared.going_on and processes != group.size:
        yield (
            f"It was trained by {processes} process{'es' * (processes != 1)} and goes on with {group.size}: the "
            "batches stay the same, but what is drawn at random, dropout above all, does not."
        )
    elif group.size > 1:
        yield f"{group.size} processes train it, each on a part of every batch."
    if folder is not None and not prepared.going_on:
        yield f"{folder.path} was stopped before its first checkpoint: it begins at step 0."


class _Report:
    """What the run's report says by now, kept by the first process alone."""

    def __init__(
        self,
        plan: Plan,
        prepared: Prepared,
        former: dict[str, Any],
        command: str | None,
        group: Group,
        say: Say,
    ) -> None:
        self.written = group.rank == 0
        self._path, self._prepared, self._stated, self._say = RunFolder(plan.out).report, prepared, plan.stated, say
        material, model, fitted = prepared.material, prepared.model, prepared.fitted
        self._says: dict[str, Any] = {
            "recurra": recurra.__version__,
            "torch": torch.__version__,
            "split": material.split,
            "data": material.fingerprint,
            **material.facts(),
            "parameters": model.parameter_count,
            **({} if prepared.origin is None else {"init": prepared.origin}),
            "seed": prepared.training.seed,
            **({"processes": group.size} if group.size > 1 else {}),
            "commands": [*former.get("commands", []), *([command] if command else [])],
            **{key: former[key] for key in ("forecast", "fitted") if key in former},
            **({"fitted": fitted.report} if fitted is not None and fitted.changes else {}),
            **({own_files.KEY: own_files.record(plan.plugins)} if plan.plugins else {}),
        }

    def keep(self) -> None:
        """Write it."""
        if self.written:
            checkpoint.write_json(self._path, self._says)

    def add(self, found: dict[str, Any]) -> None:
        """Keep what was found, of scores and what is shown."""
        self._says |= found
        if not self._says[results.UNSCORED]:
            del self._says[results.UNSCORED], self._says[results.SCORED]
        self.keep()

    def pace(self, pace: Pace) -> None:
        """Say what will come of the training, where that is little, and again in the report."""
        prepared = self._prepared
        found = budget.forecast(prepared.config, prepared.material.codecs, pace, prepared.training, self._stated)
        self._says.pop("forecast", None)
        if found is not None:
            self._says["forecast"] = {"said": found[0], **found[1]}
            self._say(found[0])
        self.keep()

    def sample(self, share: float, *, settled: bool) -> None:
        """Validate on fewer examples; say so once it is known how many."""
        kept = self._prepared.material.sample(share, self._prepared.training.seed)
        if settled and share < 1:
            note = f"A validation takes {kept}, drawn by the seed, as all would take more than a tenth of the budget."
            self._say(note)
            self._says["notes"] = [*self._says["notes"], note]
            self.keep()


def _trainer(prepared: Prepared, folder: RunFolder, group: Group, progress: Progress, report: _Report) -> Trainer:
    material, seed = prepared.material, prepared.training.seed
    return Trainer(
        prepared.model,
        prepared.training,
        lambda epoch: material.train(epoch, seed),
        material.valid,
        folder,
        validate=material.validate,
        unfreezing=prepared.unfreezing,
        progress=progress,
        paced=report.pace,
        sample=report.sample,
        spent=prepared.seconds,
        group=group,
    )


def _plugged(plan: Plan) -> str:
    """The words that name a plan's plugins again."""
    return "".join(f" --plugin {path}" for path in plan.plugins)


def _longer(folder: RunFolder, plan: Plan) -> str:
    """What to say for a longer training, by what ended it."""
    training = plan.config["training"]
    ended = checkpoint.read_report(folder.report).get("ended")
    if ended == "time":
        return f"--max-minutes … (it had {training['max_minutes']:g})"
    name = "patience" if ended == "patience" else "epochs"
    return f"--set training.{name}=… (it had {training.get(name)})"


def _finished(plan: Plan, folder: RunFolder) -> bool:
    """Whether a run was trained to its end and scored, and nothing that was said asks for more."""
    report = checkpoint.read_report(folder.report) if folder.report.is_file() else {}
    return (
        "ended" in report
        and results.UNSCORED not in report
        and plan.config == configuration.load_recipe(folder.config)
        and resumption.has_state(folder)
    )


def _ended(result: Result, training: Training) -> str:
    why = {
        "epochs": f"all {training.epochs} epochs are done",
        "time": f"the {training.max_minutes} minutes are over",
        "patience": f"no better validation in {training.patience} tries",
    }[result.reason]
    return f"Training ended after {result.epochs:.2f} epochs and {result.minutes:.1f} minutes: {why}."
