"""The trials of a sweep as a table, in words and as CSV, and a drawing of the score against each setting."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from recurra import storage
from recurra.figures.drawing import file_of
from recurra.figures.points import Point, points
from recurra.figures.shown import cut
from recurra.trials.results import Result
from recurra.trials.spaces import Range

if TYPE_CHECKING:
    from recurra.trials import Found
    from recurra.trials.plan import Sweep

REASON, WIDEST = 200, 40
"""Characters of the reason of a trial that failed, and of a setting, that the printed table shows."""


def rows(found: Found) -> list[list[str]]:
    """The table in words, its head first."""
    metric = next((each.metric for each in found.trials if each.score is not None), "score")
    rungs = any(each.rung for each in found.trials)
    head = ["trial", metric.replace("_", " "), *found.names, "minutes", "parameters", "epochs"]
    return [[*head, *(["rung"] if rungs else [])], *(_row(each, found.names, rungs) for each in found.trials)]


def _row(found: Result, names: tuple[str, ...], rungs: bool) -> list[str]:
    return [
        f"{found.trial:04d}",
        "failed" if found.score is None else f"{found.score:.4g}",
        *(cut(written(found.settings.get(name)), WIDEST) for name in names),
        "–" if found.minutes is None else f"{found.minutes:.2f}",
        "–" if found.parameters is None else f"{found.parameters:,}",
        "–" if found.epochs is None else f"{found.epochs:.1f}",
        *([str(found.rung)] if rungs else []),
    ]


def reasons(found: Found) -> list[str]:
    """Why trials failed, a line each."""
    return [f"{each.trial:04d}: {cut(each.failed, REASON)}" for each in found.trials if each.failed]


def written(value: Any) -> str:
    """A value of a setting in a cell."""
    text = value if isinstance(value, str) else "none" if value is None else json.dumps(value, ensure_ascii=False)
    return " ".join(text.split())


def as_json(found: Found) -> dict[str, Any]:
    """What was found as JSON values."""
    scored = [each for each in found.trials if each.score is not None]
    return {
        "sweep": str(found.out),
        "trials": found.count,
        "metric": scored[0].metric if scored else None,
        "better": scored[0].better if scored else None,
        "best": None if found.best is None else str(found.out / f"{found.best.trial:04d}"),
        "results": [asdict(each) for each in found.trials],
    }


def write(found: Found, sweep: Sweep) -> None:
    """Write table.csv and the drawings into the sweep's folder."""
    storage.write_text(found.out / "table.csv", _csv(found))
    scored = [each for each in found.trials if each.score is not None and math.isfinite(each.score)]
    if not scored:
        return
    up = f"{scored[0].metric.replace('_', ' ')} of the validation"
    for name in found.names:
        space = sweep.random.get(name)
        these = [
            Point(each.settings[name], each.score, f"{each.trial:04d}") for each in scored if each.score is not None
        ]
        log = isinstance(space, Range) and space.log
        drawn = points(these, name, up, f"{found.trials[0].trial:04d}", log)
        storage.write(found.out / f"{name}.svg", file_of(drawn))


def _csv(found: Found) -> str:
    facts = ("minutes", "parameters", "epochs", "ended", "threads", "failed")
    file = io.StringIO()
    lines = csv.writer(file, lineterminator="\n")
    lines.writerow(["trial", "rung", "metric", "score", *found.names, *facts])
    for each in found.trials:
        values = (written(each.settings.get(name)) for name in found.names)
        cells = ("" if getattr(each, fact) is None else getattr(each, fact) for fact in facts)
        score = "" if each.score is None else repr(each.score)
        lines.writerow([f"{each.trial:04d}", each.rung, each.metric, score, *values, *cells])
    return file.getvalue()
