"""Fill a blank: predict a symbol from what stands on both sides of it; beside it from the left side alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.errors import ConfigError, DataError
from recurra.nn.softmax import IGNORED, linear_cross_entropy
from recurra.registry import part
from recurra.tasks.scores import Scores, Table, perplexity
from recurra.types import Batch, Lengths, Output, Sizes

ROWS = 1024
"""Places scored at once: their probabilities of all symbols are held."""
FEW = 5
"""A guess among the first so many is counted, too."""


@part("task", "fill")
class Fill(nn.Module):
    """Every symbol of a sequence from all others: a forward and a backward language model, joined.

    With h→_t, which has read x_1 … x_t, and h←_t, which has read x_T … x_t,

        both sides:  s = [h→_{t−1}; h←_{t+1}],    z_t = A s + a + B relu(C s + b),    ŷ_t = softmax(V z_t + c)
        left only:   the same of s = h→_{t−1}, with A′, a′, B′, C′, b′ and c′:      ŷ′_t = softmax(V z′_t + c′)

    where h→_0 and h←_{T+1} are vectors that are learnt. All places are blanks at once, as neither state has read the
    symbol between them: L = −Σ_t log ŷ_t[x_t] − Σ_t log ŷ′_t[x_t]. The left-only head is what its measure is; it shares
    embedder, V and the forward states. With `sides` "left" there is nothing else, over a core that reads forwards only.

    `dropout` zeroes entries of the states. With `tied`, V is the embedder's matrix (Press & Wolf 2017). Reads the field
    "input" [B, T]. Wants a core whose halves are `apart`: one that has seen x_t on the way would copy it.
    Source: Melamud, Goldberger & Dagan 2016, context2vec: learning generic context embedding with bidirectional LSTM,
    where z is B relu(C s + b) alone; A makes it learn sooner, as measured on 8,000 sentences.
    """

    needs = ("tokens",)
    baselines = ("blank-ngrams",)
    main_metric = ("perplexity", "min")
    unit = "tokens"
    """What its targets are."""
    inputs: ClassVar[Mapping[str, tuple[str, ...]]] = {"rows": ("blanks",), "steps": ("blanks",)}
    """What `arrange` adds to a batch, and its axes."""

    weight: nn.Parameter | None
    end: nn.Parameter | None

    def __init__(
        self,
        sides: Literal["both", "left"] = "both",
        dropout: float = 0.0,
        tied: bool = False,
        init_range: float | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise ConfigError(f"task.dropout = {dropout}, expected 0 or more and less than 1.")
        if init_range is not None and init_range <= 0:
            raise ConfigError(f"task.init_range = {init_range}, expected more than 0, or none for the default.")
        self.sides = sides
        self.dropout = dropout
        self.tied = tied
        self.init_range = init_range

    @property
    def apart(self) -> bool:
        """Whether the core must keep what it read forwards and backwards apart."""
        return self.sides == "both"

    @property
    def causal(self) -> bool:
        """Whether the core must read forwards only."""
        return self.sides == "left"

    def build(self, sizes: Sizes) -> Self:
        """Make the heads from `sizes.core` units to `sizes.vocabulary` symbols, by vectors of the embedder's size."""
        V, D = sizes.vocabulary, sizes.embedding
        H = sizes.core // 2 if self.apart else sizes.core
        self.left = Head(H, D, V)
        self.both = Head(2 * H, D, V) if self.apart else None
        self.begin = nn.Parameter(torch.zeros(H))
        self.end = nn.Parameter(torch.zeros(H)) if self.apart else None
        self.weight = None if self.tied else nn.Parameter(torch.empty(V, D))
        r = 1 / math.sqrt(D) if self.init_range is None else self.init_range
        for parameter in (self.weight, self.begin, self.end):
            if parameter is not None:
                nn.init.uniform_(parameter, -r, r)
        return self

    def forward(self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None) -> Output:
        """The loss of a batch, all heads together, and the core's final state. Padding counts for nothing.

        `details`: the loss of the "answers", those from both sides, and of "left".
        """
        y, state = core(embedder(batch), batch.structure, state)
        target = _targets(batch).t()  # [T, B], as y lies in memory
        weight, loss, details = self._weight(embedder), y.new_zeros(()), {}
        for name, z in self._vectors(y, batch.structure).items():
            of_head = linear_cross_entropy(z.flatten(0, 1), weight, self._head(name).bias, target.reshape(-1))
            loss = loss + of_head
            details["left" if name == "left" else "answers"] = of_head.detach()
        details.setdefault("answers", details["left"])
        sequences = len(y) if batch.structure.values is None else int((batch.structure.values > 0).sum())
        return Output(loss, int((target != IGNORED).sum()), sequences, state, details)

    def potentials(
        self, embedder: nn.Module, core: nn.Module, batch: Batch, places: tuple[Tensor, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """log ŷ of "both" sides and of the "left" one, [B, T, V]; at `places`, [N] sequences and [N] steps: [N, V]."""
        y, _ = core(embedder(batch), batch.structure, None)
        found = {}
        for name, z in self._vectors(y, batch.structure).items():
            z = z.transpose(0, 1) if places is None else z[places[1], places[0]]
            found[name] = self._log_softmax(name, z, embedder)
        return found

    def arrange(self, batch: Batch) -> Batch:
        """The batch with every place a blank where it names none: "rows" [N] sequences and "steps" [N]."""
        if "rows" in batch.fields:
            return batch
        B, T = batch.fields["input"].shape
        ends = torch.full((B,), T) if batch.structure.values is None else batch.structure.values
        rows, steps = (torch.arange(T) < ends[:, None]).nonzero(as_tuple=True)
        return replace(batch, fields={**batch.fields, "rows": rows, "steps": steps})

    def ask(self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None) -> dict[str, Tensor]:
        """log ŷ of "both" sides and of the "left" one, [N, V], at the blanks of a batch as `arrange` makes it."""
        return self.potentials(embedder, core, batch, (batch.fields["rows"], batch.fields["steps"]))

    def step_loss(self, embedder: nn.Module, core: nn.Module, batch: Batch, steps: Tensor) -> Tensor:
        """The loss of one place a sequence, its step `steps` [B], summed over the sequences: −log ŷ from both sides,
        or, where there is nothing else, from the left."""
        steps = steps.to(batch.fields["input"].device)
        rows = torch.arange(len(steps), device=steps.device)
        found = self.potentials(embedder, core, batch, (rows, steps))
        log_p = found["both" if self.apart else "left"]
        return -log_p.gather(1, batch.fields["input"][rows, steps][:, None]).sum()

    def decode(self, potentials: Mapping[str, Tensor], structure: Lengths) -> dict[str, list[Any]]:
        """The likeliest symbols of "input", a list as long as its sequence for each."""
        best = potentials["both" if self.apart else "left"].argmax(2)
        lengths = [best.shape[1]] * len(best) if structure.values is None else structure.values.tolist()
        return {"input": [row[:n] for row, n in zip(best.tolist(), lengths, strict=True)]}

    @torch.no_grad()
    def ranked(self, embedder: nn.Module, core: nn.Module, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
        """How "both" sides and the "left" one guess each symbol: how many others they hold likelier, and log ŷ of it.

        Shapes: two of [B, T]; what stands behind the ends of sequences means nothing. Among symbols equally likely the
        one with the lower number goes first.
        """
        y, _ = core(embedder(batch), batch.structure, None)
        target = batch.fields["input"].t()
        found = {}
        for name, z in self._vectors(y, batch.structure).items():
            parts = [
                _ranked(self._log_softmax(name, rows, embedder), t)
                for rows, t in zip(z.flatten(0, 1).split(ROWS), target.reshape(-1).split(ROWS), strict=True)
            ]
            ranks, log_p = (torch.cat(each).view(target.shape).t() for each in zip(*parts, strict=True))
            found[name] = (ranks, log_p)
        return found

    def left_size(self, embedder: nn.Module, core: nn.Module) -> int:
        """Parameters that take part in predicting from the left alone."""
        own = [*embedder.parameters(), *self.left.parameters(), self.begin]
        own += [] if self.weight is None else [self.weight]
        of_core = sum(p.numel() for p in core.parameters())
        return sum(p.numel() for p in own) + (of_core // 2 if self.apart else of_core)

    def score(self, found: Sequence[Mapping[str, Any]]) -> Scores:
        """Scores of guesses, {"rank": [T], "log_p": [T]} a sequence: "top1" and "top5" accuracy, and "perplexity".

        All places of all sequences count alike. Raises DataError where there is none.
        """
        ranks = np.concatenate([np.asarray(each["rank"]) for each in found] or [np.zeros(0)])
        if not len(ranks):
            raise DataError("a score over 0 places means nothing. Evaluate on one sentence or more.")
        nats = -np.concatenate([np.asarray(each["log_p"], np.float64) for each in found])
        return Scores(_metrics(ranks, nats))

    def score_by(self, found: Sequence[Mapping[str, Any]], known: Sequence[Any]) -> Table:
        """The same for the places whose symbol is `known`, bool [T] a sequence, and for the others, which hold the
        unknown symbol: to guess that is no word."""
        ranks, nats, mask = (
            np.concatenate([np.asarray(each) for each in all_])
            for all_ in (
                [each["rank"] for each in found],
                [-np.asarray(each["log_p"], np.float64) for each in found],
                known,
            )
        )
        rows: list[list[str | float]] = []
        for name, chosen in (("known", mask), ("unknown", ~mask)):
            if chosen.any():
                rows.append([name, int(chosen.sum()), *_metrics(ranks[chosen], nats[chosen]).values()])
        return Table(columns=["symbol", "places", "top1", "top5", "perplexity"], rows=rows)

    def _vectors(self, y: Tensor, structure: Lengths) -> dict[str, Tensor]:
        """z of each head, [T, B, D]."""
        y = y.transpose(0, 1)  # [T, B, 2H], or [T, B, H] of a core that reads forwards only
        H = len(self.begin)
        left = torch.cat((self.begin.to(y.dtype).expand(1, y.shape[1], H), y[:-1, :, :H]))
        left = F.dropout(left, self.dropout, self.training)
        found = {"left": self.left(left)}
        if self.both is not None and self.end is not None:
            end = self.end.to(y.dtype)
            right = torch.cat((y[1:, :, H:], end.expand(1, y.shape[1], H)))
            if structure.values is not None:
                t = torch.arange(y.shape[0], device=y.device)[:, None]
                right = torch.where((t == structure.values.to(y.device) - 1)[..., None], end, right)
            right = F.dropout(right, self.dropout, self.training)
            found = {"both": self.both(torch.cat((left, right), 2)), **found}
        return found

    def _head(self, name: str) -> Head:
        head = self.left if name == "left" else self.both
        assert head is not None
        return head

    def _log_softmax(self, name: str, z: Tensor, embedder: nn.Module) -> Tensor:
        logits = F.linear(z, self._weight(embedder), self._head(name).bias)
        return F.log_softmax(logits.to(torch.promote_types(logits.dtype, torch.float32)), -1)

    def _weight(self, embedder: nn.Module) -> Tensor:
        weight = getattr(embedder, "weight", None) if self.tied else self.weight
        D = self.left.straight.out_features
        if not isinstance(weight, Tensor) or weight.shape[1] != D:
            raise ConfigError(
                f"task.tied wants an embedder that is one matrix `weight` [V, {D}], but {type(embedder).__name__} is "
                'not. Set embedder.kind = "symbols", or task.tied = false.'
            )
        return weight


class Head(nn.Module):
    """States s of a place, [T, B, ·], to the vector z [T, B, D] that symbols are compared with; a bias for each."""

    def __init__(self, H: int, D: int, V: int) -> None:
        super().__init__()
        self.straight = nn.Linear(H, D)
        self.inner = nn.Linear(H, 2 * D)
        self.outer = nn.Linear(2 * D, D, bias=False)
        self.bias = nn.Parameter(torch.zeros(V))

    def forward(self, states: Tensor) -> Tensor:
        z: Tensor = self.straight(states) + self.outer(F.relu(self.inner(states)))
        return z


def _metrics(ranks: Any, nats: Any) -> dict[str, float]:
    mean = float(nats.mean())
    shares = {f"top{k}": 100 * float((ranks < k).mean()) for k in (1, FEW)}
    return {**shares, "perplexity": perplexity(mean)}


def _ranked(log_p: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """How many symbols go before the target, and log ŷ of it, [N] each. log_p [N, V]."""
    of_target = log_p.gather(1, target[:, None])
    lower = torch.arange(log_p.shape[1], device=log_p.device) < target[:, None]
    before = (log_p > of_target) | ((log_p == of_target) & lower)
    return before.sum(1), of_target[:, 0]


def _targets(batch: Batch) -> Tensor:
    """The symbols themselves [B, T], `IGNORED` where the batch is padded."""
    target, lengths = batch.fields["input"], batch.structure.values
    if lengths is None:
        return target
    return target.masked_fill(torch.arange(target.shape[1], device=target.device) >= lengths[:, None], IGNORED)
