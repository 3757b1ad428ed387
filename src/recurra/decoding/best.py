"""The most likely symbols of many rows at once: always the same ones, the lower number first where they are equal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK = 128
"""Symbols looked at together, as measured; see `best`."""


def best(log_p: Tensor, k: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Values and numbers of the k largest entries of each row: [N, V] → two [N, min(k, V)], the largest first.

    What is not a number counts as larger than all. The k largest of a row lie in those k chunks of it whose maxima are
    the largest: so only these are looked through. Over 8,000 symbols that takes half the time of `torch.topk`.
    """
    N, V = log_p.shape
    k, chunks = min(k, V), V // CHUNK
    if 4 * k > chunks:
        values, symbols = _top(log_p, k)
    else:
        whole = log_p[:, : chunks * CHUNK].reshape(N, chunks, CHUNK)
        _, promising = _top(whole.amax(-1), k)
        promising = promising.sort(-1).values  # by number, so that a lower place below is a lower symbol
        looked_at = whole.gather(1, promising[:, :, None].expand(N, k, CHUNK)).flatten(1)
        values, places = _top(torch.cat([looked_at, log_p[:, chunks * CHUNK :]], -1), k)
        # behind the chosen chunks stand the symbols behind all chunks, fewer than a chunk has
        firsts = torch.cat([promising, promising.new_full((N, 1), chunks)], -1) * CHUNK
        chunk = places // CHUNK
        symbols = firsts.gather(1, chunk) + places - chunk * CHUNK
    return values.to("cpu", torch.float64).numpy(), symbols.cpu().numpy()


def _top(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """`torch.topk` leaves open which of equal entries it takes; here the first. [N, V] → two [N, k]."""
    values, places = x.topk(min(k + 1, x.shape[1]), -1)
    if values.shape[1] > k:
        tied = (values[:, k - 1] == values[:, k]) & (values[:, k] > -torch.inf)
        if tied.any():
            in_order = x[tied].sort(dim=-1, descending=True, stable=True)
            values[tied], places[tied] = in_order.values[:, : k + 1], in_order.indices[:, : k + 1]
    places, by_place = places[:, :k].sort(-1)
    values, by_value = values[:, :k].gather(1, by_place).sort(dim=-1, descending=True, stable=True)
    return values, places.gather(1, by_value)
