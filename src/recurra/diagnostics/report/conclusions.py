"""What is to be concluded from each thing that was looked at: a sentence from this run's own numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from recurra.diagnostics.attention import AttentionMap, SelfAttention
from recurra.diagnostics.decisions import Attribution
from recurra.diagnostics.gates import Gates, GateSeries, Keeping
from recurra.diagnostics.spectrum import Spectrum
from recurra.diagnostics.symbols import Place
from recurra.figures.shown import cut, number, share

SHARP = 2.0
"""Attention is sharp where its largest weight is so many times that of looking everywhere alike."""
LONG = 20
"""Steps beyond which a unit keeps long."""


def of_decisions(found: Attribution) -> str:
    """Of one answer its strongest symbol; of many how often it is the symbol itself, and the least sure."""
    tokens = found.tokens
    if len(found.decisions) == 1:
        (one,) = found.decisions
        if not (best := one.strongest(1)):
            return f"‘{cut(one.name, 40)}’ does not depend on any single symbol."
        (k,) = best
        without = min(1.0, one.p * math.exp(-one.occlusion[k]))
        return (
            f"‘{cut(one.name, 40)}’ has p = {number(one.p)}; ‘{cut(tokens[k])}’ counts most: without it the same "
            f"answer would have {number(without)}."
        )
    own = sum(one.strongest(1) == (one.step,) for one in found.decisions)
    least = min(found.decisions, key=lambda one: one.p)
    at = "" if least.step is None else f" at ‘{cut(tokens[least.step])}’"
    others = "" if own == len(found.decisions) else ", the others on another"
    return (
        f"{own} of {len(found.decisions)} depend most on the symbol they stand at{others}. The least sure is "
        f"‘{cut(least.name, 40)}’{at}, p = {number(least.p)}."
    )


def of_places(found: Sequence[Place]) -> str:
    """How well symbols were expected, and the greatest surprise."""
    first = sum(place.rank == 0 for place in found) / len(found)
    bits = float(np.mean([-math.log2(max(place.p, 1e-300)) for place in found]))
    rare = min(found, key=lambda place: place.p)
    return (
        f"The likeliest symbol was right at {share(first)} of {len(found):,} places; a symbol costs {bits:.2f} bits on "
        f"average. The greatest surprise is ‘{cut(rare.symbol)}’ (p = {number(rare.p)}, expected "
        f"‘{cut(rare.alternatives[0][0])}’)."
    )


def of_alignment(found: AttentionMap) -> str:
    """How sharply it looks, and whether in the source's order."""
    even = 1 / len(found.columns)
    sharp = "sharp" if found.largest > min(0.9, SHARP * even) else "spread out, little better than everywhere alike"
    moves = np.diff(found.weights.argmax(1))
    order = f". It goes on or stays at {share(float((moves >= 0).mean()))} of the steps" if len(moves) else ""
    what = "symbol"
    if found.regions is not None:
        what = "region"
        order = (
            f". It looks elsewhere than before at {share(float((moves != 0).mean()))} of the words"
            if len(moves)
            else ""
        )
    return (
        f"On average {share(found.largest)} of a row lies on one {what}, against {share(even)} if it looked everywhere "
        f"alike: the attention is {sharp}{order}."
    )


def of_gates(gated: Sequence[GateSeries], seen: Gates) -> str:
    """The gate that is most often open, the one most often shut, and what lies between."""
    meanings = {letter.name: letter.meaning.partition(",")[0] for letter in seen.letters}

    def called(gate: GateSeries) -> str:
        return f"the {meanings.get(gate.name) or 'gate'} {gate.name} of layer {gate.layer}, {gate.direction}"

    widest, shut = max(gated, key=lambda g: g.open or 0), max(gated, key=lambda g: g.shut or 0)
    middle = float(np.mean([1 - (g.open or 0) - (g.shut or 0) for g in gated]))
    return (
        f"Most often open is {called(widest)} ({share(widest.open)} of its values), most often shut {called(shut)} "
        f"({share(shut.shut)}); {share(middle)} of all values lie between and let a part through."
    )


def of_keeping(kept: Sequence[Keeping]) -> str:
    """The layer that keeps longest."""
    best = max(kept, key=lambda one: float(np.median(one.time_constants)))
    units = int((best.time_constants > LONG).sum())
    return (
        f"Layer {best.layer}, {best.direction}, keeps {best.state} longest: half of its units for "
        f"{number(float(np.median(best.time_constants)))} steps or more, {units:,} of {len(best.time_constants):,} for "
        f"over {LONG}."
    )


def of_heads(found: Sequence[SelfAttention]) -> str:
    """The sharpest head and where it looks."""
    best = max(found, key=lambda one: one.map.largest)
    T = len(best.map.rows)
    offsets, counts = np.unique(np.arange(T) - best.map.weights.argmax(1), return_counts=True)
    off = int(offsets[counts.argmax()])
    at = "itself" if off == 0 else f"the symbol {abs(off)} {'before' if off > 0 else 'after'} it"
    return (
        f"The sharpest is head {best.head} of layer {best.layer}, {share(best.map.largest)} on one symbol; "
        f"{share(float(counts.max()) / T)} of its symbols look most at {at}."
    )


def of_spectra(found: Sequence[Spectrum], gated: bool) -> str:
    """Of gates the one that depends most on h; of an Elman network whether its states shrink."""
    if gated:
        best = max(found, key=lambda s: s.norm if s.gate != "whole" else 0.0)
        return f"What depends most on h is {best.gate} in {best.layers}.{best.weight}: {number(best.norm)}."
    widest = max(found, key=lambda s: s.radius or 0.0)
    if widest.radius is None:
        return f"The largest singular value is {number(max(s.norm for s in found))}."
    end = "many steps shrink every state" if widest.radius < 1 else "many steps may keep or grow a state"
    return f"The largest spectral radius is {number(widest.radius)}: {end}."
