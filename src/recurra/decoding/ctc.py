"""Connectionist temporal classification: from what is said of every frame to symbols, and from symbols to frames.

At each of T frames there is a distribution over V symbols and the blank. A path takes one of them a frame; its symbols
are what is left when neighbours that are alike become one and the blanks are gone: B(a a - a b b) = a a b. The
probability of symbols is that of all their paths together. Everything here is numpy on one sequence.

Source: Graves et al. 2006, Connectionist temporal classification; Hannun et al. 2014, First-pass large vocabulary
continuous speech recognition using bi-directional recurrent DNNs, for the beam over prefixes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from recurra.decoding.arrays import Floats
from recurra.errors import DataError

NEVER = -np.inf
UNLIKELY = -9.0
"""Symbols of a lower log-probability at a frame are not tried there by a beam: one in 8,000."""


class Scorer(Protocol):
    """What a search knows of symbols besides what is said of the frames: a language model, a list of words."""

    def start(self) -> Any:
        """The state before any symbol."""

    def extend(self, state: Any, symbol: int) -> tuple[float, Any]:
        """What a symbol adds to the score, in nats, −∞ where it is ruled out; and the state behind it."""

    def end(self, state: Any) -> float:
        """What it adds that nothing follows."""


@dataclass(frozen=True)
class Prefix:
    """Symbols that were found."""

    symbols: tuple[int, ...]
    log_p: float
    """Natural logarithm of their probability, over the paths that were kept."""
    score: float
    """What they are ranked by: with what a scorer adds."""


@dataclass(frozen=True)
class Place:
    """The frames of a symbol on the likeliest path: `begin` is the first, `end` the one behind the last."""

    begin: int
    end: int
    p: float
    """The probability of the symbol at the frame that is surest of it."""


def collapsed(path: Sequence[int], blank: int) -> list[int]:
    """The symbols of a path."""
    found, before = [], blank
    for symbol in path:
        if symbol not in (blank, before):
            found.append(int(symbol))
        before = symbol
    return found


def frames_needed(symbols: Sequence[int]) -> int:
    """The fewest frames that have a path of these symbols: one each, and a blank between two that are alike."""
    return len(symbols) + sum(a == b for a, b in pairwise(symbols))


def likeliest_path(log_p: Floats, blank: int) -> Prefix:
    """The symbols of the likeliest path, of log-probabilities [T, V + 1]; log_p is that of all their paths."""
    symbols = tuple(collapsed(log_p.argmax(1).tolist(), blank))
    total = log_probability(log_p, symbols, blank)
    return Prefix(symbols, total, total)


def prefix_beam(
    log_p: Floats, blank: int, beam: int, scorer: Scorer | None = None, least: float = NEVER
) -> list[Prefix]:
    """The likeliest symbols, the best first, `beam` of them at most, of log-probabilities [T, V + 1].

    After each frame the `beam` prefixes of the highest score are kept, each with the probability of its paths that end
    in a blank, p_b, and of those that do not, p_n:

        p_b'(l) = (p_b(l) + p_n(l)) y(blank)
        p_n'(l) = p_n(l) y(last of l) + (p_b(k) + [last of k ≠ c] p_n(k)) y(c),    l = k c.

    A symbol is added only where its log-probability at the frame is above `least`. With beam and `least` wide enough
    the probabilities are those of all paths.
    """
    scorer_start = scorer.start() if scorer is not None else None
    kept: dict[tuple[int, ...], list[float]] = {(): [0.0, NEVER]}  # prefix → log p_b, log p_n
    known: dict[tuple[int, ...], tuple[float, Any]] = {(): (0.0, scorer_start)}
    for row in log_p:
        blank_p = float(row[blank])
        symbols = np.flatnonzero(row > least)
        candidates = [(int(c), float(row[c])) for c in symbols if c != blank]
        found: dict[tuple[int, ...], list[float]] = {}
        for prefix, (p_b, p_n) in kept.items():
            total = _sum(p_b, p_n)
            own = found.setdefault(prefix, [NEVER, NEVER])
            own[0] = _sum(own[0], total + blank_p)
            last = prefix[-1] if prefix else None
            if last is not None:
                own[1] = _sum(own[1], p_n + float(row[last]))
            for symbol, p in candidates:
                before = p_b if symbol == last else total
                if before == NEVER:
                    continue
                longer = (*prefix, symbol)
                if longer not in known:
                    added, state = 0.0, None
                    if scorer is not None:
                        so_far, old = known[prefix]
                        gain, state = scorer.extend(old, symbol)
                        added = so_far + gain
                    known[longer] = (added, state)
                if known[longer][0] == NEVER:
                    continue
                other = found.setdefault(longer, [NEVER, NEVER])
                other[1] = _sum(other[1], before + p)
        kept = dict(sorted(found.items(), key=lambda each: -(_sum(*each[1]) + known[each[0]][0]))[:beam])
        known = {prefix: known[prefix] for prefix in kept}
    ended = []
    for prefix, parts in kept.items():
        total, (added, state) = _sum(*parts), known[prefix]
        ended.append(Prefix(prefix, total, total + added + (scorer.end(state) if scorer is not None else 0.0)))
    allowed = [each for each in ended if each.score > NEVER]
    if not allowed:  # a scorer rules out all that the beam has kept: nothing is written
        return [Prefix((), log_probability(log_p, (), blank), NEVER)]
    return sorted(allowed, key=lambda each: -each.score)


def elected(voters: Floats, blank: int, beam: int, scorer: Scorer | None = None, least: float = NEVER) -> list[Prefix]:
    """The symbols that several models think likeliest together, the best first, of log-probabilities [M, T, V + 1].

    Whatever a beam finds for one of them is judged by all: its log p is the mean of theirs, and what the scorer adds
    stays. Where no model has any, nothing is written.
    """
    found: dict[tuple[int, ...], float] = {}
    for log_p in voters:
        found |= {each.symbols: each.score - each.log_p for each in prefix_beam(log_p, blank, beam, scorer, least)}
    judged = []
    for symbols, added in found.items():
        log_p = float(np.mean([log_probability(each, symbols, blank) for each in voters]))
        judged.append(Prefix(symbols, log_p, log_p + added))
    return sorted(judged, key=lambda each: -each.score)


def log_probability(log_p: Floats, symbols: Sequence[int], blank: int) -> float:
    """Natural logarithm of the probability of symbols, over all their paths; −∞ where the frames are too few.

    With the blank before, between and behind the symbols, l' of 2U + 1 places,
    α_t(s) = (α_{t−1}(s) + α_{t−1}(s − 1) + [l'_s is no blank and not l'_{s−2}] α_{t−1}(s − 2)) y_t(l'_s).
    """
    places, skips = _lattice(symbols, blank)
    alpha = np.full(len(places), NEVER)
    alpha[0] = 0.0  # before the first frame: the first blank is where a path may begin
    for t, row in enumerate(log_p):
        if t == 0:
            new = np.full(len(places), NEVER)
            new[:2] = row[places[:2]]
        else:
            one = np.concatenate(([NEVER], alpha[:-1]))
            two = np.where(skips, np.concatenate(([NEVER, NEVER], alpha[:-2]))[: len(alpha)], NEVER)
            new = np.logaddexp(np.logaddexp(alpha, one), two) + row[places]
        alpha = new
    if not len(log_p):
        return 0.0 if not len(symbols) else NEVER
    return float(np.logaddexp.reduce(alpha[-2:]))


def aligned(log_p: Floats, symbols: Sequence[int], blank: int) -> list[Place]:
    """The frames of each symbol on their likeliest path (Viterbi), of log-probabilities [T, V + 1].

    Raises `DataError` where the frames are too few for them.
    """
    if (needed := frames_needed(symbols)) > len(log_p):
        raise DataError(f"{len(symbols)} symbols want {needed} frames, there are {len(log_p)}. Give a longer input.")
    if not len(symbols):
        return []
    places, skips = _lattice(symbols, blank)
    S, T = len(places), len(log_p)
    score = np.full(S, NEVER)
    score[:2] = log_p[0, places[:2]]
    back = np.zeros((T, S), np.int8)
    for t in range(1, T):
        one = np.concatenate(([NEVER], score[:-1]))
        two = np.where(skips, np.concatenate(([NEVER, NEVER], score[:-2])), NEVER)
        ways = np.stack((score, one, two))
        back[t] = ways.argmax(0)
        score = ways.max(0) + log_p[t, places]
    s = S - 1 if score[-1] > score[-2] else S - 2
    states = np.empty(T, np.int64)
    for t in range(T - 1, -1, -1):
        states[t] = s
        s -= int(back[t, s])
    found = []
    for k, symbol in enumerate(symbols):
        frames = np.flatnonzero(states == 2 * k + 1)
        best = float(np.exp(log_p[frames, symbol].max()))
        found.append(Place(int(frames[0]), int(frames[-1]) + 1, best))
    return found


def _lattice(symbols: Sequence[int], blank: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The symbols with blanks around them [2U + 1], and where the blank before a place may be left out."""
    places = np.full(2 * len(symbols) + 1, blank, np.int64)
    places[1::2] = symbols
    skips = np.zeros(len(places), bool)
    skips[3::2] = places[3::2] != places[1:-2:2]
    return places, skips


def scores_of(found: Sequence[Prefix]) -> list[float]:
    """What transcripts are ranked by."""
    return [each.score for each in found]


def _sum(a: float, b: float) -> float:
    """log(exp a + exp b)."""
    if a == NEVER:
        return b
    if b == NEVER:
        return a
    return float(np.logaddexp(a, b))
