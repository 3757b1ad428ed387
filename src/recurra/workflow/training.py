"""Does what a plan says: data, vocabularies, model, training, scores beside the baseline, something to look at."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch

import recurra
from recurra import checkpoint, signatures, storage
from recurra import config as configuration
from recurra import plugins as own_files
from recurra.checkpoint import RunFolder
from recurra.config import Config
from recurra.data.codecs import file as codec_file
from recurra.engine.device import precision_note
from recurra.errors import CheckpointError, DataError, Stopped
from recurra.model import Model, make_parts
from recurra.runs.run import Run, load_run
from recurra.tasks.metrics import check_metrics
from recurra.training import resume as resumption
from recurra.training.group import Group, joined
from recurra.training.lock import locked
from recurra.training.log import Progress, Result
from recurra.training.pace import Pace
from recurra.training.settings import Training
from recurra.training.trainer import Trainer
from recurra.training.unfreezing import Unfreezing
from recurra.workflow import budget, results, transfer
from recurra.workflow.agreement import check_agreement, with_implied
from recurra.workflow.fine_tuning import fine_tune
from recurra.workflow.fitting import MEASURABLE, fit
from recurra.workflow.material import Material
from recurra.workflow.plan import Plan
from recurra.workflow.start import Start, reads_numbers, start_of, told

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
    return _entered(plan, group, say, progress, command, no_test, baseline)


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
    first, config, begun = group.rank == 0, plan.config, time.monotonic()
    embedder, core, task = make_parts(config)  # parts that do not go together are refused before any data are read
    config = with_implied(config, task)
    check_agreement(config, embedder, core, task, baseline)
    check_metrics(configuration.metrics_of(config), task)
    training = Training(**signatures.checked(Training, config["training"], where="training"))
    going_on = folder is not None and resumption.has_state(folder)
    material = open_material(config, folder)
    chosen = None
    if folder is None and _fits(plan, training):
        enough = budget.ENOUGH if plan.fit else budget.FEW
        chosen = group.told(fit(material, training, plan.stated, enough) if first else None)
    if chosen is not None:
        material.take(chosen.config)
        training = Training(**signatures.checked(Training, material.config["training"], where="training"))
    config = material.config
    torch.manual_seed(training.seed)
    model = material.model(config)
    material.adapt(model)
    former: dict[str, Any] = {} if folder is None else checkpoint.read_report(folder.report)
    unchanged = folder is not None and plan.config == configuration.load_recipe(folder.config)
    start, origin = start_of(config), former.get("init")
    started: list[str] = []
    beginning = time.monotonic()
    if not going_on:
        started += filter(None, [material.begin(model)])
    beginning = time.monotonic() - beginning
    if start is not None and not going_on:  # what it takes over stands in the place of what it began with
        origin, taken = _start(model, start, material)
        started += taken
    report: dict[str, Any] = {
        "recurra": recurra.__version__,
        "torch": torch.__version__,
        "split": material.split,
        "data": material.fingerprint,
        **material.facts(),
        "parameters": model.parameter_count,
        **({} if origin is None else {"init": origin}),
        "seed": training.seed,
        **({"processes": group.size} if group.size > 1 else {}),
        "commands": [*former.get("commands", []), *([command] if command else [])],
        **{key: former[key] for key in ("forecast", "fitted") if key in former},
        **({"fitted": chosen.report} if chosen is not None and chosen.changes else {}),
        **({own_files.KEY: own_files.record(plan.plugins)} if plan.plugins else {}),
    }
    *before, last = material.sentences()
    for sentence in (*before, f"{last} Model: {model.parameter_count:,} parameters.", *started):
        say(sentence)
    if chosen is not None and (chosen.changes or plan.fit):
        say(chosen.said)
    for sentence in _of_processes(group, former, going_on):
        say(sentence)
    if folder is not None and not going_on:
        say(f"{folder.path} was stopped before its first checkpoint: it begins at step 0.")

    def keep() -> None:
        """Write what the report says by now."""
        if first:
            checkpoint.write_json(RunFolder(plan.out).report, report)

    if first:
        folder = folder or checkpoint.create_run(plan.out)
        codec_file.save(material.codecs.saved, codec_file.find(folder.path))
        keep()
        configuration.write_config(folder.config, config)
    folder = folder or RunFolder(plan.out)

    def paced(pace: Pace) -> None:
        """Say what will come of the training, where that is little, and again in the report."""
        found = budget.forecast(config, material.codecs, pace, training, plan.stated)
        report.pop("forecast", None)
        if found is not None:
            report["forecast"] = {"said": found[0], **found[1]}
            say(found[0])
        keep()

    def sample(share: float, *, settled: bool) -> None:
        """Validate on fewer examples; say so once it is known how many."""
        kept = material.sample(share, training.seed)
        if settled and share < 1:
            note = f"A validation takes {kept}, drawn by the seed, as all would take more than a tenth of the budget."
            say(note)
            report["notes"] = [*report["notes"], note]
            keep()

    trainer = Trainer(
        model,
        training,
        lambda epoch: material.train(epoch, training.seed),
        material.valid,
        folder,
        validate=material.validate,
        unfreezing=_unfreezing(model, start, origin),
        progress=progress,
        paced=paced,
        sample=sample,
        spent=group.told(beginning + (0.0 if chosen is None else chosen.seconds)),
        group=group,
    )
    if remark := precision_note(trainer.precision, trainer.device):
        say(remark)
    fitting = time.monotonic()
    result = trainer.fit(resume=going_on)
    fitted = time.monotonic() - fitting
    if result.interrupted:
        together = f" --processes {group.size}" if group.size > 1 else ""
        again = f"recurra train {folder.path} --resume{together}{_plugged(plan)}"
        raise Stopped(f"stopped after step {result.step:,} and saved. Go on: {again}", result.signal or signal.SIGINT)
    say(_ended(result, training))
    run = load_run(folder.path, device=training.device)
    if not first:
        return run
    if material.conform(run.model, run.device, training.seed, results.for_searching(training)):
        checkpoint.save_model(folder.model, run.model, checkpoint.load_tensors(folder.model)[1])

    def write(found: dict[str, Any]) -> None:
        """Keep what is known by now."""
        report.update(found)
        if not report[results.UNSCORED]:
            del report[results.UNSCORED], report[results.SCORED]
        report["minutes"] = {"training": result.minutes, "around": (time.monotonic() - begun - fitted) / 60}
        keep()

    same = former.get("steps") == result.step and unchanged
    results.score_and_show(
        run,
        material,
        result,
        trainer,
        write,
        no_test=no_test,
        baseline=baseline,
        say=say,
        former=former if same else None,
        plugged=_plugged(plan),
    )
    return run


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


def _fits(plan: Plan, training: Training) -> bool:
    """Whether settings are fitted to the budget: unasked only where it is long enough to be measured."""
    return bool(plan.fit) or (plan.fit is None and (training.max_minutes or 0.0) * 60 >= MEASURABLE)


def _of_processes(group: Group, former: dict[str, Any], going_on: bool) -> list[str]:
    """What is to be known where several processes train, or did so before."""
    before = former.get("processes", 1)
    if going_on and before != group.size:
        return [
            f"It was trained by {before} process{'es' * (before != 1)} and goes on with {group.size}: the batches "
            "stay the same, but what is drawn at random, dropout above all, does not."
        ]
    return [f"{group.size} processes train it, each on a part of every batch."] if group.size > 1 else []


def _finished(plan: Plan, folder: RunFolder) -> bool:
    """Whether a run was trained to its end and scored, and nothing that was said asks for more."""
    report = checkpoint.read_report(folder.report) if folder.report.is_file() else {}
    return (
        "ended" in report
        and results.UNSCORED not in report
        and plan.config == configuration.load_recipe(folder.config)
        and resumption.has_state(folder)
    )


def _start(model: Model, start: Start, material: Material) -> tuple[dict[str, Any], list[str]]:
    """Start a fresh model from the run that the settings name. Gives what the report says of it, and sentences."""
    if reads_numbers(material.config):
        taken, said = fine_tune(model, start.path), list[str]()
    else:
        ids = material.input_ids()
        counts = np.bincount(np.concatenate([*ids]), minlength=model.codecs["input"].size)
        taken, said = transfer.take(model, start.path, counts), [told(material.config)]
    said += [taken.told(), *filter(None, [transfer.cut_otherwise(material.config, start.path)])]
    if start.unfreeze is not None:
        said.append(transfer.told_of_unfreezing(taken.names, start.unfreeze))
    return taken.facts(), said


def _unfreezing(model: Model, start: Start | None, origin: dict[str, Any] | None) -> Unfreezing | None:
    """How what was taken begins to learn, where the settings say that it does by and by."""
    if start is None or start.unfreeze is None:
        return None
    if origin is None:
        raise CheckpointError(
            "the run's report.json no longer says what was taken from another run (init), so its layers cannot go on "
            "learning in their turn. Put the file back, or train anew with another --out."
        )
    return transfer.unfreezing(model, origin["names"], start.unfreeze)


def open_material(config: Config, folder: RunFolder | None) -> Material:
    """The data a task needs, read and encoded; by the codecs of the run where one goes on."""
    known = None if folder is None else codec_file.load(codec_file.find(folder.path))
    material = Material(config, known)
    if folder is not None and checkpoint.read_report(folder.report).get("data") != material.fingerprint:
        raise DataError(
            f"the training data are others than when {folder.path} was started, so its training cannot go on. "
            "Put the former files back, or train anew with another --out."
        )
    return material


def _ended(result: Result, training: Training) -> str:
    why = {
        "epochs": f"all {training.epochs} epochs are done",
        "time": f"the {training.max_minutes} minutes are over",
        "patience": f"no better validation in {training.patience} tries",
    }[result.reason]
    return f"Training ended after {result.epochs:.2f} epochs and {result.minutes:.1f} minutes: {why}."
