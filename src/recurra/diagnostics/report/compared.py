"""Runs beside each other: in words for a terminal, and as a page."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from recurra.diagnostics.comparison import Compared, Comparison
from recurra.diagnostics.curves import Curves, Series
from recurra.diagnostics.report.page import document
from recurra.diagnostics.report.pieces import table
from recurra.diagnostics.report.summary import columns, sparkline
from recurra.figures.charts import Line, line_chart
from recurra.figures.shown import number

FACTS = ("parameters", "updates", "epochs", "minutes", "seed")


def comparison_summary(found: Comparison) -> str:
    """Scores, curves and the settings that differ, in words."""
    head, *rows = _scores(found)
    lines = ["scores", *columns([head, *rows])]
    for what, lines_of in _series(found).items():
        low, high = (float(f([f(values) for _, _, values in lines_of])) for f in (np.min, np.max))
        last = max(float(c.epochs[-1]) for _, c, _ in lines_of)
        lines += ["", f"{what}, from {number(low)} (low) to {number(high)} (high), by epochs"]
        lines += columns(
            [
                [name, sparkline(c.epochs[c.series[what][0]] / last, values, low, high), number(values[-1])]
                for name, c, values in lines_of
            ]
        )
    lines += ["", *_conclusions(found)]
    lines += ["", "settings that differ", *columns(_settings(found))] if found.differing else ["", "no setting differs"]
    lines += ["", *found.notes] if found.notes else []
    return "\n".join(lines)


def comparison_page(found: Comparison) -> str:
    """The page as one string, to be written in UTF-8; it needs no network."""
    parts = {"scores": ("Scores", "".join(_scores_drawn(found)))}
    drawn = "".join(_curves_drawn(found))
    parts |= {"curves": ("Training curves", drawn)} if drawn else {}
    parts |= {"settings": ("Settings that differ", "".join(_settings_drawn(found)))}
    names = ", ".join(run.name for run in found.runs)
    return document("recurra compare", f"{len(found.runs)} runs", names, "Read from what each training wrote.", parts)


def _scores(found: Comparison) -> list[list[str]]:
    """A row for each run, then one for each baseline that stands beside any."""
    metrics = found.metrics
    facts = [name for name in FACTS if any(name in run.facts for run in found.runs)]
    head = ["run", "scored on", *(name.replace("_", " ") for name in metrics), *facts]
    rows = [
        [run.name, run.part or "–", *_numbers(run.scores, metrics), *(_fact(run, name) for name in facts)]
        for run in found.runs
    ]
    beside = dict.fromkeys(
        (name, tuple(_numbers(scores, metrics))) for run in found.runs for name, scores in run.baselines.items()
    )
    return [head, *rows, *([name, "", *numbers, *("" for _ in facts)] for name, numbers in beside)]


def _numbers(scores: Any, metrics: Sequence[str]) -> list[str]:
    return [f"{scores[name]:,.4g}" if name in scores else "–" for name in metrics]


def _fact(run: Compared, name: str) -> str:
    value = run.facts.get(name)
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


def _series(found: Comparison) -> dict[str, list[tuple[str, Curves, Series]]]:
    """What can be drawn of all runs that wrote lines: name, curves and values of each."""
    seen = [(run.name, run.curves) for run in found.runs if run.curves is not None]
    shared = [what for what in (seen[0][1].series if seen else ()) if all(what in c.series for _, c in seen)]
    return {what: [(name, c, c.series[what][1]) for name, c in seen] for what in shared}


def _conclusions(found: Comparison) -> list[str]:
    return [f"{run.name}: {run.curves.conclusion}" for run in found.runs if run.curves is not None]


def _settings(found: Comparison) -> list[list[str]]:
    rows = [[name, *("–" if v is None else _value(v) for v in values)] for name, values in found.differing.items()]
    return [["", *(run.name for run in found.runs)], *rows]


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _scores_drawn(found: Comparison) -> Iterator[str]:
    head, *rows = _scores(found)
    yield "<p>Each run by its own test, and below them the baselines that the same test has.</p>"
    yield table(head, rows)
    for note in found.notes:
        yield f"<p>{html.escape(note)}</p>"


def _curves_drawn(found: Comparison) -> Iterator[str]:
    drawn = [
        line_chart(
            [Line(name, v, _x(c, across)[c.series[what][0]], colour=k) for k, (name, c, v) in enumerate(rows)],
            across,
            what,
        )
        for what, rows in _series(found).items()
        for across in ("epochs", "minutes")
    ]
    if drawn:
        yield (
            "<p>The loss in training, per target, and what was validated; by epochs a run that learns more from the "
            "same data lies better, by minutes one that is quicker, too.</p>"
        )
    yield from (f"<p>{html.escape(sentence)}</p>" for sentence in _conclusions(found))
    yield f'<div class="grid-of">{"".join(drawn)}</div>' if drawn else ""


def _x(curves: Curves, across: str) -> Series:
    return curves.epochs if across == "epochs" else curves.minutes


def _settings_drawn(found: Comparison) -> Iterator[str]:
    if not found.differing:
        yield "<p>No setting differs.</p>"
        return
    head, *rows = _settings(found)
    yield table(head, rows)
