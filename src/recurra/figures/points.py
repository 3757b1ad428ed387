"""Scores of trials against one of their settings: numbers along an axis, words beside each other."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from recurra.figures.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, round_ticks, tick_name
from recurra.figures.drawing import drawing
from recurra.figures.shown import cut, escaped

MARGIN = 0.05
"""Of the room that is kept free around the points."""
FAR = 30.0
"""Numbers above 0 of which the largest is so many times the least stand on a logarithmic axis."""


@dataclass(frozen=True)
class Point:
    """A value of the setting, the score that came of it, and a name for whoever points at it."""

    value: Any
    score: float
    name: str


def points(shown: Sequence[Point], across: str, up: str, best: str, log: bool = False) -> str:
    """A point for each, one or more, of finite scores; the one called `best` is full."""
    low, high = _reach([each.score for each in shown])
    foot = HEIGHT - BOTTOM

    def height(score: float) -> float:
        return TOP + (high - score) / (high - low) * (foot - TOP)

    drawn = []
    for tick in round_ticks(low, high):
        level = height(tick)
        drawn.append(f'<path class="grid" d="M{LEFT} {level:.1f}H{WIDTH - RIGHT}"/>')
        drawn.append(f'<text x="{LEFT - 5}" y="{level + 4:.1f}" text-anchor="end">{tick_name(tick)}</text>')
    place, marks = _axis([each.value for each in shown], log)
    for x, name in marks:
        drawn.append(f'<text x="{x:.1f}" y="{foot + 15}" text-anchor="middle">{escaped(cut(name))}</text>')
    for each in shown:
        full = ' style="fill-opacity: 1"' if each.name == best else ""
        title = f"{each.name}: {across} = {each.value}, {each.score:.4g}"
        drawn.append(
            f'<circle class="point" cx="{place(each.value):.1f}" cy="{height(each.score):.1f}" r="4"{full}>'
            f"<title>{escaped(title)}</title></circle>"
        )
    drawn.append(
        f'<text class="axis" x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end">{html.escape(across)}</text>'
    )
    caption = f"<figcaption>{html.escape(up)}</figcaption>"
    return f"<figure>{drawing(drawn, WIDTH, HEIGHT, f'{up} by {across}')}{caption}</figure>"


def _axis(values: Sequence[Any], log: bool) -> tuple[Callable[[Any], float], list[tuple[float, str]]]:
    """Where a value stands, and what stands below."""
    wide = WIDTH - LEFT - RIGHT
    if not all(_number(value) and math.isfinite(value) for value in values):
        names = list(dict.fromkeys(map(_written, values)))
        step = wide / len(names)
        middles = {name: LEFT + (k + 0.5) * step for k, name in enumerate(names)}
        return lambda value: middles[_written(value)], [(x, name) for name, x in middles.items()]
    log = min(values) > 0 and (log or max(values) / min(values) >= FAR)
    scale: Callable[[float], float] = math.log10 if log else float
    low, high = _reach([scale(value) for value in values])

    def at(value: float) -> float:
        return LEFT + (value - low) / (high - low) * wide

    distinct = sorted(set(values))
    if len(distinct) <= 6 and _apart([at(scale(value)) for value in distinct]):
        return lambda value: at(scale(value)), [(at(scale(value)), f"{value:g}") for value in distinct]
    return lambda value: at(scale(value)), [(at(tick), name) for tick, name in _marks(low, high, log)]


def _marks(low: float, high: float, log: bool) -> Iterator[tuple[float, str]]:
    """Round numbers along an axis."""
    decades = range(math.ceil(low), math.floor(high) + 1) if log else range(0)
    if len(decades) >= 2:
        step = math.ceil(len(decades) / 6)
        yield from ((float(k), f"{10.0**k:g}") for k in decades[::step])
        return
    for tick in round_ticks(low, high):
        yield tick, f"{10.0**tick:.2g}" if log else tick_name(tick)


def _reach(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    around = MARGIN * (high - low) or max(abs(low) * MARGIN, 1e-9)
    return low - around, high + around


def _apart(places: Sequence[float], least: float = 34.0) -> bool:
    """Whether names below places have room beside each other."""
    return all(after - before >= least for before, after in pairwise(places))


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _written(value: Any) -> str:
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
