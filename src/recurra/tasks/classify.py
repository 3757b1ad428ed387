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
from recurra.nn.calibrated import CalibratedSum
from recurra.nn.ngrams import NgramLayer
from recurra.nn.pooling import Memory, Pooling, has_halves
from recurra.nn.softmax import IGNORED
from recurra.registry import part
from recurra.tasks.contract import INPUT, Card
from recurra.tasks.naming import (
    LABEL,
    LABELS,
    LabelOptions,
    count_unseen,
    label_counts,
    likeliest,
    ranked,
    shown,
)
from recurra.tasks.scores import Scores, check_fields, label_scores, label_set_scores
from recurra.types import Batch, Example, Field, Lengths, Output, Sizes

Poolings = Literal["last", "mean", "max", "attention", "all", "middle"]
LONGEST = 5
"""Tokens of an n-gram, at most."""
HALVES = {"network": "its network alone", "ngrams": "its n-grams alone"}
"""What a label is made of with `ngrams`, and what a table calls it."""
LOGITS = [f"{half}_logits" for half in HALVES]


@part("task", "classify")
class Classify(nn.Module):
    """The label of a sequence from its pooled states: z = V pool(h) + c, ŷ = softmax(z), L = −w_label log ŷ[label].

    With `multi_label` each label is a decision of its own: ŷ = σ(z), L = −Σ_l log (ŷ_l if it is there else 1 − ŷ_l).
    `class_weights` "balanced" makes rare labels count as much as frequent ones in training, w_l = N / (L · count_l), so
    that the weights of all N examples sum to N; it wants `set_counts`. `dropout` zeroes entries of the pooled h.

    `ngrams` above 0 counts the n-grams of up to so many tokens beside the network, wherever they stand ("wide and
    deep"): z is the sum of both, each times a scale that the validation examples say, and both learn together, by
    L(z) + L(z_network) + L(z_ngrams). The n-grams begin as logistic regression. See `NgramLayer`, `CalibratedSum`.
    Source: Cheng et al. 2016, Wide & deep learning, for the sum that is trained as one.

    Where the embedder reads each sequence in several ways, such as both strands of DNA, the network's z is the mean of
    theirs, in training, too: log-odds are averaged, and no reading comes first.
    Source: Zhou, Shrikumar & Kundaje 2022, Towards a better understanding of reverse-complement equivariance for deep
    learning models in genomics, of models that are conjoined in training.

    Reads the field "label" [B], `IGNORED` where the name is unknown, or "labels" [B, L] of 0 and 1. Unlabelled and
    empty sequences are left out of the loss; the number of targets is the number of sequences that are in it.
    """

    baselines = ("bag", "kmers", "window-statistics", "warped-neighbour")
    client = "labels"
    """The module of `recurra.export.clients` that asks its export."""
    unit = "examples"
    causal = False
    averages_readings = True
    card = Card("Label", "A sentence.", "The quick brown fox", "classifier")
    Options: ClassVar[type] = LabelOptions

    weights: Tensor | None

    def __init__(
        self,
        pooling: Poolings = "last",
        multi_label: bool = False,
        class_weights: Literal["none", "balanced"] = "none",
        dropout: float = 0.0,
        ngrams: int = 0,
    ) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise ConfigError(f"task.dropout = {dropout}, expected 0 or more and less than 1.")
        if not 0 <= ngrams <= LONGEST:
            raise ConfigError(f"task.ngrams = {ngrams}, expected 0 (none) to {LONGEST} tokens.")
        if multi_label and class_weights != "none":
            raise ConfigError(
                f"task.class_weights = {class_weights!r} weighs one label a sequence, but task.multi_label asks for "
                'several. Set task.class_weights = "none".'
            )
        self.pooling = pooling
        self.multi_label = multi_label
        self.class_weights = class_weights
        self.dropout = dropout
        self.ngrams = ngrams
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
        counted = {"ngrams": Field((), {"kind": "ngrams", "order": self.ngrams})} if self.ngrams else {}
        return {"input": INPUT, **counted, self.learned[0]: LABELS if self.multi_label else LABEL}

    @property
    def main_metric(self) -> tuple[str, str]:
        return ("micro_f1" if self.multi_label else "accuracy"), "max"

    def build(self, sizes: Sizes) -> Self:
        """Make the layers from `sizes.core` units to the labels, `sizes.fields["label"]` of them."""
        L = sizes.fields[self.learned[0]]
        self.readings = sizes.readings
        self.label = LabelLayer(self.pooling, sizes.core, L, self.dropout)
        if self.ngrams:
            self.plain = NgramLayer(sizes.fields["ngrams"], L)
            self.together = CalibratedSum(len(HALVES))
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
        opinions = self._opinions(self.label(y, structure, core), batch)
        logits = self._together(opinions)  # [B, L]
        kept = not_empty(batch.structure, len(logits), logits.device)
        loss, targets = self._loss(logits, batch, kept)
        alone = [self._loss(each, batch, kept)[0] for each in opinions] if self.training and self.ngrams else []
        penalty = torch.stack(alone).sum() if alone else None
        return Output(loss, targets, int(kept.sum()), state, penalty=penalty)

    def ask(self, embedder: nn.Module, core: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """ "label" [B, L], log ŷ, or "labels" [B, L], log ŷ/(1 − ŷ); both may be averaged over models. With `ngrams`
        "network_logits" and "ngrams_logits" [B, L], too, of which it is made."""
        x, structure = embedder(batch)
        opinions = self._opinions(self.label(core(x, structure, None)[0], structure, core), batch)
        return self._said(opinions)

    def calibrate(
        self, asked: Sequence[Mapping[str, Tensor]], examples: Sequence[Sequence[Example]], codecs: Codecs
    ) -> list[Mapping[str, Tensor]]:
        """With `ngrams`: choose how much network and n-grams count."""
        if not self.ngrams:
            return list(asked)
        codec = codecs[self.learned[0]]
        values = [codec.encode(example[self.learned[0]]) for some in examples for example in some]
        L = codec.size
        kept = [n for n, value in enumerate(values) if self.multi_label or value != IGNORED]
        if not kept:
            return list(asked)
        Y = torch.stack([_row(values[n], L) for n in kept])
        logits = [torch.cat([each[name] for each in asked])[kept] for name in LOGITS]
        self.together.calibrate(logits, Y, self.multi_label)
        return [self._said([each[name] for name in LOGITS]) for each in asked]

    def _opinions(self, network: Tensor, batch: Batch) -> list[Tensor]:
        """Logits [B, L]: the network's, the mean over its readings [R · B, L], and with `ngrams` theirs."""
        if self.readings > 1:
            network = network.unflatten(0, (self.readings, -1)).mean(0)
        if not self.ngrams:
            return [network]
        return [network, self.plain(batch.fields["ngrams"], batch.fields["ngram_counts"])]

    def _together(self, opinions: list[Tensor]) -> Tensor:
        together: Tensor = self.together(opinions) if self.ngrams else opinions[0]
        return together

    def _said(self, opinions: list[Tensor]) -> dict[str, Tensor]:
        logits = self._together(opinions)
        said = {"labels": logits} if self.multi_label else {"label": F.log_softmax(logits, 1)}
        return said | (dict(zip(LOGITS, opinions, strict=True)) if self.ngrams else {})

    def _loss(self, logits: Tensor, batch: Batch, kept: Tensor) -> tuple[Tensor, int]:
        """Summed over the sequences that are labelled and not empty, and how many these are."""
        if self.multi_label:
            truth = batch.fields["labels"][kept].to(logits)
            return F.binary_cross_entropy_with_logits(logits[kept], truth, reduction="sum"), int(kept.sum())
        label = batch.fields["label"].masked_fill(~kept, IGNORED)
        if self.training and self.class_weights == "balanced" and self.weights is None:
            raise ConfigError(
                'task.class_weights = "balanced" wants the counts of the labels: call set_counts before training.'
            )
        weights = self.weights if self.training else None
        loss = F.cross_entropy(logits, label, weights, reduction="sum", ignore_index=IGNORED)
        return loss, int((label != IGNORED).sum())

    def follow(self, embedder: nn.Module, y: Tensor, memory: Memory | None = None) -> tuple[dict[str, Tensor], Memory]:
        """What `ask` says of all that was read up to a step, whose core output is y [B, H]; see `Pooling`."""
        logits, memory = self.label.follow(y, memory)
        return {"labels": logits} if self.multi_label else {"label": F.log_softmax(logits, 1)}, memory

    def answers(
        self, asked: Mapping[str, Tensor], examples: Sequence[Example], codecs: Codecs, options: LabelOptions
    ) -> list[Answer]:
        names, field = codecs[self.learned[0]].symbols, self.learned[0]
        z = asked[field].cpu()
        p = z.sigmoid() if self.multi_label else z.exp()
        alone = {
            half: self._names(asked[name], names) for half, name in zip(HALVES, LOGITS, strict=True) if name in asked
        }
        found = []
        for n, (chosen, example) in enumerate(zip(self._names(z, names), examples, strict=True)):
            best, halves = ranked(p[n], names, options.top), {half: of[n] for half, of in alone.items()}
            found.append(Answer((Label(chosen, self.multi_label, best, alone=halves, **shown(example)),)))
        return found

    def _names(self, z: Tensor, names: Sequence[str]) -> list[tuple[str, ...]]:
        """The names that each row of logits [B, L] chooses."""
        if not self.multi_label:
            return [(names[k],) for k in z.argmax(1).tolist()]
        return [tuple(name for name, there in zip(names, row, strict=True) if there) for row in (z > 0).tolist()]

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

    def begin_from(self, encoded: Sequence[Mapping[str, Any]]) -> str:
        """With `ngrams`: start from logistic regression on those of the training examples."""
        if not self.ngrams:
            return ""
        (field,), L = self.learned, self.label.linear.out_features
        rows = [each for each in encoded if self.multi_label or each[field] != IGNORED]
        Y = torch.stack([_row(each[field], L) for each in rows])
        strength = self.plain.start([each["ngrams"] for each in rows], Y, self.multi_label)
        return (
            f"N-grams: {self.plain.size:,} of up to {self.ngrams} tokens, beginning as logistic regression with λ = "
            f"{strength:g}."
        )

    def parts_alone(
        self, predicted: Sequence[Mapping[str, Any]], parameters: int, codecs: Codecs
    ) -> list[tuple[Sequence[Mapping[str, Any]], dict[str, Any]]]:
        """With `ngrams`: what network and n-grams answer alone."""
        if not self.ngrams:
            return []
        (field,) = self.learned
        own = (codecs["ngrams"].size + 2) * codecs[field].size  # a row each, one for the padding, and the bias
        sizes = {"network": parameters - own, "ngrams": own}
        found: list[tuple[Sequence[Mapping[str, Any]], dict[str, Any]]] = []
        for half, name in HALVES.items():
            said = [each["alone"][half] for each in predicted]
            answers = [{field: each if self.multi_label else each[0]} for each in said]
            found.append((answers, {"name": name, "size": sizes[half], "unit": "parameters", "note": ""}))
        return found

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


def _row(value: Any, L: int) -> Tensor:
    """A label's number, or a set of labels [L], as 0 and 1, [L]."""
    found = torch.as_tensor(value)
    return found.float() if found.dim() else F.one_hot(found, L).float()


class LabelLayer(nn.Module):
    """Pooled states and the layer above them: [B, T, H] → [B, L], not normalised, never below float32.

    Pooling "last" takes each direction where it has seen everything, if the core reads in both.
    """

    def __init__(self, pooling: Poolings, H: int, L: int, dropout: float) -> None:
        super().__init__()
        self.pooling = Pooling(pooling, H)
        self.linear = nn.Linear(self.pooling.output_size, L)
        self.dropout = dropout

    def forward(self, y: Tensor, structure: Lengths, core: Any) -> Tensor:
        self.pooling.both = self.pooling.kind in ("last", "all") and has_halves(core)  # known of the core alone
        pooled = self.pooling(y, structure.values)  # [B, H]
        return self._logits(pooled)

    def follow(self, y: Tensor, memory: Memory | None = None) -> tuple[Tensor, Memory]:
        """The same of all steps up to one more, y [B, H], of a core that reads forwards only; see `Pooling.follow`."""
        pooled, memory = self.pooling.follow(y, memory)
        return self._logits(pooled), memory

    def _logits(self, pooled: Tensor) -> Tensor:
        logits: Tensor = self.linear(F.dropout(pooled, self.dropout, self.training))
        return logits.to(torch.promote_types(logits.dtype, torch.float32))


def not_empty(structure: Lengths, B: int, device: torch.device) -> Tensor:
    """Which of the B sequences have any time step: bool [B]."""
    if structure.values is None:
        return torch.ones(B, dtype=torch.bool, device=device)
    return structure.values > 0
