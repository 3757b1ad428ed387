"""Fill a blank: predict a symbol from what stands on both sides of it; beside it from the left side alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.answers import Answer, Blank, Choices
from recurra.data.blanks import BLANK, read_line
from recurra.data.fields import Codecs
from recurra.errors import ConfigError, DataError
from recurra.nn.frequencies import begin_at_frequencies
from recurra.nn.softmax import IGNORED, linear_cross_entropy
from recurra.registry import part
from recurra.tasks.contract import Card
from recurra.tasks.scores import Scores, Table, perplexity
from recurra.types import Batch, Example, Field, Lengths, Output, Sizes

ROWS = 1024
"""Places scored at once: their probabilities of all symbols are held."""
FEW = 5
"""A guess among the first so many is counted, too."""
LEFT = "left only, the same network"


@dataclass(frozen=True)
class FillOptions:
    """What is asked of each blank."""

    top: int = 5
    """How many of the likeliest symbols to give for each blank."""

    def __post_init__(self) -> None:
        if self.top < 1:
            raise ConfigError(f"top = {self.top}, expected 1 or more symbols for a blank.")


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

    fields: ClassVar[Mapping[str, Field]] = {
        "input": Field(("tokens", "text"), {"kind": "tokens"}),
        "blanks": Field(("blanks",), {"kind": "integers"}),
    }
    baselines = ("blank-ngrams",)
    main_metric = ("perplexity", "min")
    client = "blanks"
    """The module of `recurra.export.clients` that asks its export."""
    unit = "tokens"
    card = Card("Fill the blanks", "A sentence with ___ where a word is missing.", "the ___ fox", "blank filler")
    Options: ClassVar[type] = FillOptions

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
        V, D, self.unknown = sizes.vocabulary, sizes.embedding, sizes.unknown
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

    def begin_from(self, encoded: Sequence[Mapping[str, Any]]) -> str:
        """Let c and c′ begin at how often each symbol is."""
        heads = [self.left] if self.both is None else [self.left, self.both]
        begin_at_frequencies([head.bias for head in heads], (each["input"] for each in encoded))
        return ""

    def forward(self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None) -> Output:
        """The loss of a batch, all heads together, and the core's final state. Padding counts for nothing.

        `details`: the loss of each head, "both_nats" and "left_nats".
        """
        y, state = core(*embedder(batch), state)
        target = _targets(batch).t()  # [T, B], as y lies in memory
        weight, loss, details = self._weight(embedder), y.new_zeros(()), {}
        for name, z in self._vectors(y, batch.structure).items():
            of_head = linear_cross_entropy(z.flatten(0, 1), weight, self._head(name).bias, target.reshape(-1))
            loss = loss + of_head
            details[f"{name}_nats"] = of_head.detach()
        sequences = len(y) if batch.structure.values is None else int((batch.structure.values > 0).sum())
        return Output(loss, int((target != IGNORED).sum()), sequences, state, details)

    def ask(self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None) -> dict[str, Tensor]:
        """log ŷ of "both" sides and of the "left" one: [B, T, V], or at the `blanks` [B, N] of a batch, [B, N, V]."""
        y, _ = core(*embedder(batch), state)
        found = {}
        for name, z in self._vectors(y, batch.structure).items():
            z = z.transpose(0, 1)
            if "blanks" in batch.fields:
                places = batch.fields["blanks"].clamp(min=0)
                z = z.gather(1, places[..., None].expand(-1, -1, z.shape[2]))
            found[name] = self._log_softmax(name, z, embedder)
        return found

    def question(self, example: Example, codecs: Codecs, report: Mapping[str, Any]) -> Example:
        """A text with blanks, ___: its tokens as the model knows them, the unknown symbol in every blank.

        Raises `DataError` for a text without a blank, an empty one apart, which has no answers; `ConfigError` for
        several where training has never seen the unknown symbol.
        """
        given = example.get("tokens", example.get("text", ""))
        if not (given.strip() if isinstance(given, str) else given):
            return {**example, "tokens": [], "shown": [], "blanks": [], "unfamiliar": []}
        codec = codecs["input"]
        line = read_line(given, codec)
        if len(line.blanks) > 1 and not report.get("unknown_share", {}).get("train"):
            raise ConfigError(
                f"{len(line.blanks)} blanks in one text: while one is filled, the others are read as an unknown "
                "symbol, and this run was trained without any. Write one blank a text, or train with --set "
                "vocabulary.min_count=2."
            )
        tokens = list(line.tokens)
        for place in line.blanks:
            tokens[place] = codec.symbols[codec.unknown]
        return {**example, "tokens": tokens, "shown": line.tokens, "blanks": line.blanks, "unfamiliar": line.unknown}

    def demonstration(self, examples: Sequence[Example], codecs: Codecs, seed: int) -> Sequence[Example]:
        """Sentences with a blank at a random place, and the truth."""
        draw, found = np.random.default_rng(seed), []
        for example in examples:
            tokens = codecs.tokens(example)
            if tokens:
                place = int(draw.integers(len(tokens)))
                blank = [*tokens[:place], BLANK, *tokens[place + 1 :]]
                found.append({"tokens": blank, "truth": tokens[place]})
        return found

    def answers(
        self, asked: Mapping[str, Tensor], examples: Sequence[Example], codecs: Codecs, options: FillOptions
    ) -> list[Answer]:
        """The likeliest symbols of every blank, by sides; the unknown one is never offered."""
        codec, found = codecs["input"], []
        for k, example in enumerate(examples):
            sides = {name: self._likeliest(log_p[k], codec, options.top) for name, log_p in asked.items()}
            blanks = tuple(
                Blank(place, {name: rows[n] for name, rows in sides.items()})
                for n, place in enumerate(example["blanks"])
            )
            part = Choices(tuple(example["shown"]), blanks, tuple(example["unfamiliar"]), example.get("truth"))
            found.append(Answer((part,)))
        return found

    def _likeliest(self, log_p: Tensor, codec: Any, top: int) -> list[list[tuple[str, float]]]:
        """Of rows [N, V] the likeliest symbols with their probabilities."""
        if codec.unknown is not None:
            log_p = log_p.index_fill(1, torch.tensor([codec.unknown], device=log_p.device), -torch.inf)
        best = log_p.topk(min(top, log_p.shape[1] - 1))
        rows = zip(best.values.exp().tolist(), best.indices.tolist(), strict=True)
        return [list(zip(codec.pieces(ids), values, strict=True)) for values, ids in rows]

    inputs: ClassVar[Mapping[str, tuple[str, ...]]] = {"blanks": ("batch", "blanks")}
    """What `arrange` adds to a batch, and its axes."""

    def arrange(self, batch: Batch) -> Batch:
        """The batch with every step a blank where it names none: "blanks" [B, N], steps."""
        if "blanks" in batch.fields:
            return batch
        B, T = batch.fields["input"].shape
        steps = torch.arange(T, device=batch.fields["input"].device).expand(B, T)
        return replace(batch, fields={**batch.fields, "blanks": steps})

    @torch.no_grad()
    def measure(self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None) -> Output:
        """The loss; of each side, and of places whose symbol is known, how often it is among the likeliest.

        Among symbols equally likely the one with the lower number goes first.
        """
        y, state = core(*embedder(batch), state)
        target = _targets(batch).t().reshape(-1)  # [T · B]
        kept = target != IGNORED
        pairs = {}
        for name, z in self._vectors(y, batch.structure).items():
            some = zip(z.flatten(0, 1)[kept].split(ROWS), target[kept].split(ROWS), strict=True)
            pairs[name] = [_ranked(self._log_softmax(name, rows, embedder), of) for rows, of in some]
        return replace(self._measured(pairs, target[kept], batch), state=state)

    @torch.no_grad()
    def measured(self, asked: Mapping[str, Tensor], batch: Batch) -> Output:
        """The same of what `ask` says of all steps."""
        target = _targets(batch)
        kept = target != IGNORED
        pairs = {name: [_ranked(log_p[kept], target[kept])] for name, log_p in asked.items()}
        return self._measured(pairs, target[kept], batch)

    def _measured(self, pairs: Mapping[str, Sequence[tuple[Tensor, Tensor]]], target: Tensor, batch: Batch) -> Output:
        """The sums of ranks and log-probabilities, by side, of the symbols `target` [N]."""
        details: dict[str, Tensor] = {}
        for name, found in pairs.items():
            ranks, log_p = (torch.cat(each) for each in zip(*found, strict=True)) if found else (target, target.float())
            details |= _sums(name, ranks, -log_p)
            if name == self.side and self.unknown is not None:
                known = target != self.unknown
                details |= {"known": known.sum(), **_sums("known", ranks[known], -log_p[known])}
        lengths = batch.structure.values
        sequences = len(batch.fields["input"]) if lengths is None else int((lengths > 0).sum())
        loss = torch.stack([details[f"{name}_nats"] for name in pairs]).sum()
        return Output(loss, len(target), sequences, None, details)

    @property
    def side(self) -> str:
        """What it answers by: "both" sides, or the "left" one where there is nothing else."""
        return "both" if self.apart else "left"

    def metrics(self, loss: float, targets: int, details: Mapping[str, float]) -> Scores:
        """ "top1" and "top5" accuracy and "perplexity" of all places alike, and a table of those whose symbol is known.

        Raises DataError where there is no place."""
        if targets < 1:
            raise DataError("a score over 0 places means nothing. Evaluate on one sentence or more.")
        name = f"{self.side}_" if f"{self.side}_nats" in details else ""  # a baseline has one side
        scores = Scores(_shares(name, targets, details))
        unknown = targets - int(details.get("known", targets))
        if unknown:
            others = {
                key.replace("known_", "unknown_"): details[f"{self.side}{key[5:]}"] - value
                for key, value in details.items()
                if key.startswith("known_")
            }
            rows: list[list[str | float]] = [
                [name, count, *_shares(f"{name}_", count, found).values()]
                for name, count, found in (("known", targets - unknown, details), ("unknown", unknown, others))
                if count
            ]
            scores.tables["places"] = Table(columns=["symbol", "places", "top1", "top5", "perplexity"], rows=rows)
            scores.notes.append(
                f"{unknown / targets:.1%} of the places hold the unknown symbol, which counts as a symbol like any "
                "other, for the model and beside it."
            )
        return scores

    def beside(
        self, embedder: nn.Module, core: nn.Module, targets: int, details: Mapping[str, float]
    ) -> list[dict[str, Any]]:
        """A row for the same network from the left alone."""
        if not self.apart:
            return []
        size = self.left_size(embedder, core)
        return [{"name": LEFT, "size": size, "unit": "parameters", "note": ""} | _shares("left_", targets, details)]

    def step_loss(self, embedder: nn.Module, core: nn.Module, batch: Batch, steps: Tensor) -> Tensor:
        """The loss of one place a sequence, its step `steps` [B], summed over the sequences: −log ŷ from both sides,
        or, where there is nothing else, from the left."""
        steps = steps.to(batch.fields["input"].device)
        rows = torch.arange(len(steps), device=steps.device)
        asked = replace(batch, fields={**batch.fields, "blanks": steps[:, None]})
        log_p = self.ask(embedder, core, asked)[self.side][:, 0]
        return -log_p.gather(1, batch.fields["input"][rows, steps][:, None]).sum()

    def left_size(self, embedder: nn.Module, core: nn.Module) -> int:
        """Parameters that take part in predicting from the left alone."""
        own = [*embedder.parameters(), *self.left.parameters(), self.begin]
        own += [] if self.weight is None else [self.weight]
        of_core = sum(p.numel() for p in core.parameters())
        return sum(p.numel() for p in own) + (of_core // 2 if self.apart else of_core)

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


def _sums(name: str, ranks: Tensor, nats: Tensor) -> dict[str, Tensor]:
    """Of places how often the symbol is the likeliest, how often among the first few, and the loss."""
    few = {f"{name}_top{k}": (ranks < k).sum() for k in (1, FEW)}
    return {**few, f"{name}_nats": nats.double().sum()}


def _shares(name: str, places: int, sums: Mapping[str, float]) -> dict[str, float]:
    """Metrics of such sums, those that are there."""
    found = {f"top{k}": 100 * sums[f"{name}top{k}"] / places for k in (1, FEW) if f"{name}top{k}" in sums}
    return {**found, "perplexity": perplexity(sums[f"{name}nats"] / places)}


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
