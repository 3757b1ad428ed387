"""One drawing as SVG: inside a page, or a file of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import resources

from recurra.figures.shown import escaped

_SIZE = re.compile(r'<svg viewBox="0 0 (\d+) (\d+)"( width="\d+" height="\d+")?')
_DRAWN = re.compile(r"(<svg .*?</svg>)(?:<figcaption>(.*?)</figcaption>)?", re.DOTALL)
_KEY = re.compile(r'<span class="key ([^"]*)">(.*?)</span>')
SCALE = 1.5
"""Pixels a unit, of a file without a size of its own."""
ROW, LETTER, MARK = 16, 6.2, 18
"""Of what stands below a drawing: a row's height, a letter's width, that of the mark before a name."""


def drawing(drawn: Sequence[str], width: int, height: int, named: str, scale: float = 0.0) -> str:
    """An SVG of so many units. `scale`: drawn at so many pixels a unit; 0: as wide as there is room."""
    size = f' width="{round(scale * width)}" height="{round(scale * height)}"' if scale else ""
    return f'<svg viewBox="0 0 {width} {height}"{size} role="img" aria-label="{escaped(named)}">{"".join(drawn)}</svg>'


def style() -> str:
    """The colours and strokes of drawings, as a stylesheet."""
    return (resources.files(__package__) / "style.css").read_text(encoding="utf-8")


def drawings_in(page: str) -> list[str]:
    """The drawings in HTML, in their order, as files of their own."""
    return [_alone(svg, caption) for svg, caption in _DRAWN.findall(page)]


def file_of(page: str) -> bytes:
    """The one drawing in HTML, as the bytes of a file of its own."""
    (drawn,) = drawings_in(page)
    return drawn.encode()


def _alone(svg: str, caption: str) -> str:
    """A drawing with its colours in it, light or dark as its reader likes, and what its caption says below it."""
    found = _SIZE.match(svg)
    if found is None:
        raise ValueError("no drawing of ours, which begins with its viewBox")
    head, _, body = svg[found.end() :].partition(">")
    width, height = int(found[1]), int(found[2])
    below, rows = _below(caption, width, height)
    height += ROW * rows
    scale = int(found[3].split('"')[1]) / width if found[3] else SCALE
    size = f'width="{round(scale * width)}" height="{round(scale * height)}"'
    ground = '<rect width="100%" height="100%" style="fill: var(--card)"/>'
    begin = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {size}{head}>'
    return f"{begin}<style>{style()}</style>{ground}{body.removesuffix('</svg>')}{below}</svg>\n"


def _below(caption: str, width: int, height: int) -> tuple[str, int]:
    """A caption as text below a drawing of so many units, its keys with their marks; and its rows."""
    title = _KEY.sub("", caption).strip(" ·")
    drawn, rows, x = [], 0, float(MARK)
    if title:
        drawn.append(f'<text x="8" y="{height + 11}">{title}</text>')
        rows += 1
    for look, name in _KEY.findall(caption):
        wide = MARK + 12 + LETTER * len(name)
        if x == MARK or x + wide > width:
            x, rows = 8.0, rows + 1
        y = height + ROW * rows - 5
        mark = f'<path class="line {look}" d="M{x:.1f} {y - 4}h{MARK - 4}"/>'
        if "ranged" in look:
            mark = f'<rect class="band" x="{x:.1f}" y="{y - 8}" width="{MARK - 4}" height="9"/>'
        drawn.append(f'{mark}<text x="{x + MARK:.1f}" y="{y}">{name}</text>')
        x += wide
    return "".join(drawn), rows
