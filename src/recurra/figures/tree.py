"""A tree drawn as SVG: its words in a line at the foot, each node coloured by its label, its children below it."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from recurra.figures.drawing import drawing
from recurra.figures.shown import visible

ROW, PILL, LETTER, GAP = 34, 18, 6.4, 10
"""Pixels from one height to the next, of a node's height, of a letter's width, between neighbours."""
CUT = 24
"""Characters of a label or a word that are drawn."""
PALEST, DARK = 0.3, 140
"""The share of a colour that is left where a label has no probability; below this brightness letters are white."""
GREY, EDGE = "#9a9a94", 4
"""The colour of lines; pixels around all."""
LOW, MIDDLE, HIGH = (24, 108, 190), (226, 222, 212), (224, 112, 36)
"""The colours of a scale: blue at its low end, grey in the middle, orange at its high end."""
APART = ((27, 106, 201), (214, 110, 40), (31, 150, 80), (154, 63, 181), (176, 136, 0), (194, 47, 85))
"""Of labels that are no scale, in turn."""


class Node(Protocol):
    """What is drawn of a node."""

    @property
    def label(self) -> str: ...
    @property
    def children(self) -> Sequence[Node]: ...
    @property
    def token(self) -> str | None: ...
    @property
    def p(self) -> float | None: ...


@dataclass(frozen=True)
class Placed:
    """A node where it is drawn."""

    node: Node
    x: float
    """Of its middle."""
    height: int
    """0 without children, else one more than its highest child's."""
    parent: Placed | None


def is_scale(labels: Sequence[str]) -> bool:
    """Whether labels go from one end to another: all of them are numbers, or there are two."""
    return len(labels) == 2 or (len(labels) > 2 and all(_number(label) is not None for label in labels))


def in_order(labels: Sequence[str]) -> list[str]:
    """Labels as they are drawn in a key: numbers by their size, others as they are."""
    numbers = [_number(label) for label in labels]
    if any(number is None for number in numbers):
        return list(labels)
    return [label for _, label in sorted(zip(numbers, labels, strict=True), key=lambda pair: pair[0] or 0.0)]


def colour(label: str, labels: Sequence[str]) -> tuple[int, int, int]:
    """Of a label among all there are, in order."""
    if label not in labels:
        return MIDDLE
    k = labels.index(label)
    if not is_scale(labels):
        return APART[k % len(APART)]
    share = 2 * k / (len(labels) - 1) - 1
    end = LOW if share < 0 else HIGH
    r, g, b = (round(m + abs(share) * (e - m)) for m, e in zip(MIDDLE, end, strict=True))
    return r, g, b


def placed(root: Node) -> tuple[list[Placed], float]:
    """Every node where it is drawn, parents before their children, and how wide the drawing is."""
    order, todo = [], [root]
    while todo:
        node = todo.pop()
        order.append(node)
        todo += node.children
    wide: dict[int, float] = {}
    high: dict[int, int] = {}
    for node in reversed(order):
        under = [wide[id(child)] for child in node.children]
        wide[id(node)] = max(sum(under), _own(node) + GAP)
        high[id(node)] = 1 + max((high[id(child)] for child in node.children), default=-1)
    found: list[Placed] = []
    waiting: list[tuple[Node, float, Placed | None]] = [(root, 0.0, None)]
    while waiting:
        node, left, parent = waiting.pop()
        here = Placed(node, left + wide[id(node)] / 2, high[id(node)], parent)
        found.append(here)
        left += (wide[id(node)] - sum(wide[id(child)] for child in node.children)) / 2
        below: list[tuple[Node, float, Placed | None]] = []
        for child in node.children:
            below.append((child, left, here))
            left += wide[id(child)]
        waiting += reversed(below)
    return found, wide[id(root)]


