"""One symbol after another for each source, never taken back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from recurra.decoding.best import best
from recurra.decoding.hypothesis import Hypothesis, Step, check_best, check_shape, limits
from recurra.decoding.state import reorder

if TYPE_CHECKING:
    from numpy.typing import NDArray

Choose = Callable[[Tensor, "NDArray[np.int64]", int], "tuple[NDArray[np.float64], NDArray[np.int64]]"]
"""log_p [N, V], the rows' sources [N], the count of symbols read → the chosen symbols' log-probabilities and numbers,
both [N]."""


def greedy(step: Step, state: Any, begin: Tensor, *, end: int, longest: Tensor | int) -> list[Hypothesis]:
    """Take the most likely symbol, of equals the lowest, until it is `end`; one hypothesis for each source.

    `begin` [B] is what each output begins with, `longest` [B] or a number: how many symbols it may have. The end mark
    may still follow the last of them; where it is not the most likely then, the hypothesis is cut, `ended` False.
    """
    return follow(step, state, begin, end=end, longest=longest, choose=_most_likely)


@torch.no_grad()
def follow(
    step: Step, state: Any, begin: Tensor, *, end: int, longest: Tensor | int, choose: Choose
) -> list[Hypothesis]:
    """Read `begin`, then what `choose` takes, until that is `end`. A source that is finished leaves the batch."""
    limit = limits(begin, longest)
    source = np.arange(len(begin))
    log_p = np.zeros(len(begin))  # of the sources still read, as `source` is
    tokens = np.empty((len(begin), 0), np.int64)
    token = begin
    found: list[Hypothesis | None] = [None] * len(begin)
    while len(source):
        read = tokens.shape[1]
        scores, state = step(state, token)
        check_shape(scores, len(source), end)
        values, chosen = choose(scores, source, read)
        ended = chosen == end
        full = (limit[source] == read) & ~ended
        log_p = np.where(full, log_p, log_p + np.minimum(values, 0))
        for i in np.flatnonzero(ended | full).tolist():
            total = float(log_p[i])
            found[source[i]] = Hypothesis(tuple(tokens[i].tolist()), total, total, bool(ended[i]))
        stay = np.flatnonzero(~(ended | full))
        source, log_p = source[stay], log_p[stay]
        tokens = np.concatenate([tokens[stay], chosen[stay, None]], 1)
        if len(stay):
            state = reorder(state, torch.from_numpy(stay))
            token = torch.from_numpy(chosen[stay]).to(begin.device)
    return [hypothesis for hypothesis in found if hypothesis is not None]


def _most_likely(log_p: Tensor, source: NDArray[np.int64], read: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    values, symbols = best(log_p, 1)
    check_best(values[:, 0], read)
    return values[:, 0], symbols[:, 0]
