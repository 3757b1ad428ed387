"""Keep the best few beginnings of each source's output, and lengthen them all at once.

docs/maths/search.md says what is searched, what the length penalty does, and why the search may stop when it does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from recurra.decoding.best import best
from recurra.decoding.hypothesis import Hypothesis, Step, check_best, check_shape, limits
from recurra.decoding.state import reorder
from recurra.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@torch.no_grad()
def beam(
    step: Step,
    state: Any,
    begin: Tensor,
    *,
    end: int,
    longest: Tensor | int,
    size: int = 5,
    length_penalty: float = 0.6,
    n_best: int = 1,
    no_repeat: int = 0,
) -> list[list[Hypothesis]]:
    """The `n_best` hypotheses for each source, the best first, from a beam of `size` of them.

        score = log p / ((5 + n) / 6) ** length_penalty        n symbols, the end mark counted

    At every step each living hypothesis is lengthened by each symbol, and the likeliest stay, as many as there is room
    for; of equals the lower symbol. One that ends keeps its room in the beam for good, so a beam of 1 is `greedy`. A
    source is finished when no hypothesis lives, or when none that lives can still come among its `n_best`.

    `begin` [B] and `longest` as in `greedy`. What is cut at the longest length allowed, or has no symbol left that may
    follow, has `ended` False, no end mark in its log p, and stands behind all that ended, whatever its score. With
    `no_repeat` n, no sequence of n symbols comes twice in a hypothesis. There are fewer than `n_best` hypotheses only
    where fewer exist. Source: Wu et al. 2016, equation 14, without its coverage; 0.6: Vaswani et al. 2017.
    """
    _check(size, length_penalty, n_best, no_repeat)
    limit = limits(begin, longest)

    def penalty(n: NDArray[np.int64] | int) -> NDArray[np.float64]:
        return ((5 + np.asarray(n)) / 6) ** length_penalty

    found = [_Found(size, n_best) for _ in range(len(begin))]
    live = _Live(np.arange(len(begin)), np.zeros((len(begin), 1)), np.empty((len(begin), 1, 0), np.int64))
    token = begin
    while len(live.source):
        b, W, read = live.tokens.shape
        log_p, state = step(state, token)
        check_shape(log_p, b * W, end)
        longer = _lengthen(live, log_p, size, no_repeat)
        room = np.array([found[s].room for s in live.source])
        stays = (np.arange(longer.log_p.shape[1]) < room[:, None]) & (longer.log_p > -np.inf)
        ended = stays & (longer.token == end)
        cut = _cut(live, longer, ended, full=limit[live.source] == read)
        for i, j in np.argwhere(ended).tolist():
            tokens, total = live.tokens[i, longer.parent[i, j]], float(longer.log_p[i, j])
            found[live.source[i]].add(Hypothesis(tuple(tokens.tolist()), total, total / float(penalty(read + 1)), True))
        for i, j in np.argwhere(cut).tolist():
            total = float(live.log_p[i, j])
            hypothesis = Hypothesis(tuple(live.tokens[i, j].tolist()), total, total / float(penalty(read)), False)
            found[live.source[i]].add(hypothesis)
        stays &= ~ended & (limit[live.source] > read)[:, None]
        # Symbols only lower log p, and the longest hypothesis has the largest penalty: no living one can come to score
        # more than this. What has the same score and came first stands first, so an equal one need not be waited for.
        reach = np.where(stays, longer.log_p, -np.inf).max(1) / penalty(limit[live.source] + 1)
        needed = np.array([found[s].needed for s in live.source])
        goes_on = np.flatnonzero(stays.any(1) & (reach > needed))
        if not len(goes_on):
            break
        live, rows, last = _next(live, longer, stays, goes_on)
        within = len(goes_on) == b and live.log_p.shape[1] == W
        state = reorder(state, torch.from_numpy(rows.reshape(-1)), within=within)
        token = torch.from_numpy(last.reshape(-1)).to(begin.device)
    return [one.ranked() for one in found]


class _Live(NamedTuple):
    """The hypotheses that have not ended, W columns for each of the b sources in the batch, the likeliest first."""

    source: NDArray[np.int64]
    """Its number among all, [b]."""
    log_p: NDArray[np.float64]
    """[b, W]; −∞: the column holds none."""
    tokens: NDArray[np.int64]
    """The symbols so far, [b, W, t]."""


class _Longer(NamedTuple):
    """The likeliest of all lengthened hypotheses of each source, [b, ≤ size], the likeliest first."""

    log_p: NDArray[np.float64]
    parent: NDArray[np.int64]
    """The column of the hypothesis that was lengthened."""
    token: NDArray[np.int64]
    stuck: NDArray[np.bool_]
    """The living hypotheses that no symbol may follow, [b, W]."""


class _Found:
    """What a source has got: the hypotheses that ended or were cut."""

    def __init__(self, size: int, n_best: int) -> None:
        self.room = size
        """How many hypotheses may still live."""
        self.needed = -np.inf
        """The score that another must exceed to come among the `n_best`."""
        self.n_best = n_best
        self.hypotheses: list[Hypothesis] = []

    def add(self, hypothesis: Hypothesis) -> None:
        self.hypotheses.append(hypothesis)
        if hypothesis.ended:
            self.room -= 1
            scores = sorted(one.score for one in self.hypotheses if one.ended)
            if len(scores) >= self.n_best:
                self.needed = scores[-self.n_best]

    def ranked(self) -> list[Hypothesis]:
        """The best first; of equals, what was found first."""
        return sorted(self.hypotheses, key=lambda one: (not one.ended, -one.score))[: self.n_best]


def _lengthen(live: _Live, log_p: Tensor, size: int, no_repeat: int) -> _Longer:
    b, W, read = live.tokens.shape
    rows = b * W
    alive = live.log_p.reshape(rows) > -np.inf
    allowed = _without_repeats(log_p, live.tokens.reshape(rows, read), no_repeat)
    values, symbols = best(allowed, size)
    stuck = alive & (values[:, 0] == -np.inf)
    if no_repeat and stuck.any():  # by the rule, or does the model give nothing?
        check_best(best(log_p[torch.from_numpy(stuck).to(log_p.device)], 1)[0][:, 0], read)
        check_best(values[alive & ~stuck, 0], read)
    else:
        check_best(values[alive, 0], read)
    values = np.where(alive[:, None], np.minimum(values, 0), -np.inf)
    totals = (live.log_p.reshape(rows, 1) + values).reshape(b, -1)
    order = np.argsort(-totals, axis=1, kind="stable")[:, :size]  # of equals the earlier column, then the lower symbol
    return _Longer(
        np.take_along_axis(totals, order, 1),
        order // values.shape[1],
        np.take_along_axis(symbols.reshape(b, -1), order, 1),
        stuck.reshape(b, W),
    )


def _without_repeats(log_p: Tensor, tokens: NDArray[np.int64], n: int) -> Tensor:
    """−∞ for every symbol that would make the last n a second time, [N, V]; tokens [N, t]."""
    read = tokens.shape[1]
    if not n or read < n:
        return log_p
    windows = np.lib.stride_tricks.sliding_window_view(tokens, n, axis=1)  # [N, t − n + 1, n]
    again = (windows[:, :, :-1] == tokens[:, None, read - n + 1 :]).all(-1)
    row, place = np.nonzero(again)
    if not len(row):
        return log_p
    symbol = windows[row, place, -1]
    index = torch.from_numpy(row).to(log_p.device), torch.from_numpy(symbol).to(log_p.device)
    return log_p.index_put(index, log_p.new_tensor(-torch.inf))


def _cut(live: _Live, longer: _Longer, ended: NDArray[np.bool_], full: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The living hypotheses, [b, W], that cannot be lengthened: stuck ones, and where `full` [b] those that have not
    ended just now."""
    has_ended = np.zeros_like(live.log_p, bool)
    row, column = np.nonzero(ended)
    has_ended[row, longer.parent[row, column]] = True
    return longer.stuck | (full[:, None] & ~has_ended & (live.log_p > -np.inf))


