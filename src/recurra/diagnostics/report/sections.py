"""The parts of the page, each a function from what was found to pieces of HTML; none where there is nothing."""

from __future__ import annotations

import html
import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.diagnostics.attention import AttentionMap
from recurra.diagnostics.decisions import Decision
from recurra.diagnostics.gates import Keeping
from recurra.diagnostics.report import conclusions
from recurra.diagnostics.report.answered import agreement, canvas, earliness, misread, mutations, tree, tree_reach
from recurra.diagnostics.report.findings import CHANGING, Inspection
from recurra.diagnostics.report.pieces import lead, table
from recurra.diagnostics.report.summary import PROPERTY, decided_by, half, over, reach, tested_by, tracked, where
from recurra.diagnostics.tracking import Tracker
from recurra.equations.letters import Letter
from recurra.figures.charts import Line, bars, heat_map, line_chart, plane
from recurra.figures.looks import looks
from recurra.figures.shown import cut, escaped, number, share

EDGES = (1, 2, 5, 10, 20, 50, 100)
"""Steps at which the bars of time constants part."""
TRAININGS = 5
"""Updates of a training of which a line is drawn."""
UNSURE = 4
"""Answers that are drawn at once."""
LARGE = 680
"""How wide a large map is, where its symbols do not make it so."""
TOKENS, CELLS = 60, 60_000
"""Tokens on an axis of an attention map; cells of all maps of self-attention."""
PLANES = 24
FORMULA = 90
"""Characters of an equation."""
OF_A_STATE = (
    "The largest singular value times the slope of the activation is what one step can multiply a state by at most; "
    "where all eigenvalues lie inside the circle, many steps of slope 1 shrink it."
)
OF_A_GATE = (
    "These are the weights behind one gate each. What they do to a state goes through the gate's slope and stands "
    "beside what the cell keeps by itself, so a value above 1 does not mean that gradients explode: that, the gradient "
    "flow says. They tell how strongly a gate depends on h."
)


def attribution(found: Inspection) -> Iterator[str]:
    seen = found.attribution
    if seen is None:
        return
    yield lead(
        "A symbol is orange where it speaks for the answer: without its vector the answer's log-probability would be "
        "lower; blue where it would be higher.",
        conclusions.of_decisions(seen),
    )
    if len(seen.decisions) == 1:
        yield _decision(seen.tokens, seen.decisions[0])
    else:
        rows = [
            [
                "" if one.step is None else f"<bdi>{escaped(seen.tokens[one.step])}</bdi>",
                f"<strong><bdi>{escaped(cut(one.name, 40))}</bdi></strong>",
                number(one.p),
                f"<bdi>{html.escape(decided_by(seen.tokens, one))}</bdi>",
            ]
            for one in seen.decisions
        ]
        listed = table(["symbol", "answered", "p", "decided by, nats"], rows, raw=True)
        unsure = sorted(seen.decisions, key=lambda one: one.p)[:UNSURE]
        least = "".join(_decision(seen.tokens, one) for one in unsure)
        each = "".join(_decision(seen.tokens, one) for one in seen.decisions)
        beside = f"<h3>The least sure</h3>{least}<details><summary>each answer over the text</summary>{each}</details>"
        yield f'<div class="pair"><div>{listed}</div><div>{beside}</div></div>'
    for note in seen.notes:
        yield f'<p class="soft">{html.escape(note)}</p>'


def _decision(tokens: Sequence[str], one: Decision) -> str:
    """An answer, and the text coloured by what decided it; a symbol that was not taken away has no colour."""
    known = np.nan_to_num(one.occlusion)
    of = "" if one.step is None else f" at {escaped(cut(tokens[one.step]))}"
    titles = [
        f"gradient × input {slope:+.3f}, " + ("not taken away" if math.isnan(without) else f"occlusion {without:+.3f}")
        for slope, without in zip(one.gradient.tolist(), one.occlusion.tolist(), strict=True)
    ]
    title = f"<div><strong><bdi>{escaped(cut(one.name, 80))}</bdi></strong>{of}, p = {number(one.p)}</div>"
    return title + _coloured(tokens, known, titles)


