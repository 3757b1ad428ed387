"""What was found, in words for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from recurra.diagnostics.curves import Series
from recurra.diagnostics.decisions import Decision
from recurra.diagnostics.gates import Keeping
from recurra.diagnostics.gradients import Flow
from recurra.diagnostics.properties import PROPERTIES
from recurra.diagnostics.report import conclusions
from recurra.diagnostics.report.findings import CHANGING, Inspection
from recurra.diagnostics.tracking import LEVEL, Tested
from recurra.figures.shown import cut, number, share

TITLES = {
    "canvas": "How it is drawn",
    "mutations": "What a change of a base would do",
    "tree": "What is said of every node",
    "tree_reach": "How far errors reach down",
    "attribution": "What decided the answers",
    "agreement": "What is said, and what is true",
    "misread": "What is read worst",
    "earliness": "How early it can say",
    "gradient_flow": "Gradient flow",
    "training": "Training curves",
    "recorded_gradients": "Gradients of the training",
    "gates": "Gates",
    "next_symbols": "Next symbols",
    "alignment": "Attention of the decoder",
    "self_attention": "Self-attention",
    "spectra": "Spectra of the recurrent weights",
    "recorded_spectra": "Spectra during the training",
}
PROPERTY = {
    "quotes": "inside quotation marks",
    "line": "place in the line",
    "nesting": "open brackets",
    CHANGING: "change most",
}
SURPRISES = 5
STEPS = 16
"""Steps of a canvas in a row of a terminal."""
LEAST = 0.005
"""Nats that are told."""
BARS, WIDE = "▁▂▃▄▅▆▇█", 40
"""Heights of a line of a terminal, and its width."""


def summary(found: Inspection) -> str:
    """A paragraph for each thing that was looked at, then what was left out and why."""
    lines = [
        found.name + (f": {found.about}" if found.about else ""),
        f"text: {read_of(found)}, {found.origin}",
    ]
    held_out = (_agreement, _misread, _early)
    rest = (*held_out, _training, _recorded, _gates, _trackers, _self_attention, _spectra, _recorded_spectra)
    reads_on = (_alignment, _symbols, _flow, _decided)  # as the page has it: what answers the first question first
    asked = (_drawn, _tree, _mutated, _decided, _alignment, _flow)
    for part in (*(reads_on if found.next_symbols else asked), *rest):
        paragraph = list(part(found))
        lines += ["", *paragraph] if paragraph else []
    if found.left_out:
        lines += ["", "left out"]
        lines += [f"  {TITLES.get(key, key)}: {sentence}" for key, sentence in found.left_out.items()]
    return "\n".join(lines)


def read_of(found: Inspection) -> str:
    """How much was read."""
    unknown = f", {found.unknown:,} of them unknown to the model" if found.unknown else ""
    return f"{len(found.tokens):,} symbols{unknown}"


def where(layer: int, direction: str) -> str:
    """`layer 1, forwards`"""
    return f"layer {layer}, {direction}"


def reach(flow: Flow) -> str:
    """The memory horizon in words."""
    if not (flow.mean > 0).any():
        return "–"
    if flow.horizon is not None:
        return f"{flow.horizon} step{'' if flow.horizon == 1 else 's'}"
    return f"over {len(flow.mean) - 1} steps"


def half(kept: Keeping) -> tuple[float, float]:
    """The median time constant and that of the longest tenth, in steps."""
    ordered = sorted(kept.time_constants.tolist())
    return ordered[len(ordered) // 2], ordered[int(0.9 * (len(ordered) - 1))]


def decided_by(tokens: Sequence[str], decision: Decision, count: int = 3) -> str:
    """The symbols that count most for an answer, each with what ln p loses without it."""
    told = [k for k in decision.strongest(count) if abs(decision.occlusion[k]) >= LEAST]
    return ", ".join(f"{cut(tokens[k])} {decision.occlusion[k]:+.2f}" for k in told) or "no symbol alone"


def _decided(found: Inspection) -> Iterator[str]:
    if found.attribution is None:
        return
    yield "what decided the answers: p, and by how many nats ln p falls without a symbol"
    tokens = found.attribution.tokens
    yield from columns(
        [
            [
                *([] if each.step is None else [cut(tokens[each.step])]),
                cut(each.name, 40),
                number(each.p),
                decided_by(tokens, each),
            ]
            for each in found.attribution.decisions
        ]
    )
    for note in found.attribution.notes:
        yield f"  {note}"


def _mutated(found: Inspection) -> Iterator[str]:
    if found.mutations is None:
        return
    yield "what a change of one base would do to the label's log-odds"
    yield f"  {found.mutations.conclusion}"


def _tree(found: Inspection) -> Iterator[str]:
    if found.tree is not None:
        yield "what is said of every node"
        yield f"  {found.tree.conclusion}"
    down = found.tree_reach
    if down is not None:
        s = "" if down.trees == 1 else "s"
        yield f"how much of the error at the root arrives at nodes below it ({down.trees:,} tree{s})"
        yield f"  {down.conclusion}"


def _drawn(found: Inspection) -> Iterator[str]:
    one = found.canvas
    if one is None:
        return
    yield "how it is drawn: nats that each step tells of the picture, and of others"
    steps = len(one.nats)
    rows = [["step", *map(str, range(1, steps + 1))]]
    rows += [["this picture", *(f"{each:.1f}" for each in one.nats)]]
    rows += [["mean", *(f"{each:.1f}" for each in one.mean_nats)]]
    for does, at in one.windows.items():
        rows.append([f"{does} at", *(f"{x:.0f},{y:.0f}" for x, y, _, _ in at)])
        rows.append(["side", *(f"{side:.0f}" for _, _, side, _ in at)])
    for begin in range(0, steps, STEPS):
        yield from columns([[row[0], *row[1 + begin : 1 + begin + STEPS]] for row in rows])
    yield f"  {one.conclusion}"


def _flow(found: Inspection) -> Iterator[str]:
    if found.gradient_flow is None:
        return
    yield "how far gradients reach (1 % left)"
    flows = found.gradient_flow.main
    yield from columns([[where(f.layer, f.direction), reach(f), f.verdict] for f in flows])
    for sentence in dict.fromkeys(f.advice for f in flows):
        yield f"  {sentence}"
    for note in found.gradient_flow.notes:
        yield f"  {note}"


def _agreement(found: Inspection) -> Iterator[str]:
    if not found.agreement:
        return
    count = sum(len(each.true) for each in found.agreement)
    yield f"numbers said of {count:,} held-out sequences, and their true ones"
    for each in found.agreement:
        yield f"  {each.scale + ': ' if each.scale else ''}{each.conclusion}"


def _misread(found: Inspection) -> Iterator[str]:
    if not found.misread:
        return
    yield "what is read worst of held-out inputs: true, written"
    yield from columns([[each.place, each.true, each.written] for each in found.misread])


def _early(found: Inspection) -> Iterator[str]:
    early = found.earliness
    if early is None:
        return
    yield f"how early: {early.metric.replace('_', ' ')} of {early.examples:,} sequences by the share that was read"
    ends = early.shares[0], early.shares[-1]
    drawn = sparkline(
        early.shares / early.shares[-1], early.values, float(early.values.min()), float(early.values.max())
    )
    told = f"{number(early.values[0])} at {ends[0]:.0%} → {number(early.values[-1])} at {ends[1]:.0%}"
    yield from columns([[drawn, told]])
    yield f"  {early.conclusion}"


def _training(found: Inspection) -> Iterator[str]:
    curves = found.training
    if curves is None:
        return
    yield f"training: {curves.epochs[-1]:.3g} epochs, {curves.steps[-1]:,} updates"
    rows = []
    for name, (known, values) in curves.series.items():
        drawn = sparkline(curves.epochs[known] / curves.epochs[-1], values, float(values.min()), float(values.max()))
        rows.append([name, drawn, f"{number(values[0])} → {number(values[-1])}"])
    yield from columns(rows)
    yield f"  {curves.conclusion}"


def _recorded(found: Inspection) -> Iterator[str]:
    recorded = found.recorded_gradients
    if recorded is None:
        return
    yield f"gradients of the training: ‖∂L/∂h‖ at the begin of a window over that at its end, {_ends(recorded.steps)}"
    yield from columns([[name, *(number(over(norms[k])) for k in (0, -1))] for name, norms in recorded.norms.items()])


def _ends(steps: NDArray[np.int64]) -> str:
    """The first update that something was recorded of, and the last."""
    return f"update {steps[0]:,} and update {steps[-1]:,}"


def over(norms: NDArray[np.float64]) -> float:
    """The norm at the farthest step over that at the last one."""
    there = norms[~np.isnan(norms)]
    return float(there[-1] / there[0]) if len(there) and there[0] else math.nan


def _recorded_spectra(found: Inspection) -> Iterator[str]:
    recorded = found.recorded_spectra
    if recorded is None:
        return
    yield f"spectra during the training: largest singular value, {_ends(recorded.steps)}"
    yield from columns([[name, *(number(float(values[k])) for k in (0, -1))] for name, values in recorded.norm.items()])


def _gates(found: Inspection) -> Iterator[str]:
    if found.gates is None:
        return
    yield "gates: share of values under 0.1, over 0.9, mean"
    yield from columns(
        [
            [where(g.layer, g.direction), g.name, share(g.shut), share(g.open), f"{g.mean:.2f}"]
            for g in found.gates.gates
            if g.shut is not None
        ]
    )
    for letter in found.gates.letters:
        yield f"  {letter.equation}" + (f"  ({letter.meaning})" if letter.meaning else "")
    for kept in found.gates.kept:
        middle, long = half(kept)
        yield (
            f"  {where(kept.layer, kept.direction)}: by their gate half of the units keep {kept.state} for "
            f"{number(middle)} steps or more, a tenth for {number(long)} or more"
        )


def tested_by(found: Inspection) -> str:
    """How units were tested for what they track, in two sentences."""
    some = next(iter(found.tested.values()))
    return (
        f"Tested over {some.symbols:,} symbols: a unit is named where its |r| is above what the best of all "
        f"{some.units:,} reaches when the property is shifted against the text, but for {LEVEL:.0%} of the shifts, "
        f"divided by the {len(PROPERTIES)} properties (Bonferroni)."
    )


def tracked(prop: str, tested: Tested) -> str:
    """What was found of a property, as a sentence."""
    if not tested.beyond:
        return f"{PROPERTY[prop]}: no unit follows it beyond chance (|r| {tested.threshold:.2f})."
    s = "" if tested.beyond == 1 else "s"
    return (
        f"{PROPERTY[prop]}: {tested.beyond:,} unit{s} follow{'s' if tested.beyond == 1 else ''} it beyond chance (|r| "
        f"{tested.threshold:.2f}), the best with r = {tested.trackers[0].r:+.2f}: that is "
        f"{share(tested.trackers[0].r ** 2)} of its ups and downs."
    )


def _trackers(found: Inspection) -> Iterator[str]:
    if not found.tested:
        return
    yield "units that track"
    for prop, tested in found.tested.items():
        yield f"  {tracked(prop, tested)}"
        yield from columns(
            [
                ["", where(unit.layer, unit.direction), f"{unit.state} {unit.unit}", f"r = {unit.r:+.2f}"]
                for unit in tested.trackers
            ]
        )
    yield f"  {tested_by(found)}"


def _symbols(found: Inspection) -> Iterator[str]:
    if not found.next_symbols:
        return
    first = sum(place.rank == 0 for place in found.next_symbols) / len(found.next_symbols)
    yield f"next symbols: the likeliest was right at {share(first)} of the places; the greatest surprises"
    rare = sorted(found.next_symbols, key=lambda place: place.p)[:SURPRISES]
    yield from columns([[cut(p.symbol), number(p.p), f"expected {cut(p.alternatives[0][0])}"] for p in rare])


def _alignment(found: Inspection) -> Iterator[str]:
    if found.alignment is not None:
        a = found.alignment
        yield f"attention of the decoder: largest weight {a.largest:.2f} on average, entropy {a.entropy:.2f} nats"
        yield f"  {conclusions.of_alignment(a)}"


def _self_attention(found: Inspection) -> Iterator[str]:
    if found.self_attention:
        yield "self-attention: largest weight on average, entropy in nats"
        yield from columns(
            [
                [f"layer {s.layer}, head {s.head}", f"{s.map.largest:.2f}", f"{s.map.entropy:.2f}"]
                for s in found.self_attention
            ]
        )


def _spectra(found: Inspection) -> Iterator[str]:
    if found.spectra:
        yield "recurrent weights: largest singular value, spectral radius"
        yield from columns(
            [[f"{s.layers}.{s.weight}", s.gate, number(s.norm), number(s.radius)] for s in found.spectra]
        )


def sparkline(x: Series, values: Series, low: float, high: float) -> str:
    """Values as bars of eight heights from `low` to `high`, x from 0 to 1; a place without one has the one before."""
    at = np.clip((x * WIDE).astype(int), 0, WIDE - 1)
    out, former = [], " "
    for k in range(int(at.max()) + 1):
        here = values[at == k]
        if len(here):
            height = (float(here.mean()) - low) / (high - low) if high > low else 0.5
            former = BARS[min(len(BARS) - 1, int(height * len(BARS)))]
        out.append(former)
    return "".join(out)


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows with their cells below each other, moved in by two."""
    if not rows:
        return []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
