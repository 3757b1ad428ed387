"""Small drawings: lines, bars, a heat map, points in the complex plane. Their colours are the page's.

Each is drawn as wide as a phone and scaled up; coordinates have one digit after the point, so that many fit a page.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recurra.figures.drawing import drawing
from recurra.figures.shown import cut, escaped, number

Values = NDArray[np.float64]
WIDTH, HEIGHT = 360, 220
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 8, 34
COLOURS = 6
POINTS = 400
"""A line has so many at most."""
DECADES = 12
"""A logarithmic axis reaches so far below its top."""
LEVELS = 10
"""Shades of a heat map without titles."""
CELL, LETTER = 15, 6.2
LARGEST = 2.2


@dataclass(frozen=True, eq=False)
class Line:
    """Values over x (None: 0, 1, 2, …); nan and, on a logarithmic axis, what is not positive are gaps."""

    name: str
    values: Values
    x: Values | None = None
    dashed: bool = False
    colour: int = 0


@dataclass(frozen=True, eq=False)
class Band:
    """A range of values over x, drawn behind the lines."""

    low: Values
    high: Values
    x: Values
    name: str


def line_chart(lines: Sequence[Line], across: str, up: str, log: bool = False, band: Band | None = None) -> str:
    """Lines with axes and, below, what each is."""
    places = [np.arange(len(line.values), dtype=np.float64) if line.x is None else line.x for line in lines]
    heights = [_heights(line.values, log) for line in lines]
    ends = [] if band is None else [_heights(band.low, log), _heights(band.high, log)]
    known = np.concatenate([height[~np.isnan(height)] for height in [*heights, *ends]])
    if not len(known):
        return "<p>There is nothing to draw: no value is above 0.</p>"
    low, high = float(known.min()), float(known.max())
    low = max(low, high - DECADES) if log else low
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    first, last = float(min(x[0] for x in places)), float(max(x[-1] for x in places))
    last = last if last > first else first + 1

    def at(x: float, y: float) -> tuple[float, float]:
        return (
            LEFT + (x - first) / (last - first) * (WIDTH - LEFT - RIGHT),
            TOP + (high - y) / (high - low) * (HEIGHT - TOP - BOTTOM),
        )

    drawn = []
    for y in _log_ticks(low, high) if log else round_ticks(low, high):
        name = f"{10.0**y:.0e}".replace("e-0", "e-").replace("e+0", "e") if log else tick_name(y)
        level = at(first, y)[1]
        drawn.append(f'<path class="grid" d="M{LEFT} {level:.1f}H{WIDTH - RIGHT}"/>')
        drawn.append(f'<text x="{LEFT - 5}" y="{level + 4:.1f}" text-anchor="end">{name}</text>')
    for x in round_ticks(first, last):
        drawn.append(
            f'<text x="{at(x, low)[0]:.1f}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle">{tick_name(x)}</text>'
        )
    if band is not None and len(ends) and not np.isnan(ends).any():
        outline = np.concatenate((ends[1], ends[0][::-1]))
        around = _path(np.concatenate((band.x, band.x[::-1])), np.maximum(outline, low), at, whole=True)
        drawn.append(f'<path class="band" d="{around}Z"/>')
    looks = [f"c{line.colour % COLOURS}{' dashed' if line.dashed or line.colour >= COLOURS else ''}" for line in lines]
    for look, place, height in zip(looks, places, heights, strict=True):
        drawn.append(f'<path class="line {look}" d="{_path(place, np.maximum(height, low), at)}"/>')
    drawn.append(
        f'<text class="axis" x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end">{html.escape(across)}</text>'
    )
    names = ", ".join(line.name for line in lines if line.name)
    named = f"{up} by {across}" + (f": {names}" if names else "")
    keys = "".join(
        f'<span class="key {look}">{html.escape(line.name)}</span>'
        for look, line in zip(looks, lines, strict=True)
        if line.name
    )
    keys += "" if band is None else f'<span class="key ranged">{html.escape(band.name)}</span>'
    caption = f"<figcaption>{html.escape(up)}{f' · {keys}' if keys else ''}</figcaption>"
    return f"<figure>{drawing(drawn, WIDTH, HEIGHT, named)}{caption}</figure>"


def bars(names: Sequence[str], counts: Sequence[int], across: str, up: str) -> str:
    """A bar for each name, its count above it."""
    drawn, step = [], (WIDTH - 2 * RIGHT) / len(names)
    foot, most = HEIGHT - BOTTOM, max(1, *counts)
    for k, (name, count) in enumerate(zip(names, counts, strict=True)):
        x, tall = RIGHT + k * step, count / most * (foot - TOP - 16)
        middle = f"{x + step / 2:.1f}"
        drawn.append(
            f'<rect class="bar" x="{x + 2:.1f}" y="{foot - tall:.1f}" width="{step - 4:.1f}" height="{tall:.1f}"/>'
        )
        drawn.append(f'<text x="{middle}" y="{foot - tall - 4:.1f}" text-anchor="middle">{count}</text>')
        drawn.append(f'<text x="{middle}" y="{foot + 15}" text-anchor="middle">{html.escape(name)}</text>')
    drawn.append(
        f'<text class="axis" x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end">{html.escape(across)}</text>'
    )
    caption = f"<figcaption>{html.escape(up)}</figcaption>"
    return f"<figure>{drawing(drawn, WIDTH, HEIGHT, f'{up} by {across}')}{caption}</figure>"


def heat_map(
    rows: Sequence[str], columns: Sequence[str], weights: Values, named: str, titled: bool = True, wide: int = 0
) -> str:
    """A shade for each weight from 0 to 1, of another colour below 0 down to -1, tokens on the axes; `titled`: with its
    number when pointed at. Drawn at `wide` pixels, up to LARGEST times as large as its letters need."""
    left = 8 + LETTER * max(_wide(cut(token)) for token in rows)
    above = 8 + LETTER * max(_wide(cut(token)) for token in columns)
    width, height = left + CELL * len(columns) + 4, above + CELL * len(rows) + 4
    drawn = []
    for k, token in enumerate(rows):
        y = above + CELL * (k + 0.75)
        drawn.append(f'<text x="{left - 4:.1f}" y="{y:.1f}" text-anchor="end">{html.escape(cut(token))}</text>')
    for k, token in enumerate(columns):
        x, y = left + CELL * (k + 0.75), above - 4
        turned = f'transform="translate({x:.1f} {y:.1f}) rotate(-90)"'
        drawn.append(f"<text {turned}>{html.escape(cut(token))}</text>")
    drawn.append(
        f'<rect class="frame" x="{left:.1f}" y="{above:.1f}" width="{CELL * len(columns)}" '
        f'height="{CELL * len(rows)}"/>'
    )
    scale = min(LARGEST, max(1.0, wide / width))
    inner = _cells(rows, columns, weights) if titled else _shades(weights)
    drawn.append(f'<g transform="translate({left:.1f} {above:.1f})">{"".join(inner)}</g>')
    return f'<div class="wide" tabindex="0">{drawing(drawn, round(width), round(height), named, scale)}</div>'


def plane(points: NDArray[np.complex128], named: str) -> str:
    """Points in the complex plane, with the unit circle."""
    side, reach = 200, max(1.1, 1.05 * float(np.abs(points).max(initial=0.0)))
    middle, scale = side / 2, side / 2 / reach
    dots = "".join(f"M{middle + scale * z.real:.1f} {middle - scale * z.imag:.1f}h0" for z in points)
    drawn = [
        f'<path class="grid" d="M0 {middle}H{side}M{middle} 0V{side}"/>',
        f'<circle class="unit" cx="{middle}" cy="{middle}" r="{scale:.1f}"/>',
        f'<path class="dots" d="{dots}"/>',
    ]
    caption = f"<figcaption>{html.escape(named)}</figcaption>"
    return f"<figure>{drawing(drawn, side, side, f'Eigenvalues of {named}')}{caption}</figure>"


def scatter(x: Values, y: Values, across: str, up: str, named: str) -> str:
    """Points on one scale for both axes, with the line where they agree; the area of a dot says how many lie there."""
    side, foot, left = HEIGHT, HEIGHT - BOTTOM, LEFT
    low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
    low, high = (low - 0.5, high + 0.5) if high - low < 1e-9 else (low, high)
    margin = 0.04 * (high - low)
    scale = (foot - TOP) / (high - low + 2 * margin)

    def at(a: float, b: float) -> tuple[float, float]:
        return left + (a - low + margin) * scale, foot - (b - low + margin) * scale

    drawn, right = [], left + foot - TOP
    for tick in round_ticks(low, high):
        u, v = at(tick, tick)
        drawn.append(f'<path class="grid" d="M{left} {v:.1f}H{right}"/>')
        drawn.append(f'<text x="{left - 5}" y="{v + 4:.1f}" text-anchor="end">{tick_name(tick)}</text>')
        drawn.append(f'<text x="{u:.1f}" y="{foot + 15}" text-anchor="middle">{tick_name(tick)}</text>')
    (a, b), (c, d) = at(low, low), at(high, high)
    drawn.append(f'<path class="line c5 dashed" d="M{a:.1f} {b:.1f}L{c:.1f} {d:.1f}"/>')
    places, counts = np.unique(np.stack([x, y], 1).round(6), axis=0, return_counts=True)
    for (p, q), count in zip(places.tolist(), counts.tolist(), strict=True):
        u, v = at(p, q)
        drawn.append(f'<circle class="point" cx="{u:.1f}" cy="{v:.1f}" r="{1.6 * math.sqrt(count):.1f}"/>')
    drawn.append(f'<text class="axis" x="{right}" y="{side - 4}" text-anchor="end">{html.escape(across)}</text>')
    caption = f"<figcaption>{html.escape(up)}{f' · {escaped(named)}' if named else ''}</figcaption>"
    return f"<figure>{drawing(drawn, right + RIGHT, side, f'{up} by {across} {named}'.strip())}{caption}</figure>"


def _heights(values: Values, log: bool) -> Values:
    """Values as heights of the axis, nan where there is none."""
    values = np.where(np.isfinite(values), values, np.nan)
    if not log:
        return values
    positive = values > 0
    return np.where(positive, np.log10(np.where(positive, values, 1.0)), np.nan)


def _path(x: Values, y: Values, at: object, whole: bool = False) -> str:
    assert callable(at)
    stride = 1 if whole else max(1, math.ceil(len(x) / POINTS))
    pieces, pen = [], "M"
    for a, b in zip(x[::stride], y[::stride], strict=True):
        if math.isnan(b):
            pen = "M"
            continue
        u, v = at(float(a), float(b))
        pieces.append(f"{pen}{u:.1f} {v:.1f}")
        pen = "L"
    return "".join(pieces)


def tick_name(tick: float) -> str:
    """35,000 rather than 3.5e+04, as far as there is room."""
    return f"{tick:,.0f}" if 1000 <= abs(tick) < 1e6 else number(tick)


def round_ticks(low: float, high: float) -> Iterator[float]:
    """About five round numbers."""
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(each for each in (1, 2, 2.5, 5, 10) if power * each >= rough * 0.999)
    for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1):
        yield k * step


def _log_ticks(low: float, high: float) -> Iterator[float]:
    """Whole decades, six at most; where not two lie between, finer."""
    decades = range(math.ceil(low), math.floor(high) + 1)
    if len(decades) < 2:
        yield from round_ticks(low, high)
        return
    yield from decades[:: math.ceil(len(decades) / 6)]


def _cells(rows: Sequence[str], columns: Sequence[str], weights: Values) -> Iterator[str]:
    for r, row in enumerate(rows):
        for c, column in enumerate(columns):
            weight = float(weights[r, c])
            kind, title = "cell minus" if weight < 0 else "cell", f"{escaped(row)} → {escaped(column)}: {weight:.3f}"
            yield (
                f'<rect class="{kind}" x="{c * CELL}" y="{r * CELL}" width="{CELL}" height="{CELL}" '
                f'fill-opacity="{abs(weight):.2f}"><title>{title}</title></rect>'
            )


def _shades(weights: Values) -> Iterator[str]:
    """The cells of each shade as one shape."""
    levels = np.ceil(weights * LEVELS - 0.5).astype(int)
    for level in range(1, LEVELS + 1):
        places = np.argwhere(levels == level)
        if len(places):
            shape = "".join(f"M{c * CELL} {r * CELL}h{CELL}v{CELL}h-{CELL}z" for r, c in places)
            yield f'<path class="cell" fill-opacity="{level / LEVELS:.1f}" d="{shape}"/>'


def _wide(text: str) -> float:
    """Letters wide; those of CJK count for two."""
    return sum(1.9 if ord(c) > 0x2E7F else 1.0 for c in text)