def gradient_flow(found: Inspection) -> Iterator[str]:
    flow = found.gradient_flow
    if flow is None:
        return
    yield lead(
        "The lines show how much of the error of one step arrives so many steps before it. Where 1 % is left, the "
        "training no longer learns from what stood there.",
        *dict.fromkeys(f.advice for f in flow.main),
    )
    rows = [
        [
            where(f.layer, f.direction),
            reach(f),
            f'<span class="verdict {f.verdict.split()[0]}">{f.verdict}</span>',
            number(f.slope),
        ]
        for f in flow.main
    ]
    yield table(["", "horizon", "verdict", "slope of ln ‖·‖ per step"], rows, raw=True)
    yield from (f'<p class="soft">{html.escape(note)}</p>' for note in flow.notes)
    charts: dict[str, list[Line]] = defaultdict(list)
    for f in flow.flows:
        lines = charts[f.state]
        colour = len({line.colour for line in lines})
        lines.append(Line(where(f.layer, f.direction), f.mean, colour=colour))
        if f.bound is not None:
            lines.append(Line(f"bound, layer {f.layer}: (σ₁ γ)^lag", f.bound, dashed=True, colour=colour))
    drawn = (line_chart(lines, "lag, steps", f"‖∂L/∂{state}‖", log=True) for state, lines in charts.items())
    yield f'<div class="grid-of">{"".join(drawn)}</div>'


def training(found: Inspection) -> Iterator[str]:
    seen = found.training
    if seen is None:
        return
    yield lead("The loss in training, per target, and what was validated, by epochs.", seen.conclusion)
    drawn = (
        line_chart([Line("", values, seen.epochs[known])], "epochs", name)
        for name, (known, values) in seen.series.items()
    )
    yield f'<div class="grid-of">{"".join(drawn)}</div>'


def recorded_gradients(found: Inspection) -> Iterator[str]:
    recorded = found.recorded_gradients
    if recorded is None:
        return
    ends = [f"{name}: {number(over(norms[0]))} → {number(over(norms[-1]))}" for name, norms in recorded.norms.items()]
    yield lead(
        "What the training's own backward passes found, counted from the end of a window, at the first update, the "
        "last, and some between. L is the sum over the window, and every step adds an error of its own: the curve "
        "rises as far back as errors reach, and is level beyond.",
        f"The gradient at the begin of a window over that at its end, first and last update: {'; '.join(ends)}.",
    )
    chosen = sorted({round(k) for k in np.linspace(0, len(recorded.steps) - 1, TRAININGS)})
    drawn = [
        line_chart(
            [Line(f"update {recorded.steps[k]:,}", norms[k], colour=c) for c, k in enumerate(chosen)],
            "steps from the end",
            f"‖∂L/∂h‖, {name}",
            log=True,
        )
        for name, norms in recorded.norms.items()
    ]
    yield f'<div class="grid-of">{"".join(drawn)}</div>'


def gates(found: Inspection) -> Iterator[str]:
    seen = found.gates
    if seen is None:
        return
    gated = [g for g in seen.gates if g.shut is not None]
    if gated:
        yield lead(
            "A gate is a number from 0 to 1 by which something is multiplied: at 0 it is shut and nothing passes, at 1 "
            "all does. Under 0.1 and over 0.9 its slope is small, so that training moves it slowly there.",
            conclusions.of_gates(gated, seen),
        )
        rows = [[where(g.layer, g.direction), g.name, share(g.shut), share(g.open), f"{g.mean:.2f}"] for g in gated]
        yield table(["", "gate", "under 0.1", "over 0.9", "mean"], rows)
    if seen.letters:
        yield "<h3>The letters</h3>"
        yield table(["", "is", "equation; ′ marks the step before"], [_letter(each) for each in seen.letters], raw=True)
    if seen.kept:
        yield "<h3>Time constants</h3>"
        yield lead(
            "How many units keep how long: the steps after which 1/e of what a unit holds is left, by its own gate.",
            conclusions.of_keeping(seen.kept),
        )
        yield f'<div class="grid-of">{"".join(map(_time_constants, seen.kept))}</div>'
    if found.trackers:
        yield (
            "<h3>Units over the text</h3><p>The state of single units after each symbol, orange above 0, blue below. A "
            "unit that turns where something begins or ends keeps track of it.</p>"
        )
    if found.tested:
        yield f'<p class="soft">{html.escape(tested_by(found))}</p>'
    for name in (*found.tested, CHANGING):
        of = found.tested.get(name)
        title = f"Units that {PROPERTY[name]}" if of is None else tracked(name, of)
        yield f"<h3>{html.escape(title[0].upper() + title[1:])}</h3>"
        yield "".join(_trace(found.tokens, unit, of is not None) for unit in found.trackers.get(name, ()))


def _letter(one: Letter) -> list[str]:
    formula = one.equation if len(one.equation) <= FORMULA else one.equation[: FORMULA - 1] + "…"
    return [
        f"<strong>{html.escape(one.name)}</strong>",
        html.escape(one.meaning),
        f"<code>{html.escape(formula)}</code>",
    ]


def _time_constants(kept: Keeping) -> str:
    edges = np.array([-1.0, *EDGES, np.inf])
    counts = [int(((kept.time_constants > a) & (kept.time_constants <= b)).sum()) for a, b in itertools.pairwise(edges)]
    names = [f"≤ {EDGES[0]}", *(f"≤ {edge}" for edge in EDGES[1:]), f"> {EDGES[-1]}"]
    middle, _ = half(kept)
    up = f"units of {kept.state}, {where(kept.layer, kept.direction)}; median {number(middle)} steps"
    return bars(names, counts, "time constant, steps", up)


