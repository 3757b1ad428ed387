"""What a curve of gradient norms says: how fast it falls or grows, how far it reaches, and what to do about it."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Verdict = Literal["vanishes", "holds", "explodes", "too short", "direct", "never arrives"]
"""`too short`: it falls or grows, and the text ends before it has gone far enough to say where to. `direct`: the loss
sees every step's state itself, by pooling or attention; it need not go through time."""
Curve = NDArray[np.float64]

LEFT = 0.01
"""The share of a gradient below which it counts as gone."""
GROWN = 10.0
"""The factor by which a gradient must grow over the lags measured to count as exploding."""
SHORT = 50
"""Lags up to which more may be worth a look."""
STEADY = 0.02
"""The most that the logarithm of a norm may change a step where it counts as held: half or twice in 35 steps, 1 % left
after 230."""


def geometric_mean(norms: Curve) -> Curve:
    """Of curves [N, L] lag by lag; zeros are left out, and where there are only zeros it is 0."""
    positive = norms > 0
    logs = np.log(np.where(positive, norms, 1.0))
    count = positive.sum(0)
    return np.where(count > 0, np.exp(logs.sum(0) / np.maximum(count, 1)), 0.0)


def begin(curve: Curve) -> int | None:
    """The first lag at which there is any gradient; None: at none."""
    found = np.flatnonzero(curve > 0)
    return int(found[0]) if len(found) else None


def slope(curve: Curve) -> float:
    """Of the logarithm of the norm by lag, by least squares over the lags with any; nan with fewer than two."""
    lags = np.flatnonzero(curve > 0)
    if len(lags) < 2:
        return math.nan
    return float(np.polyfit(lags - lags.mean(), np.log(curve[lags]), 1)[0])


def horizon(curve: Curve) -> int | None:
    """The lag from which on less than 1 % of the gradient's first norm is left; None: it is farther than was measured,
    or there is no gradient."""
    first = begin(curve)
    if first is None:
        return None
    there = np.flatnonzero(curve >= LEFT * curve[first])
    farthest = int(there[-1])
    return farthest + 1 if farthest + 1 < len(curve) else None


def verdict(curve: Curve, recurrent: bool = True, direct: bool = False) -> Verdict:
    """One word for a curve: whether it falls to 1 % sooner than what is steady, or grows tenfold and faster than it.
    What does neither within the lags measured, but is not steady either, is too short to say.

    `direct`: the loss sees all steps itself. Without recurrence nothing is multiplied again and again, so nothing
    explodes.
    """
    if begin(curve) is None:
        return "never arrives"
    if direct:
        return "direct"
    fall, lags = slope(curve), int((curve > 0).sum()) - 1
    if recurrent and fall > STEADY and fall * lags >= math.log(GROWN):
        return "explodes"
    reach = horizon(curve)
    if reach is not None:
        return "vanishes" if STEADY * reach < -math.log(LEFT) else "holds"
    return "holds" if abs(fall) <= STEADY or not (recurrent or fall < 0) else "too short"


def advice(found: Verdict, curve: Curve, recurrent: bool, plain: bool, in_pieces: bool = False) -> str:
    """A sentence on what a verdict means and what to try. `plain`: the cell has no gates; `in_pieces`: it was trained
    on stretches of a length that can be set."""
    reach = horizon(curve)
    if found == "never arrives":
        return "No gradient arrives here: nothing later reads this state but the step itself."
    if found == "direct":
        return "The loss sees every step by itself, by pooling or attention: its gradient need not go through time."
    if found == "holds" and reach is not None:
        return f"1 % of an error is left {reach} steps back, and it falls slowly: nothing to mend."
    if found == "holds":
        more = ": nothing to mend." if len(curve) > SHORT else ". A longer text would show how much farther."
        return f"An error still reaches what happened {len(curve) - 1} steps before it{more}"
    if found == "too short":
        pace, lags = slope(curve), len(curve) - 1
        steps = f"{lags} step{'' if lags == 1 else 's'}"
        if math.isnan(pace):
            return "There is one step to be seen. Give a longer text."
        if pace > 0:
            return (
                f"The gradient grows by {math.expm1(pace):.0%} with every step back, over {steps}. Give a longer text."
            )
        ahead = max(lags + 1, math.ceil(math.log(LEFT) / pace))
        return (
            f"The gradient falls by {-math.expm1(pace):.0%} a step back, and the text ends after {steps}: if it goes "
            f"on like this, 1 % is left {ahead} steps back. Give a longer text."
        )
    if found == "explodes":
        return (
            f"The gradient grows by {math.expm1(slope(curve)):.0%} with every step back. Keep training.clip_norm at 1 "
            "or below and try a lower training.learning_rate"
            + ("; or a gated cell, core.cell = lstm or gru." if plain else ".")
        )
    seen = f"1 % of an error is left {reach} step{'' if reach == 1 else 's'} back"
    if not recurrent:
        return f"{seen}: what lies farther is not learnt from. More layers, or a wider span, would reach farther."
    if plain:
        return (
            f"{seen}: what lies farther is hardly learnt from. Try a cell with gates, core.cell = lstm or gru, or "
            "irnn, whose W_hh starts as the identity."
        )
    longer = "train on longer stretches (batching.steps), " if in_pieces else ""
    return (
        f"{seen}: what lies farther is hardly learnt from. If the task needs more, {longer}try core.cell = "
        "layer-norm-lstm, or attention."
    )
