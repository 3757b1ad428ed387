"""Answer a question about a story: the sequence's last segment asks, those before it tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.answers import Answer as Answered
from recurra.data.fields import Codecs
from recurra.errors import ConfigError
from recurra.limits import check_layers
from recurra.nn.memory import Memory, find_segments, in_order
from recurra.nn.softmax import IGNORED
from recurra.registry import part
from recurra.tasks.classify import not_empty
from recurra.tasks.contract import INPUT, Card
from recurra.tasks.naming import LABEL, LabelOptions, count_unseen, label_answers
from recurra.tasks.scores import Scores, check_fields, label_scores
from recurra.types import Batch, Example, Field, Lengths, Output, Sizes

ENDS = frozenset(".?!。？！")
"""What a sentence ends with where nothing says where its words belong."""


@part("task", "answer")
class Answer(nn.Module):
    """The answer to a question by attention over a story's sentences: ŷ = softmax(V o + c), L = −log ŷ[answer].

    The core reads every sentence, and the question, by itself: y_j of its words x_j. A sentence becomes one vector
    m = Σ_j l_j ∘ x_j + W Σ_j l_j ∘ y_j, l weighing words by their place (`in_order`); W starts at zero, so that what
    the core adds is learnt. o is what the question comes to at the end of the story, in `hops` hops over its sentences
    (`Memory`, which says what `both` is). `dropout` zeroes entries of o.

    Reads "segments" [B, T], numbers that change where a sentence begins, the question's last; and "label" [B], one of
    the answers seen in training, `IGNORED` for others. Where an example says no segments, sentences end with . ? or !.
    """

    baselines = ("bag",)
    client = "story"
    """The module of `recurra.export.clients` that asks its export."""
    unit = "examples"
    causal = False
    learned = ("label",)
    """The fields it is to name."""
    segmented = True
    """It reads "segments"."""
    fields: ClassVar[Mapping[str, Field]] = {
        "input": INPUT,
        "segments": Field(("segments",), {"kind": "integers"}, along=True),
        "label": LABEL,
    }
    main_metric = ("accuracy", "max")
    card = Card(
        "Answer", "A story, and behind it a question.", "Mary went to the hall. Where is Mary?", "question answerer"
    )
    Options: ClassVar[type] = LabelOptions
    inputs: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "sentences": ("stories", "places"),
        "counts": ("stories",),
        "questions": ("stories",),
    }
    """What `arrange` adds to a batch, and its axes."""

    def __init__(self, hops: int = 2, both: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        check_layers("task.hops", hops)
        if hops < 1:
            raise ConfigError(f"task.hops = {hops}, expected 1 or more.")
        if not 0 <= dropout < 1:
            raise ConfigError(f"task.dropout = {dropout}, expected 0 or more and less than 1.")
        self.hops = hops
        self.both = both
        self.dropout = dropout

    def build(self, sizes: Sizes) -> Self:
        """Make the layers; sentences are as wide as `sizes.embedding`, the answers are `sizes.fields["label"]`."""
        self.read = nn.Linear(sizes.core, sizes.embedding, bias=False)
        nn.init.zeros_(self.read.weight)
        self.memory = Memory(sizes.embedding, self.hops, self.both)
        self.answer = nn.Linear(sizes.embedding, sizes.fields["label"])
        return self

    def forward(self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None) -> Output:
        """The loss of a batch, summed over its questions. There is no state: every sentence is read from the start."""
        logits = self._logits(embedder, core, batch)
        kept = not_empty(batch.structure, len(logits), logits.device)
        label = batch.fields["label"].masked_fill(~kept, IGNORED)
        loss = F.cross_entropy(logits, label, reduction="sum", ignore_index=IGNORED)
        return Output(loss, int((label != IGNORED).sum()), int(kept.sum()))

    def ask(self, embedder: nn.Module, core: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """What `decode` reads, to be averaged over models: "label" [B, L], log ŷ."""
        return {"label": F.log_softmax(self._logits(embedder, core, batch), 1)}

    def arrange(self, batch: Batch) -> Batch:
        """The same stories with a row for every sentence and every question, which is all that an export can read:
        "sentences" [B, S] names the rows of each story, "counts" [B] says how many it has, and "questions" [B] names
        the row of its question. Of no words at all there is one row."""
        found = find_segments(batch.fields["segments"], batch.structure.values)
        B, T = batch.fields["segments"].shape
        counts = (found.number - 1).clamp(min=0)
        sentences = counts.new_zeros(B, max(1, int(counts.max())))
        questions = counts.new_zeros(B)
        words, lengths = found.words, found.counts
        if not len(lengths):
            words, lengths = counts.new_zeros(1, 1), counts.new_ones(1)
        else:
            asks, numbers = found.last, torch.arange(len(lengths), device=lengths.device)
            sentences[found.sequence[~asks], found.place[~asks]] = numbers[~asks]
            questions[found.sequence[asks]] = numbers[asks]
        rows = {
            name: (value if T else value.new_zeros(B, 1)).t().reshape(-1)[words].t()
            for name, value in batch.fields.items()
            if value.shape == (B, T)
        }
        fields = {**batch.fields, **rows, "sentences": sentences, "counts": counts, "questions": questions}
        return replace(batch, fields=fields, structure=Lengths(lengths))

    def attention(self, embedder: nn.Module, core: nn.Module, batch: Batch) -> Tensor:
        """How much of each sentence is in the answer, by hops: [B, hops, S], 0 behind a story's end; see `Memory`."""
        return self.memory.weights(*self._story(embedder, core, batch))

    def answers(
        self, asked: Mapping[str, Tensor], examples: Sequence[Example], codecs: Codecs, options: LabelOptions
    ) -> list[Answered]:
        return label_answers(asked["label"], examples, codecs["label"].symbols, options.top)

    def prepare(self, examples: Sequence[Example]) -> tuple[list[Example], list[str]]:
        """The examples, tokenised, with segments where they had none; and nothing to say of it."""
        return [e if "segments" in e else {**e, "segments": sentences_of(e["tokens"])} for e in examples], []

    def score(
        self,
        gold: Sequence[Example],
        predicted: Sequence[Mapping[str, Any]],
        codecs: Codecs | None = None,
    ) -> Scores:
        """ "accuracy" and "macro_f1" of predicted answers.

        True answers that `codecs` do not hold are counted as "unseen_labels", and named in a note.
        Raises DataError for predictions that do not fit, as `recurra.tasks.scores` does.
        """
        for n, (true, guess) in enumerate(zip(gold, predicted, strict=False), 1):
            check_fields(true, guess, ("label",), n)
        truths = [example["label"] for example in gold]
        scores = label_scores(truths, [answer["label"] for answer in predicted])
        if codecs is not None:
            count_unseen(scores, "labels", truths, codecs["label"].symbols)
        return scores

    def _logits(self, embedder: nn.Module, core: nn.Module, batch: Batch) -> Tensor:
        """[B, L], never below float32."""
        o = self.memory(*self._story(embedder, core, batch))
        logits: Tensor = self.answer(F.dropout(o, self.dropout, self.training))
        return logits.to(torch.promote_types(logits.dtype, torch.float32))

    def _story(self, embedder: nn.Module, core: Any, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """The sentences of the stories [B, S, D], the questions [B, D], and how many sentences each story has."""
        if "sentences" in batch.fields:  # as `arrange` made it
            x, structure = embedder(batch)
            y, _ = core(x, structure, None)
            words, counts = x.transpose(0, 1), structure.values
            read = in_order(words, counts) + self.read(in_order(y.transpose(0, 1), counts))  # [N, D]
            return read[batch.fields["sentences"]], read[batch.fields["questions"]], batch.fields["counts"]
        if "segments" not in batch.fields:
            raise ConfigError(
                'the task "answer" wants to know which sentence a word belongs to, but the batch has no field '
                '"segments". Give it, or prepare the examples: model.task.prepare.'
            )
        x, _ = embedder(batch)  # [B, T, D]
        B, T, D = x.shape
        found = find_segments(batch.fields["segments"], batch.structure.values)
        number = (found.number - 1).clamp(min=0)
        m, q = x.new_zeros(B, int(number.max()), D), x.new_zeros(B, D)
        if not len(found.counts):
            return m, q, number
        words = x.transpose(0, 1).reshape(T * B, D)[found.words]  # [W, N, D]
        y, _ = core(words.transpose(0, 1), Lengths(found.counts), None)
        read = in_order(words, found.counts) + self.read(in_order(y.transpose(0, 1), found.counts))  # [N, D]
        asks = found.last
        m = m.index_put((found.sequence[~asks], found.place[~asks]), read[~asks])
        return m, q.index_put((found.sequence[asks],), read[asks]), number


def sentences_of(tokens: Sequence[str]) -> list[int]:
    """The number of the sentence that each token belongs to; a sentence ends behind the last of its marks . ? !"""
    numbers: list[int] = []
    number, ended = 0, False
    for token in tokens:
        if ended and not ENDS.issuperset(token):
            number += 1
        ended = token[-1:] in ENDS
        numbers.append(number)
    return numbers
