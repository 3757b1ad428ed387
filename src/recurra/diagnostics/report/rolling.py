"""What a run said from many places of series: in words for a terminal, and as a page."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping

import numpy as np

from recurra.data.files import counted
from recurra.diagnostics.backtest import Backtest
from recurra.diagnostics.report.page import document
from recurra.diagnostics.report.pieces import table
from recurra.diagnostics.report.summary import columns, sparkline
from recurra.figures.charts import Band, Line, line_chart
from recurra.figures.shown import number

PER_CENT = ("smape", "coverage")
"""What is told in per cent begins so."""


def backtest_summary(found: Backtest) -> str:
    """The scores beside those of repeating, the error by step ahead, and what the ranges hold, in words."""
    lines = [_asked(found), "", *columns(_scores(found))]
    known = {name: [np.nan if each is None else each for each in steps] for name, steps in found.by_step.items()}
    drawn = {name: np.array(steps) for name, steps in known.items() if not np.isnan(steps).all()}
    if drawn and found.horizon > 1:
        high = max(float(np.nanmax(steps)) for steps in drawn.values())
        lines += ["", f"error by step ahead, 1 to {found.horizon:,}, from 0 to {number(high)} of repeating the season"]
        x = np.linspace(0, 1, found.horizon)
        lines += columns([[name, sparkline(x, steps, 0.0, high)] for name, steps in drawn.items()])
    lines += [f"{sentence}" for sentence in _coverage(found)]
    lines += [f"rows: {found.rows}"] if found.rows else []
    return "\n".join([*lines, *found.notes])


def backtest_page(found: Backtest) -> str:
    """The page as one string, to be written in UTF-8; it needs no network."""
    parts = {
        "scores": ("Scores", f"<p>{html.escape(_asked(found))}</p>{table(*_split(_scores(found)))}"),
        "steps": ("Error by step ahead", "".join(_steps_drawn(found))),
        "ranges": ("What the ranges hold", "".join(_ranges_drawn(found))),
        "windows": ("The last windows", "".join(_windows_drawn(found))),
    }
    named = {key: (title, drawn) for key, (title, drawn) in parts.items() if drawn}
    return document("recurra backtest", found.name, found.data, "Asked again and again, beside what came.", named)


def _asked(found: Backtest) -> str:
    series = "one series" if found.series == 1 else f"{found.series:,} series"
    return (
        f"{found.data}: {counted(found.windows, 'window')} of {series}, {counted(found.horizon, 'step')} ahead, "
        f"{counted(found.stride, 'step')} apart"
    )


def _scores(found: Backtest) -> list[list[str]]:
    metrics = list(dict.fromkeys(name for row in found.scores.values() for name in row))
    rows = [[name, *(_cell(row, metric) for metric in metrics)] for name, row in found.scores.items()]
    return [["", *(metric.replace("_", " ") for metric in metrics)], *rows]


def _cell(row: Mapping[str, float], metric: str) -> str:
    if metric not in row:
        return "–"
    return f"{row[metric]:.1f} %" if metric.startswith(PER_CENT) else f"{row[metric]:,.4g}"


def _split(rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    return rows[0], rows[1:]


def _coverage(found: Backtest) -> Iterator[str]:
    own = found.scores[found.name]
    for level in found.levels:
        yield f"ranges of {level} % hold {own[f'coverage_{level}']:.1f} % of the values"


def _steps_drawn(found: Backtest) -> Iterator[str]:
    x = np.arange(1, found.horizon + 1, dtype=np.float64)
    lines = [
        Line(name, np.array([np.nan if each is None else each for each in steps]), x, colour=k)
        for k, (name, steps) in enumerate(found.by_step.items())
    ]
    if found.horizon > 1 and any(not np.isnan(line.values).all() for line in lines):
        yield "<p>The mean absolute error of each step ahead, in units of what repeating the last season errs.</p>"
        yield line_chart(lines, "steps ahead", "error")


def _ranges_drawn(found: Backtest) -> Iterator[str]:
    if not found.levels:
        return
    yield "".join(f"<p>{html.escape(sentence)}.</p>" for sentence in _coverage(found))
    own = found.scores[found.name]
    levels = np.array(sorted(found.levels), np.float64)
    held = np.array([own[f"coverage_{level}"] for level in sorted(found.levels)])
    if len(levels) > 1:
        promise = Line("what is promised", np.array([0.0, 100.0]), np.array([0.0, 100.0]), dashed=True, colour=1)
        ends = np.array([0.0, 100.0])
        x, y = np.r_[ends[:1], levels, ends[1:]], np.r_[ends[:1], held, ends[1:]]
        yield line_chart([Line("what is held", y, x), promise], "per cent promised", "per cent inside")


def _windows_drawn(found: Backtest) -> Iterator[str]:
    drawn = []
    for window in found.shown:
        given = np.array(window["given"], np.float64)
        behind = np.arange(-len(given) + 1, 1, dtype=np.float64)
        ahead = np.arange(1, found.horizon + 1, dtype=np.float64)
        band = None
        if window["level"] is not None:
            band = Band(np.array(window["low"]), np.array(window["high"]), ahead, f"{window['level']} % range")
        lines = [
            Line("known", given, behind, colour=0),
            Line("what came", np.array(window["truth"], np.float64), ahead, colour=0, dashed=True),
            Line("forecast", np.array(window["forecast"]), ahead, colour=1),
        ]
        drawn.append(line_chart(lines, f"steps from {window['cutoff']}", window["name"], band=band))
    yield f'<div class="grid-of">{"".join(drawn)}</div>' if drawn else ""