def _trace(tokens: Sequence[str], unit: Tracker, tracks: bool) -> str:
    title = f"{where(unit.layer, unit.direction)}, {unit.state}, unit {unit.unit}" + (
        f", r = {unit.r:+.2f}" if tracks else ""
    )
    coloured = _coloured(tokens, unit.values, [f"{value:+.3f}" for value in unit.values.tolist()])
    return f'<div class="soft">{title}</div>{coloured}'


def _coloured(tokens: Sequence[str], values: NDArray[Any], titles: Sequence[str]) -> str:
    """A text, each symbol coloured by its value, with a title when pointed at."""
    strongest = float(np.abs(values).max(initial=0.0)) or 1.0
    spans = []
    for token, value, title in zip(tokens, values.tolist(), titles, strict=True):
        kind, strength = "p" if value >= 0 else "m", abs(value) / strongest * 0.85
        spans.append(f'<bdi class="{kind}" style="--a:{strength:.2f}" title="{title}">{_running(token)}</bdi>')
    words = any(len(token) > 1 for token in tokens)
    between = "<wbr>" if words else ""
    return f'<div class="{"text words" if words else "text"}" dir="auto">{between.join(spans)}</div>'


def _running(token: str) -> str:
    """A symbol in running text: a space is one, a line end is seen and ends the line."""
    return " " if token == " " else escaped(token) + ("\n" if token == "\n" else "")


def next_symbols(found: Inspection) -> Iterator[str]:
    places = found.next_symbols
    if not places:
        return
    yield lead(
        "The stronger the colour, the less the symbol was expected. Point at one, or tap it, for what was expected "
        "instead.",
        conclusions.of_places(places),
    )
    spans = []
    for place in places:
        expected = "  ".join(f"{escaped(name)} {p:.2f}" for name, p in place.alternatives)
        surprise = min(1.0, -np.log2(max(place.p, 1e-9)) / 10) * 0.85
        title = f"{escaped(place.symbol)} p = {place.p:.3f} · {expected}"
        spans.append(f'<bdi class="p" style="--a:{surprise:.2f}" title="{title}">{_running(place.symbol)}</bdi>')
    words = any(len(place.symbol) > 1 for place in places)
    joined = ("<wbr>" if words else "").join(spans)
    yield f'<div class="text{" words" if words else ""}" dir="auto">{joined}</div>'
    most = max(len(place.alternatives) for place in places)
    rows = [
        [
            str(k),
            f"<bdi>{escaped(place.symbol)}</bdi>",
            number(place.p),
            str(place.rank + 1),
            *(f"<bdi>{escaped(name)}</bdi> {p:.2f}" for name, p in place.alternatives),
        ]
        for k, place in enumerate(places, 1)
    ]
    head = ["", "symbol", "p", "rank", *(f"{k}." for k in range(1, most + 1))]
    yield f"<details><summary>as a table</summary>{table(head, rows, raw=True)}</details>"


def alignment(found: Inspection) -> Iterator[str]:
    if found.alignment is None:
        return
    one = found.alignment
    if one.regions is not None and one.picture is not None:
        yield from _looks(one, one.picture, one.regions)
        return
    by = "The target is the model's own." if one.own_answer else "The target is the one given."
    yield lead(
        "Each row is a symbol that is written, each column one that is read; the darker a cell, the more is looked "
        f"there. A row sums to 1. {by}",
        conclusions.of_alignment(one),
    )
    drawn = _map(one, "Attention of the decoder", large=True)
    drawn += f'<p class="soft">Largest weight {one.largest:.2f} on average, entropy {one.entropy:.2f} nats.</p>'
    best = one.weights.argmax(1)
    rows = [
        [f"<bdi>{escaped(row)}</bdi>", f"<bdi>{escaped(one.columns[c])}</bdi>", f"{one.weights[r, c]:.2f}"]
        for r, (row, c) in enumerate(zip(one.rows, best.tolist(), strict=True))
    ]
    listed = table(["written", "looks most at", "weight"], rows, raw=True)
    yield f'<div class="pair"><div>{drawn}</div><details open><summary>as a table</summary>{listed}</details></div>'


def _looks(one: AttentionMap, picture: NDArray[np.uint8], regions: tuple[int, int]) -> Iterator[str]:
    yield lead(
        "The picture as it is read, and once for each word that is written about it: the darker a region, the less the "
        "word looks there. The caption is the model's own, the likeliest word at every step.",
        conclusions.of_alignment(one),
    )
    yield f'<div class="wide" tabindex="0">{looks(picture, one.rows, one.weights, regions, " ".join(one.rows))}</div>'
    yield f'<p class="soft">Largest weight {one.largest:.2f} on average, entropy {one.entropy:.2f} nats.</p>'


