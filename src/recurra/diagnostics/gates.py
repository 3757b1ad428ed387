"""What the gates of a recurrent core do while it reads a text: their values, how often they are shut or open, and how
long each unit keeps what it holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurra.diagnostics.plain import plain
from recurra.diagnostics.reading import Given, frozen_copy, read
from recurra.engine import Trace
from recurra.equations.gates import KEPT, activations
from recurra.equations.letters import Letter, letters
from recurra.errors import ConfigError, DataError, did_you_mean
from recurra.model import Model
from recurra.nn.watch import LayerTrace, Watched

Values = NDArray[np.float32]
SHUT, OPEN = 0.1, 0.9
"""Below and above these a gate counts as saturated."""


@dataclass(frozen=True, eq=False)
class Series:
    """One quantity of one layer in one direction, at every step of the text, from left to right in both directions."""

    layer: int
    """From 1, the lowest."""
    direction: str
    """"forwards" or "backwards"."""
    name: str
    values: Values
    """[T, H]."""


@dataclass(frozen=True, eq=False)
class GateSeries(Series):
    """An activation of the cell's equations."""

    function: str
    """sigmoid, tanh, …"""
    mean: float
    shut: float | None
    """Share of its values under 0.1, over steps and units; None for what is no gate from 0 to 1."""
    open: float | None
    """Share over 0.9."""


@dataclass(frozen=True, eq=False)
class Keeping:
    """How long the units of one state of one layer keep what they hold."""

    layer: int
    direction: str
    state: str
    share: NDArray[np.float64]
    """[H]: f, the share of the old value that goes straight into the new one, of an LSTM's c the forget gate: the
    geometric mean over the text, since what is left after several steps is their product."""
    time_constants: NDArray[np.float64]
    """[H] steps: −1 / ln f, after which 1/e is left; infinite where all is kept, 0 where nothing is."""


@dataclass(frozen=True, eq=False)
class Gates:
    """The inside of a core while it reads a text."""

    tokens: tuple[str, ...]
    gates: tuple[GateSeries, ...]
    states: tuple[Series, ...]
    kept: tuple[Keeping, ...]
    """Of the states that are kept unit by unit; an Elman network has none."""
    letters: tuple[Letter, ...] = ()
    """What the names of gates and states stand for."""

    def find(self, name: str, layer: int = 1, direction: str = "forwards") -> Series:
        """The gate or state of this name in this layer and direction. Raises `ConfigError` for one there is not."""
        all_ = (*self.gates, *self.states)
        for one in all_:
            if (one.name, one.layer, one.direction) == (name, layer, direction):
                return one
        names = list(dict.fromkeys(one.name for one in all_))
        top = max(one.layer for one in all_)
        ways = " and ".join(dict.fromkeys(one.direction for one in all_))
        raise ConfigError(
            f"no {name!r} in layer {layer}, {direction}{did_you_mean(name, names)} There are {', '.join(names)} in "
            f"layers 1 to {top}, {ways}."
        )

    def as_json(self) -> dict[str, Any]:
        """Tokens, saturation and time constants as JSON values; the values of all units at all steps are left out."""
        return {
            "tokens": list(self.tokens),
            "gates": [
                {
                    "layer": one.layer,
                    "direction": one.direction,
                    "name": one.name,
                    "function": one.function,
                    "mean": one.mean,
                    "shut": one.shut,
                    "open": one.open,
                }
                for one in self.gates
            ],
            "kept": plain(self.kept),
            "letters": plain(self.letters),
        }


def gates(model: Model, text: Given) -> Gates:
    """Let a copy of a model's core read a text and note every activation that its cell's equations have.

    Raises `ConfigError` for a core without recurrent layers.
    """
    reading, parts = read(model, text), frozen_copy(model)
    trace: list[Trace | LayerTrace] = []
    watched = Watched(parts.core, trace=trace)
    batch = reading.batch()
    with torch.no_grad():
        watched(*parts.embedder(batch))
    return observed(reading.tokens, trace)


