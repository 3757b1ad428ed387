"""Name a whole sequence: one label, or any number of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.answers import Answer, Label
from recurra.data.fields import Codecs
from recurra.errors import ConfigError
from recurra.nn.pooling import Memory, Pooling
from recurra.nn.softmax import IGNORED
from recurra.registry import part
from recurra.tasks.contract import INPUT, Card
from recurra.tasks.naming import (
    LABEL,
    LABELS,
    LabelOptions,
    count_unseen,
    label_answers,
    label_counts,
    likeliest,
    ranked,
    shown,
)
from recurra.tasks.scores import Scores, check_fields, label_scores, label_set_scores
from recurra.types import Batch, Example, Field, Lengths, Output, Sizes

Poolings = Literal["last", "mean", "max", "attention"]


@part("task", "classify")
class Classify(nn.Module):
    """The label of a sequence from its pooled states: z = V pool(h) + c, ŷ = softmax(z), L = −w_label log ŷ[label].

    With `multi_label` each label is a decision of its own: ŷ = σ(z), L = −Σ_l log (ŷ_l if it is there else 1 − ŷ_l).
    `class_weights` "balanced" makes rare labels count as much as frequent ones in training, w_l = N / (L · count_l), so
    that the weights of all N examples sum to N; it wants `set_counts`. `dropout` zeroes entries of the pooled h.

    Reads the field "label" [B], `IGNORED` where the name is unknown, or "labels" [B, L] of 0 and 1. Unlabelled and
    empty sequences are left out of the loss; the number of targets is the number of sequences that are in it.
    """

    baselines = ("bag",)
    client = "labels"
    """The module of `recurra.export.clients` that asks its export."""
    unit = "examples"
    causal = False
    card = Card("Label", "A sentence.", "The quick brown fox", "classifier")
    Options: ClassVar[type] = LabelOptions

    weights: Tensor | None

    def __init__(
        self,
        pooling: Poolings = "last",
        multi_label: bool = False,
        class_weights: Literal["none", "balanced"] = "none",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise ConfigError(f"task.dropout = {dropout}, expected 0 or more and less than 1.")
        if multi_label and class_weights != "none":
            raise ConfigError(
                f"task.class_weights = {class_weights!r} weighs one label a sequence, but task.multi_label asks for "
                'several. Set task.class_weights = "none".'
            )
        self.pooling = pooling
        self.multi_label = multi_label
        self.class_weights = class_weights
        self.dropout = dropout
        self.register_buffer("weights", None, persistent=False)

    @property
    def pools(self) -> tuple[str, str]:
        return "pooling", self.pooling

    @property
    def learned(self) -> tuple[str, ...]:
        """The fields it is to name."""
        return ("labels" if self.multi_label else "label",)

    @property
    def fields(self) -> Mapping[str, Field]:
        return {"input": INPUT, self.learned[0]: LABELS if self.multi_label else LABEL}

    @property
    def main_metric(self) -> tuple[str, str]:
        return ("micro_f1" if self.multi_label else "accuracy"), "max"

    def build(self, sizes: Sizes) -> Self:
        """Make the layers from `sizes.core` units to the labels, `sizes.fields["label"]` of them."""
        self.label = LabelLayer(self.pooling, sizes.core, sizes.fields[self.learned[0]], self.dropout)
        return self

    def set_counts(self, counts: Sequence[int]) -> None:
        """Take how often each label occurs in the training data, by its number; only "balanced" weights use it.

        Raises ConfigError for another number of labels, and for one that does not occur.
        """
        if self.class_weights == "none":
            return
        L, weight = self.label.linear.out_features, self.label.linear.weight
        if len(counts) != L or min(counts) < 1:
            raise ConfigError(f"counts of labels {list(counts)}, expected {L} of them, each 1 or more.")
        self.weights = (sum(counts) / (L * torch.tensor(list(counts), dtype=torch.float64))).to(weight)

    def forward(self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None) -> Output:
        """The loss of a batch, summed over its sequences, and the core's final state.

        Raises ConfigError in training with "balanced" weights before `set_counts`.
        """
        x, structure = embedder(batch)
        y, state = core(x, structure, state)
        logits = self.label(y, structure, core)  # [B, L]
        kept = not_empty(batch.structure, len(logits), logits.device)
        if self.multi_label:
            loss = F.binary_cross_entropy_with_logits(
                logits[kept], batch.fields["labels"][kept].to(logits), reduction="sum"
            )
            count = int(kept.sum())
            return Output(loss, count, count, state)
        label = batch.fields["label"].masked_fill(~kept, IGNORED)
        if self.training and self.class_weights == "balanced" and self.weights is None:
            raise ConfigError(
                'task.class_weights = "balanced" wants the counts of the labels: call set_counts before training.'
            )
        weights = self.weights if self.training else None
        loss = F.cross_entropy(logits, label, weights, reduction="sum", ignore_index=IGNORED)
        return Output(loss, int((label != IGNORED).sum()), int(kept.sum()), state)

    def ask(self, embedder: nn.Module, core: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """ "label" [B, L], log ŷ, or "labels" [B, L], log ŷ/(1 − ŷ); both may be averaged over models."""
        x, structure = embedder(batch)
        logits = self.label(core(x, structure, None)[0], structure, core)
        return {"labels": logits} if self.multi_label else {"label": F.log_softmax(logits, 1)}

    def follow(self, embedder: nn.Module, y: Tensor, memory: Memory | None = None) -> tuple[dict[str, Tensor], Memory]:
        """What `ask` says of all that was read up to a step, whose core output is y [B, H]; see `Pooling`."""
        logits, memory = self.label.follow(y, memory)
        return {"labels": logits} if self.multi_label else {"label": F.log_softmax(logits, 1)}, memory

    def answers(
        self, asked: Mapping[str, Tensor], examples: Sequence[Example], codecs: Codecs, options: LabelOptions
    ) -> list[Answer]:
        if not self.multi_label:
            return label_answers(asked["label"], examples, codecs["label"].symbols, options.top)
        names = codecs["labels"].symbols
        found = []
        for logits, example in zip(asked["labels"].cpu(), examples, strict=True):
            chosen = [names[k] for k in (logits > 0).nonzero()[:, 0].tolist()]
            best = ranked(logits.sigmoid(), names, options.top)
            found.append(Answer((Label(tuple(chosen), True, best, **shown(example)),)))
        return found

    def followed(
        self,
        symbol: str,
        number: int,
        before: Mapping[str, Tensor] | None,
        now: Mapping[str, Tensor],
        codecs: Codecs,
        top: int,
    ) -> dict[str, Any]:
        """`{"token", "label", "p"}`, or "labels" and theirs, of all that was read so far."""
        if not self.multi_label:
            return {"token": symbol} | likeliest("label", now["label"][0], codecs["label"].symbols)
        names, share = codecs["labels"].symbols, now["labels"][0].sigmoid()
        chosen = (now["labels"][0] > 0).nonzero()[:, 0].tolist()
        return {"token": symbol, "labels": [names[k] for k in chosen], "p": share[chosen].tolist()}

    def adapt(self, encoded: Sequence[Mapping[str, Any]]) -> None:
        """Count how often each label occurs, for balanced weights."""
        self.set_counts(label_counts(encoded, self.learned[0], self.label.linear.out_features))

    def score(
        self,
        gold: Sequence[Example],
        predicted: Sequence[Mapping[str, Any]],
        codecs: Codecs | None = None,
    ) -> Scores:
        """Scores of predicted names: "accuracy" and "macro_f1"; or "micro_f1", "macro_f1" and "exact_match" of sets.

        True labels that `codecs` do not hold are counted as "unseen_labels", and named in a note.
        Raises DataError for predictions that do not fit, as `recurra.tasks.scores` does.
        """
        (field,) = self.learned
        for n, (true, guess) in enumerate(zip(gold, predicted, strict=False), 1):
            check_fields(true, guess, (field,), n)
        truths, guesses = [e[field] for e in gold], [e[field] for e in predicted]
        scores = label_set_scores(truths, guesses) if self.multi_label else label_scores(truths, guesses)
        if codecs is not None:
            names = [name for row in truths for name in row] if self.multi_label else truths
            count_unseen(scores, "labels", names, codecs[field].symbols)
        return scores


class LabelLayer(nn.Module):
    """Pooled states and the layer above them: [B, T, H] → [B, L], not normalised, never below float32.

    Pooling "last" takes each direction where it has seen everything, if the core reads in both.
    """

    def __init__(self, pooling: Poolings, H: int, L: int, dropout: float) -> None:
        super().__init__()
        self.pooling = Pooling(pooling, H)
        self.linear = nn.Linear(H, L)
        self.dropout = dropout

    def forward(self, y: Tensor, structure: Lengths, core: Any) -> Tensor:
        self.pooling.both = self.pooling.kind == "last" and _has_halves(core)  # known of the core alone
        pooled = self.pooling(y, structure.values)  # [B, H]
        return self._logits(pooled)

    def follow(self, y: Tensor, memory: Memory | None = None) -> tuple[Tensor, Memory]:
        """The same of all steps up to one more, y [B, H], of a core that reads forwards only; see `Pooling.follow`."""
        pooled, memory = self.pooling.follow(y, memory)
        return self._logits(pooled), memory

    def _logits(self, pooled: Tensor) -> Tensor:
        logits: Tensor = self.linear(F.dropout(pooled, self.dropout, self.training))
        return logits.to(torch.promote_types(logits.dtype, torch.float32))


def _has_halves(core: Any) -> bool:
    """Whether a core's output is what it read forwards beside what it read backwards.

    Raises ConfigError for one that looks ahead without keeping the two apart: its last step has not seen everything.
    """
    halves = bool(core.halves)
    if not halves and not core.causal:
        raise ConfigError(
            'pooling = "last" wants the last state of each direction, but this core does not keep its directions '
            'apart. Set core.merge = "concat" where it has one, or pool by "max", "mean" or "attention".'
        )
    return halves


def not_empty(structure: Lengths, B: int, device: torch.device) -> Tensor:
    """Which of the B sequences have any time step: bool [B]."""
    if structure.values is None:
        return torch.ones(B, dtype=torch.bool, device=device)
    return structure.values > 0
