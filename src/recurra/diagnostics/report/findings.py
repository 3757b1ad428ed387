"""All diagnostics of one model over one text; what does not apply to it is a sentence instead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from recurra.diagnostics.agreement import Agreement, agreement, says_a_number
from recurra.diagnostics.attention import AttentionMap, SelfAttention, alignment, self_attention
from recurra.diagnostics.canvas import Canvas, canvas, draws_in_steps
from recurra.diagnostics.curves import Curves, curves
from recurra.diagnostics.decisions import Attribution, attribution
from recurra.diagnostics.earliness import Earliness, earliness
from recurra.diagnostics.gates import Gates, gates, states_over
from recurra.diagnostics.gradients import GradientFlow, gradient_flow
from recurra.diagnostics.misread import Misread, misread, writes_transcripts
from recurra.diagnostics.mutations import Mutations, is_of_bases, mutations
from recurra.diagnostics.plain import plain
from recurra.diagnostics.properties import PROPERTIES
from recurra.diagnostics.reading import Given, read
from recurra.diagnostics.recorded import RecordedGradients, RecordedSpectra, recorded_gradients, recorded_spectra
from recurra.diagnostics.spectrum import Spectrum, spectra
from recurra.diagnostics.symbols import Place, next_symbols
from recurra.diagnostics.tracking import Tested, Tracker, beyond_chance
from recurra.diagnostics.trees import LabelledTree, TreeReach, labelled_tree, tree_reach
from recurra.errors import DataError, RecurraError
from recurra.model import Model
from recurra.progress import stage
from recurra.tasks.contract import ReadsTrees
from recurra.tasks.writing import Starts
from recurra.types import Example

Found = TypeVar("Found")
UNITS = 3
"""Units that are shown for each property, and of those that change most."""
ENOUGH = 500
"""Symbols below which units that track something are not looked for."""
OF_SOME = ("mutations", "tree", "tree_reach", "canvas")
"""What is of some inputs only."""
CHANGING = "changing"
"""The name, beside those of the properties, of the units that change most."""


@dataclass(frozen=True, eq=False)
class Inspection:
    """What was found in a model; None or empty what does not apply to it."""

    name: str
    """Of the run."""
    about: str
    """The model in a few words."""
    origin: str
    """Where the text comes from."""
    tokens: tuple[str, ...]
    unknown: int
    """How many of them the vocabulary does not hold."""
    attribution: Attribution | None
    """What decided the model's own answers to the text."""
    agreement: tuple[Agreement, ...]
    """Numbers that are said of held-out sequences beside the true ones, by scale."""
    misread: tuple[Misread, ...]
    """The held-out transcripts that are furthest from the truth."""
    earliness: Earliness | None
    """How early it can say what a sequence is."""
    gradient_flow: GradientFlow | None
    training: Curves | None
    """How the training went."""
    recorded_gradients: RecordedGradients | None
    gates: Gates | None
    trackers: dict[str, tuple[Tracker, ...]]
    """Property → the units that follow it best, of those that do beyond chance; `changing` → those that change most,
    their r 0. Their values are those over `tokens`."""
    tested: dict[str, Tested]
    """Property → what was found of it over more text."""
    next_symbols: tuple[Place, ...]
    alignment: AttentionMap | None
    self_attention: tuple[SelfAttention, ...]
    spectra: tuple[Spectrum, ...]
    recorded_spectra: RecordedSpectra | None
    left_out: dict[str, str]
    """What of these is not there → why, and what to do for it."""
    mutations: Mutations | None = None
    """What becomes of the answer when a base is another; of models that label sequences of bases."""
    tree: LabelledTree | None = None
    """What is said of every node; of models that read trees."""
    tree_reach: TreeReach | None = None
    """How far the error at the root of a tree reaches down."""
    canvas: Canvas | None = None
    """How the input is drawn again; of models that draw."""

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values; the values of all units at all steps are left out, and so is what is for some
        inputs only where it is none of them."""
        found = {field.name: _json(getattr(self, field.name)) for field in fields(self)}
        return {name: value for name, value in found.items() if value is not None or name not in OF_SOME}


def inspect_model(
    model: Model,
    text: Given,
    *,
    run: str | Path | None = None,
    name: str = "model",
    about: str = "",
    origin: str = "",
    more: Sequence[Given] = (),
    labelled: Sequence[Example] = (),
) -> Inspection:
    """Look at a model from all sides while it reads a text. `run`: the folder that holds what training recorded;
    `more`: texts over which units are tested for what they track, instead of that one; `labelled`: examples that
    it is asked about, whole and their beginnings.

    `text`: as `gradient_flow` takes it. Raises `DataError` for a text without a token.
    """
    reading, left_out = read(model, text, by_step=False), _not_looked_into(model)
    unknown = getattr(model.codecs["input"], "unknown", None)
    trees = isinstance(model.task, ReadsTrees)

    def tried(key: str, look: Callable[[], Found], none: Found) -> Found:
        try:
            with stage(f"looking at {key.replace('_', ' ')}"):
                return look()
        except RecurraError as error:
            left_out[key] = str(error)
            return none

    seen = tried("gates", lambda: gates(model, text), None)
    empty: Any = ()
    found = Inspection(
        name=name,
        about=about,
        origin=origin,
        tokens=reading.tokens,
        unknown=int((reading.encoded["input"] == unknown).sum()) if unknown is not None else 0,
        attribution=tried("attribution", lambda: attribution(model, text), None),
        agreement=tried("agreement", lambda: agreement(model, labelled), empty) if says_a_number(model) else (),
        misread=tried("misread", lambda: misread(model, labelled), empty) if writes_transcripts(model) else (),
        earliness=tried("earliness", lambda: earliness(model, labelled), None),
        gradient_flow=tried("gradient_flow", lambda: gradient_flow(model, text), None),
        training=tried("training", lambda: curves(_folder(run)), None),
        recorded_gradients=tried("recorded_gradients", lambda: recorded_gradients(_folder(run)), None),
        gates=seen,
        trackers={},
        tested={},
        next_symbols=tried("next_symbols", lambda: next_symbols(model, text), empty),
        alignment=tried("alignment", lambda: alignment(model, text), None),
        self_attention=tried("self_attention", lambda: self_attention(model, text), empty),
        spectra=tried("spectra", lambda: spectra(model), empty),
        recorded_spectra=tried("recorded_spectra", lambda: recorded_spectra(_folder(run)), None),
        left_out=left_out,
        mutations=tried("mutations", lambda: mutations(model, text), None) if is_of_bases(model) else None,
        tree=tried("tree", lambda: labelled_tree(model, text), None) if trees else None,
        tree_reach=tried("tree_reach", lambda: tree_reach(model, text, labelled), None) if trees else None,
        canvas=tried("canvas", lambda: canvas(model, text, labelled), None) if draws_in_steps(model) else None,
    )
    if seen is None:
        return found
    tested = _tested(model, seen, more or (text,), tried)
    shown = {prop: tuple(_over_text(seen, unit) for unit in of.trackers) for prop, of in tested.items()}
    trackers = {**shown, CHANGING: most_changing(seen)}
    return replace(found, tested=tested, trackers={prop: units for prop, units in trackers.items() if units})


def _folder(run: str | Path | None) -> str | Path:
    """Where what training recorded lies."""
    if run is None:
        raise DataError("the model was given without a folder of its training. Name it: run=…")
    return run


def _not_looked_into(model: Model) -> dict[str, str]:
    """What a model has and nothing here looks at."""
    if not isinstance(model.task, Starts):
        return {}
    return {
        "Gates and gradients of the decoder": "those above are of what reads the source. Of the decoder its attention, "
        "its weights' spectra and what it expected are looked at."
    }


def _tested(
    model: Model, seen: Gates, texts: Sequence[Given], tried: Callable[[str, Callable[[], Any], Any], Any]
) -> dict[str, Tested]:
    """Each property against the units, over all the texts."""
    with stage("reading more text"):
        tokens, states = states_over(model, texts)
    count = sum(map(len, tokens))
    if count < ENOUGH:
        tried("units that track", partial(_too_few, count), None)
        return {}
    found = {}
    for prop, measure in PROPERTIES.items():
        wanted = np.concatenate([measure(each) for each in tokens])
        look = partial(beyond_chance, states, wanted, properties=len(PROPERTIES), count=UNITS)
        if (tested := tried(f"units that track {prop}", look, None)) is not None:
            found[prop] = tested
    return found


def _over_text(seen: Gates, unit: Tracker) -> Tracker:
    """A unit with its values over the text that is looked at."""
    return replace(unit, values=seen.find(unit.state, unit.layer, unit.direction).values[:, unit.unit])


def _too_few(count: int) -> None:
    raise DataError(
        f"{count} symbols are too few to tell what a unit follows from chance. Give a text of {ENOUGH} or more."
    )


def most_changing(seen: Gates, count: int = UNITS) -> tuple[Tracker, ...]:
    """Units of h whose state changes most over the text, by its standard deviation."""
    first = seen.states[0].name
    ranked = [
        (float(spread[unit]), one, int(unit))
        for one in seen.states
        if one.name == first
        for spread in [one.values.std(0)]
        for unit in np.argsort(-spread)[:count]
    ]
    ranked.sort(key=lambda each: -each[0])
    return tuple(
        Tracker(one.layer, one.direction, one.name, unit, 0.0, one.values[:, unit]) for _, one, unit in ranked[:count]
    )


def _json(value: Any) -> Any:
    if hasattr(value, "as_json"):
        return value.as_json()
    if isinstance(value, tuple):
        return [_json(inner) for inner in value]
    if isinstance(value, dict):
        return {key: _json(inner) for key, inner in value.items()}
    return plain(value)
