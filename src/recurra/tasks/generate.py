"""Predict the next symbol: language models, by character, byte or word."""

from __future__ import annotations

import math
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.errors import ConfigError, DataError
from recurra.nn.softmax import IGNORED, linear_cross_entropy
from recurra.registry import part
from recurra.types import Batch, Lengths, Output, Sizes


@part("task", "generate")
class Generate(nn.Module):
    """The distribution of the next symbol: ŷ_t = softmax(V h_t + c), loss −Σ_t log ŷ_t[target_t].

    Reads the fields "input" and "target" [B, T]. `dropout` zeroes entries of the core's output h. With `tied`, V is the
    embedder's matrix (Press & Wolf 2017) and c alone is the task's own; the embedder then wants an `init_range`, since
    vectors from N(0, 1) make the first predictions far too sure. Weights start from U(−init_range, init_range); without
    one V starts from U(−1/√H, 1/√H) and c from 0.
    """

    needs = ("text",)
    baselines = ("kneser-ney",)
    main_metric = ("nats_per_symbol", "min")
    unit = "symbols"
    """What its targets are."""
    causal = True
    """The core may not see what it is to predict."""

    weight: nn.Parameter | None
    bias: nn.Parameter

    def __init__(self, dropout: float = 0.0, tied: bool = False, init_range: float | None = None) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise ConfigError(f"task.dropout = {dropout}, expected 0 or more and less than 1.")
        if init_range is not None and init_range <= 0:
            raise ConfigError(f"task.init_range = {init_range}, expected more than 0, or none for the default.")
        self.dropout = dropout
        self.tied = tied
        self.init_range = init_range

    def build(self, sizes: Sizes) -> Self:
        """Make the output layer from `sizes.core` units to `sizes.vocabulary` symbols."""
        if self.tied and sizes.embedding != sizes.core:
            raise ConfigError(
                f"task.tied wants embedder and core of one size, but the embedder's is {sizes.embedding} and the "
                f"core's {sizes.core}. Set embedder.size = {sizes.core}, or task.tied = false."
            )
        self.bias = nn.Parameter(torch.zeros(sizes.vocabulary))
        self.weight = None if self.tied else nn.Parameter(torch.empty(sizes.vocabulary, sizes.core))
        if self.init_range is not None:
            nn.init.uniform_(self.bias, -self.init_range, self.init_range)
        if self.weight is not None:
            r = 1 / math.sqrt(sizes.core) if self.init_range is None else self.init_range
            nn.init.uniform_(self.weight, -r, r)
        return self

    def forward(self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None) -> Output:
        """The loss of a batch and the core's final state. Padded steps count for nothing."""
        y, state = core(embedder(batch), batch.structure, state)
        y = F.dropout(y.transpose(0, 1), self.dropout, self.training)  # [T, B, H], as it lies in memory
        target, sequences = _targets(batch)
        loss = linear_cross_entropy(y.flatten(0, 1), self._weight(embedder), self.bias, target.t().reshape(-1))
        return Output(loss, int((target != IGNORED).sum()), sequences, state)

    def step(self, embedder: nn.Module, core: nn.Module, state: Any, token: Tensor) -> tuple[Tensor, Any]:
        """Read one symbol of each sequence; give the log-probabilities of the next, and the new state.

        Shapes: token [B], log-probabilities [B, V].
        """
        y, state = core(embedder(Batch({"input": token[:, None]})), Lengths(), state)
        return F.log_softmax(F.linear(y[:, 0], self._weight(embedder), self.bias), 1), state

    def metrics(self, loss_sum: float, targets: int) -> dict[str, float]:
        """Perplexity, bits and nats per symbol of a loss summed over `targets` symbols."""
        if targets < 1:
            raise DataError(f"a score over {targets} target symbols means nothing. Evaluate on two symbols or more.")
        nats = loss_sum / targets
        perplexity = math.exp(nats) if nats < 700 else math.inf
        return {"perplexity": perplexity, "bits_per_symbol": nats / math.log(2), "nats_per_symbol": nats}

    def _weight(self, embedder: nn.Module) -> Tensor:
        weight = getattr(embedder, "weight", None) if self.tied else self.weight
        if not isinstance(weight, Tensor):
            raise ConfigError(
                f"task.tied wants an embedder with a matrix `weight` [V, D], but {type(embedder).__name__} has none. "
                'Set embedder.kind = "symbols", or task.tied = false.'
            )
        return weight


def _targets(batch: Batch) -> tuple[Tensor, int]:
    """Targets [B, T], `IGNORED` where the batch is padded, and the number of sequences that are not all padding."""
    target, lengths = batch.fields["target"], batch.structure.values
    if lengths is None:
        return target, len(target)
    padded = torch.arange(target.shape[1], device=target.device) >= lengths[:, None]
    return target.masked_fill(padded, IGNORED), int((lengths > 0).sum())
