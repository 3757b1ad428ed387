"""Settings fitted to a budget of time: the pace is measured on small batches, then the sizes are chosen for it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from recurra import config as configuration
from recurra.config import Config
from recurra.engine.device import autocast, find_device, find_precision, moved
from recurra.training.pace import Pace
from recurra.training.settings import Training
from recurra.training.timetable import LONGEST_WARMUP, WARMED
from recurra.workflow import budget
from recurra.workflow.material import Material

MEASURED_FOR, MEASURED_SHARE = 2.0, 0.03
"""Seconds of updates that are measured, and the share of the budget that these are at most."""
MEASURABLE = 10.0
"""Seconds of a budget below which it is not worth measuring, unless that is asked for."""
MEASURED_LESS = 8
"""By what a batch is divided for that."""
LEAST_UPDATES = 3
"""Updates that settings which were chosen are measured by at least, without the first."""
SHORTEST_WARMUP = 0.02
"""Share of all updates that a warm-up takes at least."""
UNSEEN = 2.0
"""Epochs below which nothing is dropped out: what is read so seldom cannot be learnt by heart."""
DROPPED = ("dropout", "word_dropout", "recurrent_dropout", "weight_dropout", "zoneout")


@dataclass(frozen=True)
class Fitted:
    """What a budget was fitted by: the config, a sentence about it, what was changed, the seconds it took."""

    config: Config
    said: str
    changes: Mapping[str, tuple[Any, Any]]
    """Dotted name → before and after."""
    seconds: float = 0.0

    @property
    def report(self) -> dict[str, Any]:
        """What the report says of it."""
        return {"said": self.said, "changes": {name: [*both] for name, both in self.changes.items()}}


def fit(material: Material, training: Training, stated: Mapping[str, Any], below: int) -> Fitted:
    """Choose for the budget of `training` where its settings would make fewer than `below` updates of it.

    The choice is a function of the settings, the codecs and the measured pace. What is `stated` stays. What is chosen
    is measured, too, where that takes no longer than the first.
    """
    begun = time.monotonic()
    pace = measured(material, material.config, training, budget.batches(material.config, MEASURED_LESS))

    def spent() -> float:
        return time.monotonic() - begun

    def again(config: Config, seconds: float) -> Pace | None:
        if (LEAST_UPDATES + 1) * seconds > MEASURED_SHARE * pace.left:
            return None
        found = measured(material, config, training, {})
        return replace(found, left=pace.left - spent())

    left = replace(pace, left=pace.left - spent())
    found = chosen(material.config, material.codecs, left, training, stated, below, again)
    return replace(found, seconds=spent())


def chosen(
    config: Config,
    codecs: Any,
    pace: Pace,
    training: Training,
    stated: Mapping[str, Any],
    below: int,
    again: Callable[[Config, float], Pace | None] = lambda config, seconds: None,
) -> Fitted:
    """What `fit` chooses at a pace. `again` measures a config whose update is estimated to take so many seconds; None
    where there is no time to."""
    updates = pace.updates(pace.seconds, training.epochs)
    minutes = f"{training.max_minutes:g} minutes"
    if updates >= min(below, training.epochs * pace.updates_an_epoch):
        said = f"{minutes} make about {budget.rounded(updates):,} updates at the measured pace: the settings stay."
        return Fitted(config, said, {})
    choice = budget.smaller(config, codecs, pace, training.epochs, stated)
    settings: dict[str, Any] = {} if choice is None else dict(choice.settings)
    made, epochs, how = updates, updates / pace.updates_an_epoch, ""
    if choice is not None:
        made, epochs, how = choice.updates, choice.epochs, ", by estimate"
        found = again(configuration.with_settings(config, settings), choice.seconds)
        if found is not None:
            made = found.updates(found.seconds, training.epochs)
            epochs, how = made / found.updates_an_epoch, ", as measured"
    if epochs < UNSEEN:
        settings |= {name: 0.0 for name in _dropouts(config) if name not in stated}
    if not any(name.startswith("training.schedule") for name in stated):
        warmup = min(LONGEST_WARMUP, max(SHORTEST_WARMUP, WARMED / max(1, made)))
        own = config["training"].get("schedule")
        kept = own if isinstance(own, dict) and own.get("kind") == "warmup-cosine" else {"kind": "warmup-cosine"}
        settings["training.schedule"] = {**kept, "warmup": round(warmup, 3)}
    settings["training.fit_budget"] = True
    fitted = configuration.with_settings(config, settings)
    changes = configuration.differences(config, fitted)
    changes.pop("training.fit_budget", None)
    said = (
        f"Fitted to {minutes}: at the measured pace the settings would make about {budget.rounded(updates):,} updates, "
        f"now about {budget.rounded(made):,}{how}, {epochs:.2g} epochs: "
        + ", ".join(f"{name} = {_written(after)} ({_written(before)})" for name, (before, after) in changes.items())
        + ". As the recipe has it: --no-fit-budget"
    )
    return Fitted(fitted, said, changes)


def measured(material: Material, config: Config, training: Training, less: Mapping[str, Any]) -> Pace:
    """How long an update takes with a config, by updates of a model that is thrown away, with the smaller batches that
    the settings `less` make."""
    if training.threads is not None:
        torch.set_num_threads(training.threads)
    small = configuration.with_settings(config, less)
    device = find_device(training.device)
    context = autocast(device, find_precision(training.precision, device))
    torch.manual_seed(training.seed)
    model = material.model(small).to(device).train()
    optimiser = training.optimiser_part().build(list(model.parameters()), training.learning_rate)
    whole = (training.max_minutes or math.inf) * 60.0
    most, taken, count = min(MEASURED_FOR, MEASURED_SHARE * whole), 0.0, 0
    batches = material.batches(small)
    for index in range(len(batches)):
        begun = time.monotonic()
        with context:
            loss = model.loss(moved(batches[index], device)).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        float(loss.detach())  # which waits for a device
        if index or time.monotonic() - begun > whole * MEASURED_SHARE * 2:
            taken, count = taken + time.monotonic() - begun, count + 1
        if taken >= most and (less or count >= LEAST_UPDATES):
            break
    accumulate = small["training"].get("accumulate", 1)
    more = (budget.batch_of(config) / budget.batch_of(small)) ** budget.EXPONENT
    seconds = taken / max(1, count) * accumulate * more
    updates = -(-len(material.batches(config)) // config["training"].get("accumulate", 1))
    return Pace(seconds, updates, 0, whole)


def _dropouts(config: Config) -> Iterator[str]:
    """The settings by which something is dropped out."""
    tables = [("embedder", config["embedder"]), ("core", config["core"]), ("task", config["task"])]
    tables += [(f"task.{key}", value) for key, value in config["task"].items() if isinstance(value, Mapping)]
    for where, table in tables:
        for key in DROPPED:
            if isinstance(table.get(key), (int, float)) and table[key]:
                yield f"{where}.{key}"


def _written(value: Any) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
