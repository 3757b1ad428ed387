"""Several runs of one task beside each other: scores, curves, and the settings in which they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recurra import checkpoint
from recurra import config as configuration
from recurra.config import Config
from recurra.diagnostics.curves import Curves, curves
from recurra.diagnostics.plain import plain
from recurra.errors import CheckpointError, ConfigError

FEWEST, MOST = 2, 12
"""Runs that can be told from each other in a picture."""
WORDS = ("description",)
"""Keys of a config that set nothing."""


@dataclass(frozen=True, eq=False)
class Compared:
    """One of the runs."""

    name: str
    """As the caller named it."""
    part: str
    """What its scores are of: "test", or "valid" where it has no test; "" where it was not scored."""
    scores: Mapping[str, float]
    baselines: Mapping[str, Mapping[str, float]]
    """Name → the same metrics."""
    facts: Mapping[str, Any]
    """"parameters", "updates", "epochs", "minutes" of training, "seed"; those that are known."""
    curves: Curves | None


@dataclass(frozen=True, eq=False)
class Comparison:
    """Several runs, in the order they were named."""

    runs: tuple[Compared, ...]
    differing: Mapping[str, tuple[Any, ...]]
    """Setting → its value in each run, None where a run has it not; settings that are alike are left out."""
    notes: tuple[str, ...]
    """What the numbers must be read with, a sentence each."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that every scored run has."""
        scored = [run.scores for run in self.runs if run.scores]
        return tuple(name for name in (scored[0] if scored else ()) if all(name in each for each in scored))

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        found: dict[str, Any] = plain(self)
        return found


def compare(paths: Sequence[str | Path]) -> Comparison:
    """What two or more runs have to show beside each other; their models are not loaded.

    Raises `ConfigError` for fewer than two runs, more than twelve, one named twice, and for runs of different tasks,
    `CheckpointError` for a folder that holds no run.
    """
    if not FEWEST <= len(paths) <= MOST:
        raise ConfigError(f"{len(paths)} runs, expected {FEWEST} to {MOST} to be compared.")
    folders = [checkpoint.open_run(path) for path in paths]
    places = [folder.path.resolve() for folder in folders]
    for k, place in enumerate(places):
        if place in places[:k]:
            raise ConfigError(f"{paths[k]} is named twice. Name other runs to compare it with.")
    configs = [configuration.load_recipe(folder.config) for folder in folders]
    kinds = [config.get("task", {}).get("kind", "") for config in configs]
    for path, kind in zip(paths, kinds, strict=True):
        if kind != kinds[0]:
            raise ConfigError(
                f"{paths[0]} does {kinds[0]} and {path} does {kind}: their scores and losses are not of the same "
                "thing. Name runs of one task; `recurra inspect` shows each by itself."
            )
    reports = [checkpoint.read_report(folder.report) if folder.report.is_file() else {} for folder in folders]
    runs = tuple(map(_compared, map(str, paths), folders, reports))
    return Comparison(runs, _differing(configs), tuple(_notes(runs, configs, reports)))


def _compared(name: str, folder: checkpoint.RunFolder, report: Mapping[str, Any]) -> Compared:
    scores = report.get("scores", {})
    part = next((part for part in ("test", "valid") if part in scores), "")
    scored = scores.get(part, {"model": {}})
    model = {k: value for k, value in scored["model"].items() if not k.startswith("unseen_")}
    facts = {
        "parameters": report.get("parameters"),
        "updates": report.get("steps"),
        "epochs": report.get("epochs"),
        "minutes": report.get("minutes", {}).get("training"),
        "seed": report.get("seed"),
    }
    try:
        found = curves(folder.path)
    except CheckpointError:
        found = None
    return Compared(
        name,
        part,
        model,
        {row["name"]: {k: row[k] for k in model if k in row} for row in scored.get("baseline", ())},
        {fact: value for fact, value in facts.items() if value is not None},
        found,
    )


def _differing(configs: Sequence[Config]) -> dict[str, tuple[Any, ...]]:
    """Setting → its value in each run, of those that are not alike."""
    flat = [dict(configuration.flat(config)) for config in configs]
    names = dict.fromkeys(name for each in flat for name in each)
    rows = {name: tuple(each.get(name) for each in flat) for name in names if name not in WORDS}
    return {name: values for name, values in rows.items() if any(value != values[0] for value in values)}


def _notes(
    runs: Sequence[Compared], configs: Sequence[Mapping[str, Any]], reports: Sequence[Mapping[str, Any]]
) -> list[str]:
    notes = []
    for run in runs:
        if not run.scores:
            notes.append(f"{run.name} has no scores yet: its training or its scoring was stopped.")
        if run.curves is None:
            notes.append(f"{run.name} has no curves: its training wrote no line.")
    if len({run.part for run in runs if run.part}) > 1:
        notes.append("The scores are of the test of some runs and of the validation of others: compare with care.")
    if len({report["data"] for report in reports if "data" in report}) > 1:
        notes.append("The runs were trained on different data, so their scores may be of different texts.")
    if len({repr(config.get("vocabulary")) for config in configs}) > 1:
        notes.append("Their vocabularies are set differently: a loss or perplexity per symbol is of different symbols.")
    return notes
