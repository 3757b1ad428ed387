"""Draw whole sequences that end by themselves, one for each source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from recurra.config import check_seed
from recurra.decoding.greedy import follow, greedy
from recurra.decoding.hypothesis import Hypothesis, Step, check_best, check_cuts, not_finite
from recurra.decoding.sample import distribution
from recurra.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def draw(
    step: Step,
    state: Any,
    begin: Tensor,
    *,
    end: int,
    longest: Tensor | int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | Sequence[int] = 0,
) -> list[Hypothesis]:
    """Draw symbols from `distribution` until `end` is drawn; `begin` and `longest` as in `greedy`.

    A hypothesis bears the log-probability the model gives it, whatever the temperature; temperature 0 is `greedy`.
    Every source has random numbers of its own, so that what is drawn for it does not depend on its neighbours: from
    `seed` and its place in the batch, or from a seed of its own where `seed` is a sequence, [B]. No other random
    generator is touched.
    """
    check_cuts(temperature, top_k, top_p)
    if isinstance(seed, (int, np.integer)):
        check_seed(seed)
    elif any(one < 0 for one in seed):
        raise ConfigError(f"a seed of {min(seed)}, expected whole numbers from 0.")
    if temperature == 0:
        return greedy(step, state, begin, end=end, longest=longest)
    if isinstance(seed, (int, np.integer)):
        generators = [np.random.default_rng((seed, place)) for place in range(len(begin))]
    elif len(seed) == len(begin):
        generators = [np.random.default_rng(one) for one in seed]
    else:
        raise ConfigError(f"{len(seed)} seeds for {len(begin)} sources, expected one for each, or one number for all.")

    def choose(log_p: Tensor, source: NDArray[np.int64], read: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        rows = log_p.to("cpu", torch.float64).numpy()
        if np.isnan(rows).any():
            raise not_finite(read)
        check_best(rows.max(1), read)
        drawn = np.empty(len(rows), np.int64)
        for i, row in enumerate(rows):
            p = distribution(row, temperature=temperature, top_k=top_k, top_p=top_p)
            drawn[i] = generators[source[i]].choice(len(p), p=p)
        return rows[np.arange(len(rows)), drawn], drawn

    return follow(step, state, begin, end=end, longest=longest, choose=choose)