def observed(tokens: tuple[str, ...], trace: list[Trace | LayerTrace]) -> Gates:
    """What a forward pass of one sequence left in `trace`. Raises `ConfigError` where no layer was recurrent."""
    found: list[GateSeries] = []
    states: list[Series] = []
    kept: list[Keeping] = []
    for one in trace:
        if isinstance(one, LayerTrace):
            raise ConfigError(
                "this core has no gates: its layers are not recurrent. Look at its gradient flow, and at its "
                "attention where it has some; or train with core.kind = recurrent."
            )
        layer, direction = one.layer + 1, "backwards" if one.reverse else "forwards"
        for each in activations(one.cell):
            values = _series(one, one.whole(each.name))
            saturated = ((values < SHUT).mean(), (values > OPEN).mean()) if each.gate else (None, None)
            shut, wide = (None if share is None else float(share) for share in saturated)
            found.append(
                GateSeries(layer, direction, each.name, values, each.function, float(values.mean()), shut, wide)
            )
        for state in one.cell.state:
            states.append(Series(layer, direction, state, _series(one, one.state(state))))
            if KEPT + state in one.wanted:
                units = states[-1].values.shape[1]
                share = np.broadcast_to(geometric(_series(one, one.whole(KEPT + state))), units)
                kept.append(Keeping(layer, direction, state, share, time_constants(share)))
    cells = dict.fromkeys(one.cell for one in trace if isinstance(one, Trace))
    named = {letter.name: letter for cell in cells for letter in letters(cell)}
    return Gates(tokens, tuple(found), tuple(states), tuple(kept), tuple(named.values()))


def states_over(model: Model, texts: Iterable[Given]) -> tuple[tuple[tuple[str, ...], ...], tuple[Series, ...]]:
    """The tokens of each of several texts, and the states of the core over all of them, one after the other; each
    begins from a fresh state.

    Raises `ConfigError` for a core without recurrent layers, `DataError` where there is no text.
    """
    parts = frozen_copy(model)
    tokens: list[tuple[str, ...]] = []
    pieces: list[list[Series]] = []
    for text in texts:
        reading = read(model, text)
        trace: list[Trace | LayerTrace] = []
        batch = reading.batch()
        with torch.no_grad():
            Watched(parts.core, trace=trace)(*parts.embedder(batch))
        if any(isinstance(one, LayerTrace) for one in trace):
            raise ConfigError("this core has no recurrent units.")
        tokens.append(reading.tokens)
        pieces.append([one for each in trace if isinstance(each, Trace) for one in _states(each)])
    if not pieces:
        raise DataError("there is no text whose states could be looked at. Give one.")
    whole = tuple(
        replace(same[0], values=np.concatenate([one.values for one in same])) for same in zip(*pieces, strict=True)
    )
    return tuple(tokens), whole


def _states(one: Trace) -> Iterator[Series]:
    for state in one.cell.state:
        direction = "backwards" if one.reverse else "forwards"
        yield Series(one.layer + 1, direction, state, _series(one, one.state(state)))


def geometric(values: Values) -> NDArray[np.float64]:
    """The geometric mean over steps [T, H] → [H]; 0 where any is 0 or below."""
    positive = np.clip(values.astype(np.float64), 0.0, None)
    with np.errstate(divide="ignore"):
        return np.exp(np.log(positive).mean(0))


def time_constants(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """−1 / ln f, in steps: a memory that is multiplied by f at every step falls to 1/e of itself in that time."""
    with np.errstate(divide="ignore", over="ignore"):
        found = -1 / np.log(np.clip(share, 0.0, 1.0))
    return np.where(share >= 1, np.inf, np.where(share <= 0, 0.0, found))


def _series(one: Trace, rows: Tensor) -> Values:
    """Packed rows [T, ·] of one sequence, from the text's begin."""
    values = rows.detach().float().cpu().numpy()
    return np.ascontiguousarray(values[::-1]) if one.reverse else values
