"""Curves as SVG: lines on a plain or logarithmic axis, each with its name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

Points = Sequence[tuple[float, float]]

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#7f4f9f", "#666666", "#e03030", "#208080")
"""Of Okabe & Ito's that can be told apart without seeing red or green, and a few more."""
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 860, 420, 64, 250, 36, 46
ABOVE = 100.0
FLOOR = 1e-12
"""On a logarithmic axis nothing is drawn below."""


def svg(
    title: str,
    curves: Mapping[str, Points],
    *,
    x: str,
    y: str,
    log: bool = False,
    dashed: float | None = None,
    top: float = math.inf,
    bounds: Mapping[str, Points] | None = None,
) -> str:
    """A picture of curves by name, `x` and `y` the words at the axes. `dashed`: a height at which a line is drawn.
    `top`: what is higher is drawn at this height.

    `bounds`: of some of the names other curves, drawn dashed in the same colour, as far as they are not more than
    `ABOVE` times as high as the highest of `curves`.

    Points that are not finite, and on a logarithmic axis those below 10⁻¹², are left out.
    """
    shown = {
        name: [(at, min(height, top)) for at, height in points if _drawable((at, height), log)]
        for name, points in curves.items()
    }
    heights = [height for points in shown.values() for _, height in points] + ([] if dashed is None else [dashed])
    right = max((at for points in shown.values() for at, _ in points), default=1.0) or 1.0
    most = max(heights, default=0.0) * ABOVE
    above = {name: [p for p in points if _drawable(p, log) and p[1] <= most] for name, points in (bounds or {}).items()}
    heights += [height for points in above.values() for _, height in points]
    low, high = _range(heights, log)

    def place(at: float, height: float) -> tuple[float, float]:
        part = (_scaled(height, log) - low) / (high - low)
        return LEFT + at / right * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="20" font-size="14">{escape(title)}</text>',
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x)}</text>',
        f'<text transform="translate(14 {HEIGHT / 2:.0f}) rotate(-90)" text-anchor="middle">{escape(y)}</text>',
    ]
    for tick in _ticks(low, high, log):
        _, down = place(0.0, 10.0**tick if log else tick)
        word = f"1e{tick:g}" if log else f"{tick:g}"
        parts.append(f'<path d="M{LEFT} {down:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{down + 4:.1f}" text-anchor="end">{word}</text>')
    for k in range(5):
        across, _ = place(right * k / 4, 1.0)
        parts.append(f'<text x="{across:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{right * k / 4:g}</text>')
    if dashed is not None:
        _, down = place(0.0, dashed)
        parts.append(f'<path d="M{LEFT} {down:.1f}H{WIDTH - RIGHT}" stroke="#444" stroke-dasharray="5 4"/>')
    for k, (name, points) in enumerate(shown.items()):
        parts += _curve(name, [place(*point) for point in points], k)
        if above.get(name):
            parts.append(_bound([place(*point) for point in above[name]], k))
    return "\n".join([*parts, "</svg>\n"])


def _curve(name: str, places: Points, k: int) -> list[str]:
    colour, down = COLOURS[k % len(COLOURS)], TOP + 10 + 18 * k
    dash = ' stroke-dasharray="2 3"' if k >= len(COLOURS) else ""
    line = _line(places)
    at = WIDTH - RIGHT + 14
    return [
        f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.6"{dash}/>',
        f'<path d="M{at} {down}h18" stroke="{colour}" stroke-width="3"{dash}/>',
        f'<text x="{at + 24}" y="{down + 4}">{escape(name)}</text>',
    ]


def _bound(places: Points, k: int) -> str:
    """What lies above the curve number `k`."""
    return (
        f'<polyline points="{_line(places)}" fill="none" stroke="{COLOURS[k % len(COLOURS)]}" stroke-width="1.2" '
        'stroke-dasharray="5 4"/>'
    )


def _line(places: Points) -> str:
    return " ".join(f"{across:.1f},{height:.1f}" for across, height in places)


def _drawable(point: tuple[float, float], log: bool) -> bool:
    return all(map(math.isfinite, point)) and (not log or point[1] >= FLOOR)


def _scaled(height: float, log: bool) -> float:
    return math.log10(height) if log else height


def _range(heights: Sequence[float], log: bool) -> tuple[float, float]:
    if not heights:
        return (-1.0, 0.0) if log else (0.0, 1.0)
    low, high = (_scaled(of(heights), log) for of in (min, max))
    low, high = (float(math.floor(low)), float(math.ceil(high))) if log else (min(0.0, low), high)
    return (low, high) if high > low else (low, low + 1)


def _ticks(low: float, high: float, log: bool) -> list[float]:
    if log:
        decades = max(1, math.ceil((high - low) / 8))
        return [float(k) for k in range(int(low), int(high) + 1, decades)]
    unit = 10.0 ** math.floor(math.log10(high - low))
    apart = next((part * unit for part in (0.2, 0.5, 1.0) if (high - low) / (part * unit) <= 6), unit * 2)
    return [round(k * apart, 12) for k in range(math.ceil(low / apart), math.floor(high / apart + 1e-9) + 1)]