def self_attention(found: Inspection) -> Iterator[str]:
    if not found.self_attention:
        return
    maps = found.self_attention
    yield lead(
        "Each row's token looks at each column's; a row sums to 1. Stronger is more, in tenths.",
        conclusions.of_heads(maps),
    )
    rows = [[str(s.layer), str(s.head), f"{s.map.largest:.2f}", f"{s.map.entropy:.2f}"] for s in maps]
    yield table(["layer", "head", "largest weight", "entropy, nats"], rows)
    side = min(TOKENS, len(maps[0].map.rows))
    fit = max(1, CELLS // (side * side))
    for one in maps[:fit]:
        yield f"<details{' open' if one.head == 1 else ''}><summary>layer {one.layer}, head {one.head}</summary>"
        yield _map(one.map, f"Self-attention of layer {one.layer}, head {one.head}", titled=False) + "</details>"
    if len(maps) > fit:
        yield f'<p class="soft">The first {fit} of {len(maps)} heads are drawn.</p>'


def _map(one: AttentionMap, named: str, titled: bool = True, large: bool = False) -> str:
    weights = one.weights[:TOKENS, :TOKENS]
    drawn = heat_map(one.rows[:TOKENS], one.columns[:TOKENS], weights, named, titled, LARGE if large else 0)
    rest = max(len(one.rows), len(one.columns)) - TOKENS
    return drawn + (f'<p class="soft">The first {TOKENS} tokens are drawn.</p>' if rest > 0 else "")


def spectra(found: Inspection) -> Iterator[str]:
    if not found.spectra:
        return
    gated = found.gates is not None and any(gate.shut is not None for gate in found.gates.gates)
    yield lead(OF_A_GATE if gated else OF_A_STATE, conclusions.of_spectra(found.spectra, gated))
    rows = [[f"{s.layers}.{s.weight}", s.gate, number(s.norm), number(s.radius)] for s in found.spectra]
    yield table(["weight", "gate", "largest singular value", "spectral radius"], rows)
    square = [s for s in found.spectra if len(s.eigenvalues)]
    drawn = "".join(
        plane(s.eigenvalues, f"{s.layers.split('.')[0]}, {s.weight.removeprefix('weight_')}, {s.gate}")
        for s in square[:PLANES]
    )
    yield f'<h3>Eigenvalues and the unit circle</h3><div class="small-ones">{drawn}</div>'
    if len(square) > PLANES:
        yield f'<p class="soft">The first {PLANES} of {len(square)} are drawn.</p>'


def recorded_spectra(found: Inspection) -> Iterator[str]:
    recorded = found.recorded_spectra
    if recorded is None:
        return
    ends = [f"{name}: {number(v[0])} → {number(v[-1])}" for name, v in recorded.norm.items()]
    yield lead(
        "How the recurrent weights grew or shrank, at every validation of the training.",
        f"The largest singular values, at the first and at the last: {'; '.join(ends)}.",
    )
    drawn = []
    for what, series in (("largest singular value", recorded.norm), ("spectral radius", recorded.radius)):
        weights: dict[str, list[Line]] = defaultdict(list)
        for name, values in series.items():
            weight, _, gate = name.rpartition(" ")
            weights[weight].append(Line(gate, values, recorded.steps.astype(float), colour=len(weights[weight])))
        drawn += [line_chart(lines, "updates", f"{what}, {weight}") for weight, lines in weights.items()]
    yield f'<div class="grid-of">{"".join(drawn)}</div>'


SECTIONS: dict[str, Callable[[Inspection], Iterator[str]]] = {
    "tree": tree,
    "tree_reach": tree_reach,
    "canvas": canvas,
    "mutations": mutations,
    "attribution": attribution,
    "agreement": agreement,
    "misread": misread,
    "earliness": earliness,
    "gradient_flow": gradient_flow,
    "training": training,
    "recorded_gradients": recorded_gradients,
    "gates": gates,
    "next_symbols": next_symbols,
    "alignment": alignment,
    "self_attention": self_attention,
    "spectra": spectra,
    "recorded_spectra": recorded_spectra,
}


def ordered(found: Inspection) -> list[str]:
    """The parts, what answers the first question at the beginning: where something is written or read on, how it looks
    at its source, what was expected and how far gradients reach; else what decided the answers."""
    whole = ["canvas", "tree", "tree_reach", "mutations", "attribution"]
    first = ["alignment", "next_symbols", "gradient_flow"] if found.next_symbols else whole
    return [*first, *(key for key in SECTIONS if key not in first)]
