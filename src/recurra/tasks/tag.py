"""Name every word of a sequence: tags, spans, slots; and, if asked, one label for the whole (an intent)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.answers import Answer, Label, Part, Spans
from recurra.data.fields import Codecs
from recurra.data.spans import Scheme, convert, detect, faults
from recurra.errors import ConfigError
from recurra.nn.crf import CRF, marginals, viterbi
from recurra.nn.softmax import IGNORED, linear_cross_entropy
from recurra.registry import part
from recurra.tasks.classify import LabelLayer, Poolings, not_empty
from recurra.tasks.contract import INPUT, Card
from recurra.tasks.naming import LABEL, TAGS, LabelOptions, count_unseen, likeliest, ranked
from recurra.tasks.scores import Scores, tag_scores
from recurra.tasks.steps import only_steps
from recurra.types import Batch, Example, Field, Lengths, Output, Sizes

SCHEMES = {
    "bio": "The tags are spans in bio.",
    "none": "The tags are no spans, so each is scored by itself. Spans have B-, I- and O in capitals.",
}
"""What there is to say of a scheme that was found; of others `prepare` says that it writes them anew."""


@part("task", "tag")
class Tag(nn.Module):
    """The tag of every word: emissions z_t = V h_t + c, and of all tag sequences the likeliest.

    "softmax" gives each word's tag by itself, ŷ_t = softmax(z_t), L = −Σ_t log ŷ_t[tag_t]. "crf" scores whole sequences
    (linear chain): s(tags) = start + Σ_t z_t[tag_t] + Σ_t A[tag_t, tag_{t+1}] + end, L = log Σ_{all} exp s − s(tags).
    With `intent` the sequence has a label too: the pooled h goes through a softmax of its own, and the loss is
    L_tags + intent_weight · L_label; L_tags grows with the words, so a weight of 1 counts a label like one word.
    `dropout` zeroes entries of h.

    Reads the fields "tags" [B, T] and "label" [B], `IGNORED` where a name is unknown: the softmax leaves such a word
    out of the loss, the CRF sums over what it may be, an unknown label counts nothing. The targets are the known tags.

    `scheme` is how the files write spans ("auto": found from the training data), `train_scheme` how the model does.
    Source of the joint model: Hakkani-Tür et al. 2016, Multi-domain joint semantic frame parsing using bi-directional
    RNN-LSTM; of the CRF above a recurrent network: Huang, Xu & Yu 2015, Bidirectional LSTM-CRF models.
    """

    baselines = ("single-words", "window-statistics")
    client = "labels"
    """The module of `recurra.export.clients` that asks its export."""
    unit = "tokens"
    causal = False
    card = Card("Label", "A sentence.", "The quick brown fox", "tagger")
    Options: ClassVar[type] = LabelOptions

    def __init__(
        self,
        decoder: Literal["softmax", "crf"] = "softmax",
        intent: bool = False,
        intent_weight: float = 1.0,
        intent_pooling: Poolings = "last",
        dropout: float = 0.0,
        scheme: Literal["auto", "bio", "iob1", "bioes", "bmes", "none"] = "auto",
        train_scheme: Literal["bio", "bioes"] = "bio",
    ) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise ConfigError(f"task.dropout = {dropout}, expected 0 or more and less than 1.")
        if intent_weight <= 0:
            raise ConfigError(
                f"task.intent_weight = {intent_weight}, expected more than 0. For tags alone set task.intent = false."
            )
        self.decoder = decoder
        self.intent = intent
        self.intent_weight = intent_weight
        self.intent_pooling = intent_pooling
        self.dropout = dropout
        self.scheme = scheme
        self.train_scheme: Literal["bio", "bioes"] = train_scheme

    @property
    def pools(self) -> tuple[str, str]:
        return "intent_pooling", self.intent_pooling if self.intent else ""

    @property
    def learned(self) -> tuple[str, ...]:
        """The fields it is to name."""
        return ("tags", "label") if self.intent else ("tags",)

    @property
    def fields(self) -> Mapping[str, Field]:
        return {"input": INPUT, "tags": TAGS, **({"label": LABEL} if self.intent else {})}

    @property
    def main_metric(self) -> tuple[str, str]:
        """With `intent`, sentences of which all is right; else F1 of spans, or accuracy where there are none."""
        return ("sentence_accuracy" if self.intent else "accuracy" if self.scheme == "none" else "f1"), "max"

    def build(self, sizes: Sizes) -> Self:
        """Make the layers from `sizes.core` units to the tags and, with `intent`, to the labels of `sizes.fields`."""
        H, K = sizes.core, sizes.fields["tags"]
        self.emissions = nn.Linear(H, K)
        self.crf = CRF(K) if self.decoder == "crf" else None
        L = sizes.fields["label"] if self.intent else 0
        self.label = LabelLayer(self.intent_pooling, H, L, self.dropout) if self.intent else None
        return self

    def forward(self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None) -> Output:
        """The loss of a batch, summed over its tags, and the core's final state. Padding counts for nothing."""
        y, state = core(*embedder(batch), state)
        kept = not_empty(batch.structure, len(y), y.device)
        target = _targets(batch).t()  # [T, B], as y lies in memory
        z = F.dropout(y.transpose(0, 1), self.dropout, self.training)  # [T, B, H]
        if self.crf is None:
            weight, bias = self.emissions.weight, self.emissions.bias
            loss = linear_cross_entropy(z.flatten(0, 1), weight, bias, target.reshape(-1))
        else:
            loss = self.crf(self.emissions(z), target, batch.structure.values)
        if self.label is not None:
            label = batch.fields["label"].masked_fill(~kept, IGNORED)
            logits = self.label(y, batch.structure, core)
            of_label = F.cross_entropy(logits, label, reduction="sum", ignore_index=IGNORED)
            loss = loss + self.intent_weight * of_label
        return Output(loss, int((target != IGNORED).sum()), int(kept.sum()), state)

    def step_loss(self, embedder: nn.Module, core: nn.Module, batch: Batch, steps: Tensor) -> Tensor:
        """The loss of one tag a sequence, that of its step `steps` [B], summed over the sequences: with a CRF
        −log p(tag | words), whatever the other tags are. The label counts nothing."""
        chosen = only_steps(batch, "tags", steps)
        if "label" in chosen.fields:
            label = torch.full_like(chosen.fields["label"], IGNORED)
            chosen = replace(chosen, fields={**chosen.fields, "label": label})
        return self.forward(embedder, core, chosen).loss

    def ask(self, embedder: nn.Module, core: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """What `decode` reads, to be averaged over models entry by entry.

        "tags" [B, T, K]: log ŷ, or the CRF's emissions beside its "transitions" [K, K], "start" [K] and "end" [K];
        with `intent` "label" [B, L], log ŷ of the label.
        """
        y, _ = core(*embedder(batch), None)
        z = self.emissions(F.dropout(y, self.dropout, self.training))
        z = z.to(torch.promote_types(z.dtype, torch.float32))
        if self.crf is None:
            found = {"tags": F.log_softmax(z, 2)}
        else:
            found = {"tags": z, **dict(zip(("transitions", "start", "end"), self.crf.parts, strict=True))}
        if self.label is not None:
            found["label"] = F.log_softmax(self.label(y, batch.structure, core), 1)
        return found

    def decode(self, asked: Mapping[str, Tensor], structure: Lengths) -> dict[str, list[Any]]:
        """Numbers of the likeliest "tags", a list as long as its sequence for each, and of the "label" of each."""
        z = asked["tags"]
        if self.decoder == "crf":
            transitions, start, end = (asked[name] for name in ("transitions", "start", "end"))
            best = viterbi(z.transpose(0, 1), transitions, start, end, structure.values)
        else:
            best = z.argmax(2)
        lengths = [z.shape[1]] * len(z) if structure.values is None else structure.values.tolist()
        found: dict[str, list[Any]] = {"tags": [row[:n] for row, n in zip(best.tolist(), lengths, strict=True)]}
        if self.intent:
            found["label"] = asked["label"].argmax(1).tolist()
        return found

    def answers(
        self, asked: Mapping[str, Tensor], examples: Sequence[Example], codecs: Codecs, options: LabelOptions
    ) -> list[Answer]:
        numbered = not hasattr(codecs["input"], "symbols")
        tokens = [_steps(example, codecs) if numbered else tuple(example["tokens"]) for example in examples]
        structure = Lengths(torch.tensor([len(each) for each in tokens], device=asked["tags"].device))
        decoded, names = self.decode(asked, structure), codecs["tags"].symbols
        shares = self._shares(asked, structure) if options.top else [None] * len(tokens)
        found = []
        for k, (words, numbers) in enumerate(zip(tokens, decoded["tags"], strict=True)):
            tags = tuple(names[number] for number in numbers)
            of, single = shares[k], self.scheme == "none"
            if of is None:
                parts: list[Part] = [Spans(words, tags, single=single, numbered=numbered)]
            else:
                p = [row[number] for row, number in zip(of.tolist(), numbers, strict=False)]
                likely = [ranked(row, names, options.top) for row in of[: len(numbers)]]
                parts = [Spans(words, tags, p, likely, single, numbered)]
            if self.intent:
                labels = codecs["label"].symbols
                best = ranked(asked["label"][k].exp().cpu(), labels, options.top)
                parts.insert(0, Label((labels[decoded["label"][k]],), likeliest=best))
            found.append(Answer(tuple(parts)))
        return found

    def _shares(self, asked: Mapping[str, Tensor], structure: Lengths) -> Sequence[Tensor | None]:
        """The probability of each tag, [T, K] a sequence, of a CRF whatever the others are: p(tag | all words)."""
        p = asked["tags"].exp() if self.crf is None else self._marginals(asked, structure)
        return [*p.cpu()]

    def _marginals(self, asked: Mapping[str, Tensor], structure: Lengths) -> Tensor:
        transitions, start, end = (asked[name] for name in ("transitions", "start", "end"))
        return marginals(asked["tags"].transpose(0, 1), transitions, start, end, structure.values).transpose(0, 1)

    def followed(
        self,
        symbol: str,
        number: int,
        before: Mapping[str, Tensor] | None,
        now: Mapping[str, Tensor],
        codecs: Codecs,
        top: int,
    ) -> dict[str, Any]:
        """`{"token", "tag", "p"}`, above a CRF "filtered_tag" in its place; with `intent` "label" and "p_label"."""
        name = "tag" if "tag" in now else "filtered_tag"
        found = {"token": symbol} | likeliest(name, now[name][0], codecs["tags"].symbols)
        if self.label is None:
            return found
        return found | likeliest("label", now["label"][0], codecs["label"].symbols, "p_label")

    def follow(self, embedder: nn.Module, y: Tensor, memory: Any = None) -> tuple[dict[str, Tensor], Any]:
        """What is said of a word when no later one has been read; y [B, H] is the core's output at it.

        "tag" [B, K]: log ŷ; of a CRF, whose best tags wait for the end of the sentence, "filtered_tag" instead, the
        log-probability of each tag given the words so far: α_t = e_t + log Σ_i exp(α_{t−1}[i] + A[i, ·]), normalised.
        With `intent` "label" [B, L], of the words so far.
        """
        alpha, pooled = (None, None) if memory is None else memory
        z = self.emissions(F.dropout(y, self.dropout, self.training))
        z = z.to(torch.promote_types(z.dtype, torch.float32))
        if self.crf is None:
            said = {"tag": F.log_softmax(z, 1)}
        else:
            before = self.crf.start if alpha is None else (alpha[:, :, None] + self.crf.transitions).logsumexp(1)
            alpha = F.log_softmax(z + before, 1)
            said = {"filtered_tag": alpha}
        if self.label is not None:
            logits, pooled = self.label.follow(y, pooled)
            said["label"] = F.log_softmax(logits, 1)
        return said, (alpha, pooled)

    def detected(self, examples: Sequence[Example]) -> Scheme:
        """The scheme the examples' tags are written in: `scheme`, or with "auto" the one that fits them."""
        return detect(e["tags"] for e in examples if "tags" in e) if self.scheme == "auto" else self.scheme

    def settled(self, examples: Sequence[Example]) -> dict[str, Any]:
        """What settings leave to the training data, to be kept so that later files are read as those were."""
        scheme = self.detected(examples)
        notes = [SCHEMES[scheme]] if self.scheme == "auto" and scheme in SCHEMES else []
        return {"scheme": scheme, "notes": notes}

    def prepare(self, examples: Sequence[Example]) -> tuple[list[Example], list[str]]:
        """The examples with their tags in `train_scheme`, and what there is to say of it, a sentence each.

        Without spans, and where there are no tags, they are as they were.
        """
        scheme = self.detected(examples)
        if scheme == "none":
            return list(examples), []
        prepared, faulty = [], []
        for example in examples:
            if "tags" in example:
                faulty.append((faults(example["tags"], scheme), example.get("place", "a sentence of no known place")))
                example = {**example, "tags": convert(example["tags"], scheme, self.train_scheme)}
            prepared.append(example)
        notes = []
        if faulty and scheme != self.train_scheme:
            notes.append(f"The tags are written as {scheme}; the model's are {self.train_scheme}.")
        count = sum(n for n, _ in faulty)
        if count:
            first = next(place for n, place in faulty if n)
            notes.append(
                f"In {count} {'place' if count == 1 else 'places'} the tags are no {scheme}, first at {first}. They "
                "are read as conlleval reads them: where no span can go on, one begins."
            )
        return prepared, notes

    def score(
        self,
        gold: Sequence[Example],
        predicted: Sequence[Mapping[str, Any]],
        codecs: Codecs | None = None,
    ) -> Scores:
        """Scores of predicted names against examples as `prepare` gives them; see `recurra.tasks.scores.tag_scores`.

        Both sides are in one scheme. Token accuracy counts whole tags, so it is a matter of the scheme; spans are not.
        True names that `codecs` do not hold are counted as "unseen_tags" and "unseen_labels", and named in a note.
        """
        with_spans = self.detected(gold) != "none"
        scores = tag_scores(gold, predicted, with_spans=with_spans, with_label=self.intent)
        for field in self.learned:
            if codecs is not None and any(field in guess for guess in predicted):
                names = [n for e in gold for n in (e[field] if field == "tags" else [e[field]])]
                count_unseen(scores, field.removesuffix("s") + "s", names, codecs[field].symbols)
        return scores


def _steps(example: Example, codecs: Codecs) -> tuple[str, ...]:
    """The steps of a sequence of numbers, by their number from 1."""
    return tuple(map(str, range(1, len(codecs.value("input", example)) + 1)))


def _targets(batch: Batch) -> Tensor:
    """Tags [B, T], `IGNORED` where the batch is padded."""
    target, lengths = batch.fields["tags"], batch.structure.values
    if lengths is None:
        return target
    return target.masked_fill(torch.arange(target.shape[1], device=target.device) >= lengths[:, None], IGNORED)
