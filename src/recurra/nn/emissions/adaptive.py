"""The adaptive softmax: a large vocabulary in clusters, so that a frequent symbol costs little and a rare one some."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.errors import ConfigError
from recurra.nn.emissions.categorical import draw_symbols
from recurra.nn.emissions.contract import Distribution, Target
from recurra.nn.softmax import linear_cross_entropy, linear_log_probability
from recurra.registry import part


@part("emission", "adaptive")
class AdaptiveSoftmax(nn.Module):
    """The distribution of a symbol, over a head of frequent symbols and clusters of rare ones.

    Symbols must be numbered by falling frequency. The head, a softmax over the `cutoffs[0]` most frequent symbols and
    one entry for each cluster, sees h itself; cluster i, of the symbols from cutoffs[i − 1] up to cutoffs[i] (the last:
    up to V), sees h through a projection `factor`^i times narrower:

    p(w) = head(h)[w] for a frequent w, else head(h)[cutoffs[0] + i − 1] · softmax(O_i P_i h)[w − cutoffs[i − 1]].

    The loss is that of exactly this distribution; only a head's row, and a cluster's for its own symbols, are computed.
    Parameters: `head` [cutoffs[0] + clusters, H], `bias` of the head; `down.i` [H / factor^i, H], `up.i`
    [symbols of cluster i, H / factor^i]: those of torch.nn.AdaptiveLogSoftmaxWithLoss with `head_bias`, by other names.
    Raises ConfigError for cutoffs that do not rise or lie outside the vocabulary, and a factor that leaves no width.
    Source: Grave, Joulin, Cissé, Grangier & Jégou 2017, Efficient softmax approximation for GPUs.
    """

    target: ClassVar[Target] = "ranked symbol"
    outputs: ClassVar[tuple[str, ...]] = ("log_probabilities",)
    """[..., V]"""
    likelihood: ClassVar[bool] = True

    head: nn.Parameter
    bias: nn.Parameter

    def __init__(self, cutoffs: tuple[int, ...] = (2000, 10000), factor: float = 4.0) -> None:
        super().__init__()
        if not cutoffs or any(high <= low for low, high in pairwise((0, *cutoffs))):
            raise ConfigError(
                f"task.softmax.cutoffs = {list(cutoffs)}, expected rising numbers of symbols such as [2000, 10000]."
            )
        if not 1 <= factor < math.inf:
            raise ConfigError(f"task.softmax.factor = {factor}, expected 1 (clusters as wide as the head) or more.")
        self.cutoffs, self.factor = cutoffs, factor

    def build(self, width: int, size: int, init_range: float | None = None) -> Self:
        """Make the weights for h [width] and `size` symbols: U(−r, r), r = `init_range` or 1/√(what a row sees); bias
        from 0."""
        H, V = width, size
        if self.cutoffs[-1] >= V:
            raise ConfigError(
                f"task.softmax.cutoffs = {list(self.cutoffs)}, expected numbers below the vocabulary's {V:,} symbols. "
                'Lower them, or set task.softmax = "full".'
            )
        widths = [int(H / self.factor ** (i + 1)) for i in range(len(self.cutoffs))]
        if not widths[-1]:
            raise ConfigError(
                f"task.softmax.factor = {self.factor:g} leaves cluster {len(widths)} no width: {H} / {self.factor:g}^"
                f"{len(widths)} is below 1. Lower it, or give fewer task.softmax.cutoffs."
            )
        sizes = [high - low for low, high in pairwise((*self.cutoffs, V))]
        self.head = _uniform(self.cutoffs[0] + len(sizes), H, init_range)
        self.bias = nn.Parameter(torch.zeros(len(self.head)))
        self.down = nn.ParameterList(_uniform(width, H, init_range) for width in widths)
        self.up = nn.ParameterList(_uniform(*shape, init_range) for shape in zip(sizes, widths, strict=True))
        return self

    def loss(self, y: Tensor, target: Tensor) -> Tensor:
        """−Σ log p(target | y).

        The logits of head and clusters are held a chunk of rows at a time, as in `linear_cross_entropy`: no memory
        grows with N · V. Under autocast the products are in its type.
        """
        x, (in_head, clusters) = y.flatten(0, -2), self._assigned(target.reshape(-1))
        total = linear_cross_entropy(x, self.head, self.bias, in_head)
        for (rows, t), down, up in zip(clusters, self.down, self.up, strict=True):
            narrow = F.linear(x.index_select(0, rows), down)
            total = total + linear_cross_entropy(narrow, up, up.new_zeros(len(up)), t)
        return total

    @torch.no_grad()
    def log_p(self, y: Tensor, target: Tensor) -> Tensor:
        """log p(target | y), [...]; not differentiable."""
        x, (in_head, clusters) = y.flatten(0, -2), self._assigned(target.reshape(-1))
        found = linear_log_probability(x, self.head, self.bias, in_head)
        for (rows, t), down, up in zip(clusters, self.down, self.up, strict=True):
            narrow = F.linear(x.index_select(0, rows), down)
            found[rows] += linear_log_probability(narrow, up, up.new_zeros(len(up)), t)
        return found.view(target.shape)

    def distribution(self, y: Tensor) -> dict[str, Tensor]:
        """log p of every symbol."""
        first, head = self.cutoffs[0], F.log_softmax(F.linear(y, self.head, self.bias), -1)
        tails = [
            F.log_softmax(F.linear(F.linear(y, down), up), -1) + head[..., first + i, None]
            for i, (down, up) in enumerate(zip(self.down, self.up, strict=True))
        ]
        return {"log_probabilities": torch.cat((head[..., :first], *tails), -1)}

    def sample(
        self, given: Distribution, *, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """Symbols [...]; temperature 0: the likeliest."""
        return draw_symbols(given["log_probabilities"], temperature, generator)

    def _assigned(self, target: Tensor) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """The head's targets [N]; and of each cluster, the rows whose target it holds and their targets within it."""
        in_head, clusters = target, []
        for i, (low, up) in enumerate(zip(self.cutoffs, self.up, strict=True)):
            member = (target >= low) & (target < low + len(up))
            rows = member.nonzero()[:, 0]
            in_head = in_head.masked_fill(member, self.cutoffs[0] + i)
            clusters.append((rows, target[rows] - low))
        return in_head, clusters


def _uniform(rows: int, columns: int, init_range: float | None) -> nn.Parameter:
    r = 1 / math.sqrt(columns) if init_range is None else init_range
    return nn.Parameter(torch.empty(rows, columns).uniform_(-r, r))
