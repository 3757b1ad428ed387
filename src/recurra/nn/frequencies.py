"""Where the bias of a softmax over many symbols begins: at how often each symbol is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


@torch.no_grad()
def begin_at_frequencies(biases: Iterable[Tensor | nn.Parameter], targets: Iterable[Any]) -> None:
    """Fill biases [V] with ln p of each symbol, p = (n + 1) / (N + V) of n times among the N `targets`, arrays of
    numbers below V.

    With weights that start near 0 the first ŷ is then the unigram distribution.
    """
    biases = list(biases)
    counts = np.zeros(len(biases[0]))
    for numbers in targets:
        counts += np.bincount(np.asarray(numbers), minlength=len(counts))
    found = torch.from_numpy(np.log((counts + 1) / (counts.sum() + len(counts))))
    for bias in biases:
        bias.copy_(found)
