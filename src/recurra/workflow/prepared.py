"""What a training begins with: data read, settings fitted to its budget, a model and what it takes over."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from recurra import checkpoint, signatures
from recurra import config as configuration
from recurra.checkpoint import RunFolder
from recurra.config import Config
from recurra.data.codecs import file as codec_file
from recurra.errors import CheckpointError, DataError
from recurra.model import Model, make_parts
from recurra.tasks.metrics import check_metrics
from recurra.training import resume as resumption
from recurra.training.group import Group
from recurra.training.settings import Training
from recurra.training.unfreezing import Unfreezing
from recurra.workflow import budget, transfer
from recurra.workflow.agreement import check_agreement, with_implied
from recurra.workflow.fine_tuning import fine_tune
from recurra.workflow.fitting import MEASURABLE, Fitted, fit
from recurra.workflow.material import Material
from recurra.workflow.plan import Plan
from recurra.workflow.start import Start, reads_numbers, start_of, told


@dataclass(frozen=True)
class Prepared:
    """A model and its data, before the first step or before the next."""

    config: Config
    training: Training
    material: Material
    model: Model
    going_on: bool
    """Whether the folder has a state to go on from."""
    fitted: Fitted | None
    """What the settings became in their budget, where they were fitted to it."""
    origin: dict[str, Any] | None
    """What the report says of the run that the model was started from."""
    unfreezing: Unfreezing | None
    begun_with: tuple[str, ...]
    """Sentences: what the model begins with, other than chance."""
    seconds: float
    """That fitting and beginning took, of the budget."""


def prepare(plan: Plan, folder: RunFolder | None, group: Group, *, baseline: bool) -> Prepared:
    """Everything before the first step. `folder`: of the run that goes on."""
    config = plan.config
    embedder, core, task = make_parts(config)  # parts that do not go together are refused before any data are read
    config = with_implied(config, task)
    check_agreement(config, embedder, core, task, baseline)
    check_metrics(configuration.metrics_of(config), task)
    training = _training(config)
    going_on = folder is not None and resumption.has_state(folder)
    material = open_material(config, folder)
    fitted = None
    if folder is None and _fits(plan, training):
        enough = budget.ENOUGH if plan.fit else budget.FEW
        fitted = group.told(fit(material, training, plan.stated, enough) if group.rank == 0 else None)
    if fitted is not None:
        material.take(fitted.config)
        training = _training(material.config)
    torch.manual_seed(training.seed)
    model = material.model(material.config)
    material.adapt(model)
    start = start_of(material.config)
    origin = None if folder is None else checkpoint.read_report(folder.report).get("init")
    beginning, begun_with = time.monotonic(), list[str]()
    if not going_on:
        begun_with += filter(None, [material.begin(model)])
    seconds = time.monotonic() - beginning + (0.0 if fitted is None else fitted.seconds)
    if start is not None and not going_on:  # what it takes over stands in the place of what it began with
        origin, taken = _start(model, start, material)
        begun_with += taken
    unfreezing = _unfreezing(model, start, origin)
    return Prepared(
        material.config,
        training,
        material,
        model,
        going_on,
        fitted,
        origin,
        unfreezing,
        tuple(begun_with),
        group.told(seconds),
    )


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


def _training(config: Config) -> Training:
    return Training(**signatures.checked(Training, config["training"], where="training"))


def _fits(plan: Plan, training: Training) -> bool:
    """Whether settings are fitted to the budget: unasked only where it is long enough to be measured."""
    return bool(plan.fit) or (plan.fit is None and (training.max_minutes or 0.0) * 60 >= MEASURABLE)


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
