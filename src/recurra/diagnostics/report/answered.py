"""The parts of the page on what is said: of one input, and of held-out ones beside what is true."""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from recurra.diagnostics.report.findings import Inspection
from recurra.diagnostics.report.pieces import lead, table
from recurra.figures.charts import Line, heat_map, line_chart, scatter
from recurra.figures.pictures import frames, strip
from recurra.figures.shown import escaped, number, share

BASES = 60
"""In a row of a map of changes."""
SCALES = 24
"""Scales whose numbers are drawn."""
FRAMES = 16
"""Steps of a canvas that are drawn."""


def mutations(found: Inspection) -> Iterator[str]:
    one = found.mutations
    if one is None:
        return
    yield lead(
        "Each column is a base of the sequence, each row what it is changed to. Orange: then the label's log-odds "
        f"would be higher, blue: lower; the strongest colour is {one.largest:.2f} nats.",
        one.conclusion,
    )
    for first in range(0, len(one.tokens), BASES):
        columns, some = one.tokens[first : first + BASES], one.changes[:, first : first + BASES] / one.largest
        named = f"Changes of log-odds by a change of base {first + 1} to {first + len(columns)}"
        yield f'<p class="soft">from base {first + 1:,}</p>{heat_map(one.letters, columns, some, named)}'


def canvas(found: Inspection) -> Iterator[str]:
    one = found.canvas
    if one is None:
        return
    window = " A rectangle is the window that is read or written." if one.windows else ""
    yield lead(f"The picture as it was given, and what the canvas shows after each step.{window}", one.conclusion)
    kept = sorted({*np.linspace(0, len(one.frames) - 1, min(FRAMES, len(one.frames))).round().astype(int).tolist()})
    shown = [(f"step {t + 1}", one.frames[t], [(does, at[t]) for does, at in one.windows.items()]) for t in kept]
    yield frames([("given", one.picture, []), *shown], "The picture, and the canvas after each step")
    steps = np.arange(1.0, len(one.nats) + 1)
    lines = [Line("this picture", one.nats, steps), Line(f"mean of {one.pictures}", one.mean_nats, steps, colour=1)]
    yield line_chart(lines, "steps", "nats")


def tree(found: Inspection) -> Iterator[str]:
    if found.tree is None:
        return
    yield lead(
        "Every node has the colour of its label, the paler the less sure; point at one for its probability. Its words "
        "stand in a line at the foot.",
        found.tree.conclusion,
    )
    yield f'<div class="wide" tabindex="0">{found.tree.tree.svg()}</div>'


def tree_reach(found: Inspection) -> Iterator[str]:
    down = found.tree_reach
    if down is None:
        return
    trees = "one tree" if down.trees == 1 else f"{down.trees:,} trees"
    yield lead(
        f"How much of the error at the root arrives at nodes so many below it, in {trees}: the geometric mean over the "
        "nodes of a depth. What hardly gets there, training hardly learns from the root's label.",
        down.conclusion,
    )
    yield line_chart([Line("", down.shares)], "nodes below the root", "share of ‖∂L/∂h‖", log=True)
    rows = [
        [str(k), number(share), f"{count:,}"]
        for k, (share, count) in enumerate(zip(down.shares, down.nodes, strict=True))
    ]
    yield f"<details><summary>as a table</summary>{table(['below the root', 'share', 'nodes'], rows)}</details>"


def agreement(found: Inspection) -> Iterator[str]:
    if not found.agreement:
        return
    count = sum(len(each.true) for each in found.agreement)
    yield lead(
        f"What the model says of {count:,} held-out sequences, across what is true. On the dashed line both agree; a "
        "larger dot stands for more of them."
    )
    drawn = "".join(
        f'<div>{scatter(each.true, each.said, "true", "said", each.scale)}<p class="here">'
        f"{html.escape(each.conclusion)}</p></div>"
        for each in found.agreement[:SCALES]
    )
    yield f'<div class="grid-of">{drawn}</div>'
    if len(found.agreement) > SCALES:
        yield f'<p class="soft">The first {SCALES} of {len(found.agreement)} scales are drawn.</p>'


def misread(found: Inspection) -> Iterator[str]:
    if not found.misread:
        return
    yield lead(
        "The held-out inputs whose transcripts are furthest from the truth. Below each picture stands what was read, "
        "each symbol where it was, the paler the less sure."
    )
    for each in found.misread:
        named = f"what {Path(each.place).name} holds"  # no folders: a drawing may be a file that is shown around
        drawn = strip(each.picture, each.symbols, each.end, named, each.unit == "px")
        errors = f"{each.errors} wrong, said to be right with {share(each.confidence)}"
        told = f'<p class="soft">{escaped(each.place)}, {each.end:.4g} {each.unit}: {errors}</p>'
        texts = table(["true", "written"], [[each.true, each.written]])
        yield f"<div>{drawn}{texts}{told}</div>"


def earliness(found: Inspection) -> Iterator[str]:
    early = found.earliness
    if early is None:
        return
    name = early.metric.replace("_", " ")
    yield lead(
        f"The {name} of {early.examples:,} held-out sequences when only their beginnings are given.", early.conclusion
    )
    drawn = line_chart([Line("", early.values, 100 * early.shares)], "read of each sequence, %", name)
    rows = [
        [f"{share:.0%}", f"{steps:.4g}", f"{value:.2f}"]
        for share, steps, value in zip(early.shares, early.steps, early.values, strict=True)
    ]
    listed = table(["read", "steps on average", name], rows)
    yield f'<div class="pair"><div>{drawn}</div><div>{listed}</div></div>'