def _next(
    live: _Live, longer: _Longer, stays: NDArray[np.bool_], goes_on: NDArray[np.int64]
) -> tuple[_Live, NDArray[np.int64], NDArray[np.int64]]:
    """The living of the sources that go on, as many columns as the fullest of these needs; the rows they came from,
    and their last symbols, both [b', W']. A column that holds none goes on with what happens to stand there."""
    stays = stays[goes_on]
    W = stays.sum(1).max()
    column = np.argsort(~stays, axis=1, kind="stable")[:, :W]

    def pick(values: NDArray[Any]) -> NDArray[Any]:
        return np.take_along_axis(values[goes_on], column, 1)

    parent, token = pick(longer.parent), pick(longer.token)
    log_p = np.where(np.take_along_axis(stays, column, 1), pick(longer.log_p), -np.inf)
    before = live.tokens[goes_on[:, None], parent]
    rows = goes_on[:, None] * live.log_p.shape[1] + parent
    return _Live(live.source[goes_on], log_p, np.concatenate([before, token[:, :, None]], -1)), rows, token


def _check(size: int, length_penalty: float, n_best: int, no_repeat: int) -> None:
    if size < 1:
        raise ConfigError(f"size = {size}, expected a beam of 1 or more hypotheses.")
    if not 0 <= length_penalty <= 10:
        raise ConfigError(f"length_penalty = {length_penalty}, expected 0 (none) to 10.")
    if not 1 <= n_best <= size:
        raise ConfigError(f"n_best = {n_best}, expected 1 to {size} hypotheses: as many as the beam holds.")
    if no_repeat < 0:
        raise ConfigError(f"no_repeat = {no_repeat}, expected 0 (no rule) or a length of 1 or more symbols.")
