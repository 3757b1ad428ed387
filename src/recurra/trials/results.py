"""What came of each trial, in a file of its own: what is there is not done again."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recurra import config as configuration
from recurra import forms, registry, storage
from recurra.config import Config
from recurra.errors import CheckpointError
from recurra.forms import ANYTHING, NOTHING, Either, Number, Table, Text, Whole
from recurra.forms.files import REPORT
from recurra.trials.spaces import Settings

_NUMBER = Either((Number(finite=False), NOTHING))
_FORM = Table(
    {
        "trial": Whole(0),
        "rung": Whole(0),
        "settings": Table(others=ANYTHING),
        "metric": Text(),
        "better": Text(),
        "score": _NUMBER,
        "minutes": _NUMBER,
        "parameters": Either((Whole(0), NOTHING)),
        "epochs": _NUMBER,
        "ended": Text(),
        "threads": Either((Whole(0), NOTHING)),
        "failed": Text(),
    }
)


@dataclass(frozen=True)
class Result:
    """What came of a trial."""

    trial: int
    settings: Settings
    rung: int = 0
    """How often it was given more time."""
    metric: str = ""
    """The task's main metric, of the validation examples."""
    better: str = "min"
    """Whether less or more of it is better: "min" or "max"."""
    score: float | None = None
    """None: it failed."""
    minutes: float | None = None
    """Of training."""
    parameters: int | None = None
    epochs: float | None = None
    ended: str = ""
    """Why training ended: "epochs", "time" or "patience"."""
    threads: int | None = None
    failed: str = ""
    """Why there is no score, as a sentence."""

    @property
    def order(self) -> tuple[bool, int, float, int]:
        """The better, the less: more time first, what is no number behind all numbers, and what failed last."""
        number = math.inf if self.score is None or math.isnan(self.score) else self.score
        known = self.score is not None and not math.isnan(self.score)
        value = -number if self.better == "max" and known else number
        return self.score is None, -self.rung, value, self.trial


def ranked(found: Iterable[Result]) -> list[Result]:
    """The best first; of a trial that was given more time the last; those that failed come last."""
    last: dict[int, Result] = {}
    for each in found:
        if each.trial not in last or last[each.trial].rung < each.rung:
            last[each.trial] = each
    return sorted(last.values(), key=lambda each: each.order)


def path_of(out: Path, trial: int, rung: int) -> Path:
    """Where the result of a trial is kept."""
    return out / "results" / (f"{trial:04d}-{rung}.json" if rung else f"{trial:04d}.json")


def read(out: Path, trial: int, rung: int = 0) -> Result | None:
    """The result of a trial, None where there is none yet. Raises `CheckpointError` for a file that is broken."""
    path = path_of(out, trial, rung)
    if not path.exists():
        return None
    return Result(**forms.json_file(path, _FORM, move="Delete it, and the trial is done again."))


def write(out: Path, found: Result) -> None:
    """Keep a result."""
    storage.write_text(path_of(out, found.trial, found.rung), json.dumps(asdict(found), ensure_ascii=False) + "\n")


def of_run(folder: Path, trial: int, settings: Settings, rung: int = 0, minutes: float | None = None) -> Result | None:
    """What came of a trial whose run is trained and scored; None where it is not. `minutes`: its time, where it has
    one."""
    if not (folder / "config.toml").is_file() or not (folder / "report.json").is_file():
        return None
    report = forms.json_file(folder / "report.json", REPORT)
    if "ended" not in report or report.get("unscored") or "valid" not in report.get("scores", {}):
        return None
    config = configuration.load_recipe(folder / "config.toml")
    if minutes is not None and config["training"].get("max_minutes") != minutes and report["ended"] == "time":
        return None
    metric, better = main_metric(config)
    score = report["scores"]["valid"]["model"].get(metric)
    if score is None:
        raise CheckpointError(f"{folder}: its report has no {metric} of the validation. Train it again: delete it.")
    return Result(
        trial,
        settings,
        rung,
        metric,
        better,
        float(score),
        report.get("minutes", {}).get("training"),
        report.get("parameters"),
        report.get("epochs"),
        report["ended"],
        report.get("threads"),
    )


def main_metric(config: Config) -> tuple[str, str]:
    """What a run's best weights are chosen by, and whether less or more of it is better."""
    metric, better = registry.construct("task", config["task"]).main_metric
    return metric, better


def same_metric(found: Sequence[Result]) -> list[Result]:
    """The results; one that is scored by another metric than the first stands among those that failed."""
    scored = [each for each in found if each.score is not None]
    if not scored:
        return [*found]
    metric = scored[0].metric
    return [each if each.score is None or each.metric == metric else _apart(each, metric) for each in found]


def _apart(found: Result, metric: str) -> Result:
    facts: Mapping[str, Any] = {**asdict(found), "score": None}
    said = f"it is scored by {found.metric}, the first trial by {metric}: they cannot be compared"
    return Result(**{**facts, "failed": said})