def boxes(root: Node, labels: Sequence[str]) -> dict[str, Any]:
    """The drawing in numbers, as a page takes it: its "width" and "height", and of every node its middle "x", "y", how
    "wide" it is, "colour" and "ink", the "text" on it, its "title", the "word" below it or null,
    and the "up" of its parent, [x, y], or null."""
    nodes, wide = placed(root)
    high = nodes[0].height
    height = high * ROW + PILL + (20 if any(_below(each.node) for each in nodes) else 4)
    return {"width": max(wide, 60.0), "height": height, "nodes": [_box(each, high, labels) for each in nodes]}


def tree(root: Node, labels: Sequence[str]) -> str:
    """The drawing as SVG; `labels`: all there are, in order."""
    found = boxes(root, labels)
    nodes = found["nodes"]
    lines = (f'<path d="M{each["up"][0]} {each["up"][1]}L{each["x"]} {each["y"]}"/>' for each in nodes if each["up"])
    drawn = (
        f'<g><title>{html.escape(each["title"])}</title><rect x="{each["x"] - each["wide"] / 2:.1f}" '
        f'y="{each["y"] - PILL / 2:.1f}" width="{each["wide"]:.1f}" height="{PILL}" rx="{PILL / 2:.0f}" '
        f'fill="{each["colour"]}" stroke="{GREY}" stroke-width=".6"/>'
        f"{_text(each['x'], each['y'] + 4, each['text'], each['ink'])}</g>"
        + ("" if each["word"] is None else _text(each["x"], each["y"] + PILL / 2 + 14, each["word"]))
        for each in nodes
    )
    within = f'<g fill="none" stroke="{GREY}">{"".join(lines)}</g>{"".join(drawn)}'
    size = math.ceil(found["width"]) + 2 * EDGE, math.ceil(found["height"]) + 2 * EDGE
    moved = f'<g transform="translate({EDGE} {EDGE})">{within}</g>'
    return drawing([moved], *size, f"A tree of {len(nodes)} nodes", 1.0)


def _text(x: float, y: float, text: str, ink: str = "") -> str:
    look = f' style="fill:{ink}"' if ink else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle"{look}>{html.escape(text)}</text>'


def _box(each: Placed, high: int, labels: Sequence[str]) -> dict[str, Any]:
    """A node: its label on its colour, the paler the less sure; a word without children stands below it."""
    node, (x, y) = each.node, _at(each, high)
    sure = 1.0 if node.p is None else PALEST + (1 - PALEST) * node.p
    rgb = [round(sure * part + (1 - sure) * 255) for part in colour(node.label, labels)]
    bright = sum(share * part for share, part in zip((0.299, 0.587, 0.114), rgb, strict=True))
    return {
        "x": x,
        "y": y,
        "wide": _wide(_inside(node)) + 10,
        "colour": "#" + "".join(f"{part:02x}" for part in rgb),
        "ink": "#ffffff" if bright < DARK else "#222222",
        "text": visible(_inside(node)),
        "title": visible(node.label) + ("" if node.p is None else f", {node.p:.0%}"),
        "word": visible(_cut(node.token or "")) if _below(node) else None,
        "up": None if each.parent is None else list(_at(each.parent, high)),
    }


def _below(node: Node) -> bool:
    """Whether a word stands below a node."""
    return not node.children and node.token is not None


def _at(each: Placed, high: int) -> tuple[float, float]:
    return round(each.x, 1), (high - each.height) * ROW + PILL / 2


def _inside(node: Node) -> str:
    """What stands on a node: its label, and a word of its own where it has children besides."""
    return f"{_cut(node.label)} {_cut(node.token)}" if node.children and node.token else _cut(node.label)


def _own(node: Node) -> float:
    """How wide a node is by itself."""
    own = _wide(_inside(node)) + 10
    return own if node.children or node.token is None else max(own, _wide(_cut(node.token)))


def _wide(text: str) -> float:
    return max(8.0, sum(LETTER * (1.9 if ord(c) > 0x2E7F else 1.0) for c in _cut(text)))


def _cut(text: str) -> str:
    return text if len(text) <= CUT else text[: CUT - 1] + "…"


def _number(label: str) -> float | None:
    try:
        return float(label)
    except ValueError:
        return None
