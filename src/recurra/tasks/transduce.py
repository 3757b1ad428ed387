"""Turn one sequence into another: translations, pronunciations, answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra import registry
from recurra.answers import Answer, Caption, Hypothesis, Pair
from recurra.data.fields import Codecs
from recurra.data.mandarin import load_pypinyin
from recurra.data.readers.poems import MARKS, form_of, is_character, prompt, verses
from recurra.decoding.form import END, MARK, NEVER, WITHIN, in_form
from recurra.decoding.search import Search, cut_at
from recurra.decoding.state import leaves
from recurra.errors import ConfigError, DataError
from recurra.nn.decoder import Source
from recurra.nn.frequencies import begin_at_frequencies
from recurra.nn.softmax import IGNORED, linear_cross_entropy
from recurra.registry import part
from recurra.tasks.caption_scores import caption_scores
from recurra.tasks.contract import Card
from recurra.tasks.error_rates import exact_scores, pronunciation_scores
from recurra.tasks.poem_scores import poem_report, poem_scores
from recurra.tasks.scored import Asker
from recurra.tasks.scores import Scores
from recurra.tasks.transcription_scores import transcription_scores
from recurra.tasks.translation_scores import load_sacrebleu, translation_scores
from recurra.tasks.writing import Written
from recurra.types import Batch, Example, Field, Output, Sizes

SENTENCE = "The quick brown fox"
KINDS: dict[str, tuple[tuple[str, Literal["min", "max"]], Card]] = {
    "translation": (("bleu", "max"), Card("Translate", "A sentence to translate.", SENTENCE, "translator")),
    "pronunciation": (
        ("word_error_rate", "min"),
        Card("Pronounce", "A word to pronounce.", "recurrence", "pronouncer"),
    ),
    "exact": (("exact_match", "max"), Card("Answer", "A source to be turned into its target.", SENTENCE)),
    "transcripts": (
        ("symbol_error_rate", "min"),
        Card("Transcribe", "A recording, a picture of a line, or numbers.", "", "transcriber"),
    ),
    "captions": (("bleu_4", "max"), Card("Describe", "A picture.", "", "describer")),
    "poems": (
        ("nats_per_symbol", "min"),
        Card("Write", "The form and title of a poem, as in 7x4 春望, or a title alone.", "7x4 春望", "poet"),
    ),
}
"""By what predictions are scored as: the main metric, and the task in words."""


@part("task", "transduce")
class Transduce(nn.Module):
    """A sequence y_1 … y_U of a source x: p(y | x) = Π_u p(y_u | y_1 … y_{u−1}, x), loss −Σ_u log p(y_u | …).

    The core reads the source. The decoder reads what it gave, and the target's symbols one after the other from the
    mark `end` on: h_u = decoder(E y_{u−1}), ŷ_u = softmax(V h_u + c). `end`, numbered after the vocabulary's symbols,
    is the last to be predicted; the source ends in it, too. In training each y_{u−1} is the true one.

    `decoder` are the settings of a part "decoder". `tied`: "output", E is V; "all", both are the embedder's matrix,
    over one vocabulary of both sides, and the embedder then wants an `init_range`, since vectors from N(0, 1) make the
    first predictions far too sure (Press & Wolf 2017). Where the decoder's output is not as wide as E, a matrix of its
    own brings it there. `dropout` zeroes entries of E y and of h. `label_smoothing` ε counts in training only: a share
    ε of each target goes to all symbols alike. Weights start from U(−init_range, init_range); without one E from
    N(0, 1/D), an untied V from U(−1/√H, 1/√H), c from 0.

    Reads the fields "input" [B, T], or [B, T, W] of numbers (a recording, a picture's columns), which have no end mark,
    and "target" [B, U], the numbers of the symbols and then `end`, padded with
    `IGNORED`; D is the width of the embedder. `scores` says what a prediction is measured by.

    Source: Sutskever, Vinyals & Le 2014, Sequence to sequence learning with neural networks.
    """

    client = "translation"
    """The module of `recurra.export.clients` that asks its export."""
    unit = "target tokens"
    causal = False
    Options: ClassVar[type] = Search

    end: int
    """The number of the mark that ends a target, and begins it as the decoder's input; known after `build`."""
    embedding: nn.Parameter | None
    weight: nn.Parameter | None
    bias: nn.Parameter

    def __init__(
        self,
        decoder: dict,
        tied: Literal["none", "output", "all"] = "none",
        dropout: float = 0.0,
        label_smoothing: float = 0.0,
        scores: Literal["translation", "pronunciation", "exact", "poems", "transcripts", "captions"] = "translation",
        init_range: float | None = None,
    ) -> None:
        super().__init__()
        for name, share in (("dropout", dropout), ("label_smoothing", label_smoothing)):
            if not 0 <= share < 1:
                raise ConfigError(f"task.{name} = {share}, expected 0 or more and less than 1.")
        if init_range is not None and init_range <= 0:
            raise ConfigError(f"task.init_range = {init_range}, expected more than 0, or none for the default.")
        self.decoder: Any = registry.construct("decoder", decoder, where="task.decoder")
        self.tied = tied
        self.dropout = dropout
        self.label_smoothing = label_smoothing
        self.scores = scores
        self.init_range = init_range

    @property
    def main_metric(self) -> tuple[str, Literal["min", "max"]]:
        return KINDS[self.scores][0]

    @property
    def card(self) -> Card:
        return KINDS[self.scores][1]

    @property
    def fields(self) -> Mapping[str, Field]:
        """Both sides with an end mark each; over one codec where all is tied."""
        record = "input" if self.tied == "all" else None
        kind = {"kind": "tokens"}
        target = Field(("target", "transcript"), kind, learned=True, ended=True, record=record, several="targets")
        source = ("source", "tokens", "text", "sound", "image", "vectors")
        return {"input": Field(source, kind, ended=True), "target": target}

    @property
    def judged_by_loss(self) -> bool:
        """Whether weights are chosen by the loss on true targets: no two good poems of a title are alike."""
        return self.scores == "poems"

    @property
    def baselines(self) -> tuple[str, ...]:
        """What a score may stand beside."""
        if self.scores == "transcripts":
            return ("warped-neighbour", "frequent")
        if self.scores == "captions":
            return ("frequent", "nearest-picture")
        return ("kneser-ney",) if self.scores == "poems" else ("copy", "frequent", "word-table")

    @property
    def aligns(self) -> bool:
        """Whether the decoder can say where in the source it looks."""
        return bool(self.decoder.aligns)

    @property
    def copies(self) -> bool:
        """Whether an unknown symbol of a target stands for one of its source."""
        return self.scores in ("translation", "exact")

    def build(self, sizes: Sizes) -> Self:
        """Make the decoder and the layers around it for `sizes.fields["target"]` symbols and the mark.

        Raises ConfigError where all is to be tied but the two sides have not one vocabulary.
        """
        V, D = sizes.fields["target"] + 1, sizes.embedding
        self.end = V - 1
        if self.tied == "all" and sizes.vocabulary != V:
            raise ConfigError(
                f'task.tied = "all" wants one vocabulary of both sides, but the source has {sizes.vocabulary - 1} '
                f'symbols and the target {V - 1}. Fit one on both, or set task.tied = "output".'
            )
        self.decoder = self.decoder.build(inputs=D, source=sizes.core)
        H: int = self.decoder.output_size
        self.embedding = None if self.tied == "all" else nn.Parameter(torch.empty(V, D))
        self.weight = nn.Parameter(torch.empty(V, H)) if self.tied == "none" else None
        self.bias = nn.Parameter(torch.zeros(V))
        self.projection = nn.Linear(H, D, bias=False) if self.tied != "none" and H != D else None
        self._reset(D, H)
        return self

    def _reset(self, D: int, H: int) -> None:
        r = self.init_range
        if self.embedding is not None:
            if r is None:
                nn.init.normal_(self.embedding, std=1 / math.sqrt(D))
            else:
                nn.init.uniform_(self.embedding, -r, r)
        if self.weight is not None:
            bound = 1 / math.sqrt(H) if r is None else r
            nn.init.uniform_(self.weight, -bound, bound)
        if r is not None:
            nn.init.uniform_(self.bias, -r, r)
            if self.projection is not None:
                nn.init.uniform_(self.projection.weight, -r, r)

    def begin_from(self, encoded: Sequence[Mapping[str, Any]]) -> str:
        """Let c begin at how often each symbol is."""
        begin_at_frequencies([self.bias], (each["target"] for each in encoded))
        return ""

    def forward(self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None) -> Output:
        """The loss of a batch, summed over its target tokens, the end marks among them. Padding counts for nothing."""
        target = _target(batch)  # [U, B]
        h, _, _ = self._teach(embedder, core, batch, weights=False)
        z = F.dropout(h.transpose(0, 1), self.dropout, self.training)  # [U, B, H], as it lies in memory
        loss = linear_cross_entropy(
            self._projected(z).flatten(0, 1),
            self._output(embedder),
            self.bias,
            target.reshape(-1),
            label_smoothing=self.label_smoothing if self.training else 0.0,
        )
        kept = target != IGNORED
        return Output(loss, int(kept.sum()), int(kept.any(0).sum()))

    def start(self, embedder: nn.Module, core: nn.Module, batch: Batch) -> Any:
        """The state in which the decoder has read nothing yet: what `step` takes first, with the mark `end`."""
        x, structure = embedder(batch)
        y, state = core(x, structure, None)
        return self.decoder.start(Source(y, structure.values, state))

    def step(self, embedder: nn.Module, core: nn.Module, state: Any, token: Tensor) -> tuple[Tensor, Any]:
        """Read one symbol of each target; give the log-probabilities of the next, and the new state.

        Shapes: token [B], log-probabilities [B, V + 1].
        """
        log_p, state, _ = self._stepped(embedder, state, token, weights=False)
        return log_p, state

    def look(self, embedder: nn.Module, core: nn.Module, state: Any, token: Tensor) -> tuple[dict[str, Tensor], Any]:
        """As `step`, by name: "log_probabilities", and "attention" [B, T], how much it looked at each step of the
        source, where the decoder can say that."""
        log_p, state, alpha = self._stepped(embedder, state, token, weights=self.aligns)
        return {"log_probabilities": log_p, **({} if alpha is None else {"attention": alpha[:, 0]})}, state

    def _stepped(
        self, embedder: nn.Module, state: Any, token: Tensor, weights: bool
    ) -> tuple[Tensor, Any, Tensor | None]:
        h, state, alpha = self.decoder(self._embedded(embedder, token[None]), state, weights=weights)  # [B, 1, H]
        z = F.dropout(h[:, 0], self.dropout, self.training)
        logits = F.linear(self._projected(z), self._output(embedder), self.bias)
        return F.log_softmax(logits.to(torch.promote_types(logits.dtype, torch.float32)), 1), state, alpha

    def alignment(self, embedder: nn.Module, core: nn.Module, batch: Batch) -> Tensor:
        """How much each step of the target looks at each of the source, [B, U, T]: the decoder's attention.

        Row u is that of y_u, the last that of the mark. Raises ConfigError for a decoder without attention.
        """
        if not self.aligns:
            raise ConfigError(
                "this decoder has no attention, so it cannot say which part of the source a symbol comes from. "
                'Train with an attention, for a recurrent decoder task.decoder.context = "attention".'
            )
        _, _, attention = self._teach(embedder, core, batch, weights=True)
        assert attention is not None
        return attention

    def question(self, example: Example, codecs: Codecs, report: Mapping[str, Any]) -> Example:
        """Of poems the form and title as training saw them; else the source as it is."""
        source = example.get("source")
        if self.scores != "poems" or not isinstance(source, str) or not source.strip():
            return example
        return {**example, "source": prompt(source)}

    def demonstration(self, examples: Sequence[Example], codecs: Codecs, seed: int) -> Sequence[Example]:
        """Sources with the true targets beside them."""
        kept = (*self.fields["input"].of, "place")
        return [
            {name: example[name] for name in kept if name in example} | {"references": allowed_answers(example)}
            for example in examples
        ]

    def constrain(self, step: Any, state: Any, examples: Sequence[Example], codecs: Codecs) -> tuple[Any, Any]:
        """The same step, but of no symbol that breaks the form of a poem. Raises `ConfigError` of another task."""
        self.check_options(Search(form=True))
        forms = [form_of(" ".join(example["tokens"])) for example in examples]
        device = leaves(state)[0].device
        kinds = torch.tensor(symbol_kinds(codecs["target"].symbols), device=device)
        found: tuple[Any, Any] = in_form(step, state, torch.tensor(forms, device=device), kinds)
        return found

    def check_packages(self) -> None:
        """sacreBLEU counts BLEU, pypinyin knows rhymes."""
        if self.scores == "translation":
            load_sacrebleu()
        if self.scores == "poems":
            load_pypinyin()

    def check_options(self, options: Search) -> None:
        """Raise `ConfigError` for options that this task, as it is set, cannot do anything with."""
        if options.form and self.scores != "poems":
            raise ConfigError(
                f"search.form keeps the form of a poem, but this run is scored as {self.scores}. Leave it out, or "
                "train the recipe poem."
            )
        if (options.alignment or options.attention) and not self.aligns:
            raise ConfigError(
                "the run has a decoder without attention, so nothing says which part of a source its words come from. "
                'Train with task.decoder.context = "attention", or leave the alignment out.'
            )

    def written(self, example: Example, found: Sequence[Written], codecs: Codecs, options: Search) -> Answer:
        """A pair of the source and what was written for it; nothing was for an empty source."""
        hypotheses = tuple(
            Hypothesis(
                one.text,
                one.hypothesis.score,
                one.hypothesis.log_p,
                one.hypothesis.ended,
                one.unknown,
                None if one.alignment is None else tuple(codecs["target"].pieces(one.hypothesis.tokens)),
                one.alignment,
                one.aligned,
                one.beyond_cells,
            )
            for one in found
        ) or (Hypothesis(""),)
        looks = found[0].attention if found and options.attention else None
        pair = Pair(
            example.get("source", str(example.get("place", ""))),
            hypotheses,
            tuple(example.get("tokens", ())),
            example.get("unknown", 0),
            options.n_best > 1 or options.top is not None,
            tuple(verses(hypotheses[0].target)) if self.scores == "poems" else None,
            None if looks is None else looks.double().tolist(),
            cut_at(options),
            tuple(example.get("references", ())),
            options.top is not None,
        )
        if self.scores != "captions":
            return Answer((pair,))
        if looks is None:
            return Answer((Caption(pair),))
        codec = codecs["input"]
        seen = codec.decode(codec.encode(example["image"]))
        return Answer((Caption(pair, seen, found[0].regions),))

    def score(
        self, gold: Sequence[Example], predicted: Sequence[Mapping[str, Any]], codecs: Codecs | None = None
    ) -> Scores:
        """Scores of predicted texts ("target") against examples with a "target" or several allowed "targets".

        By `scores`: see `translation_scores`, `pronunciation_scores`, `exact_scores`, `poem_scores`. Raises as they do,
        and DataError for an example or a prediction that lacks its field, naming the place.
        """
        for n, (true, guess) in enumerate(zip(gold, predicted, strict=False), 1):
            place = true.get("place") or f"example {n}"
            if not allowed_answers(true):
                raise DataError(f"{place}: no 'target' to compare with. Score a file that has it, or predict instead.")
            if not {"target", "transcript"} & guess.keys():
                raise DataError(f"{place}: the prediction has no 'target', it has {', '.join(guess) or 'nothing'}.")
        allowed = [allowed_answers(example) for example in gold]
        said = [guess["target"] if "target" in guess else guess["transcript"] for guess in predicted]
        if self.scores == "transcripts":
            places = [str(example.get("place", f"example {n}")) for n, example in enumerate(gold, 1)]
            return transcription_scores([answers[0] for answers in allowed], said, places)
        if self.scores == "captions":
            return caption_scores(allowed, said)
        if self.scores == "exact":
            return exact_scores(allowed, said)
        sources = [example["source"] for example in gold]
        if self.scores == "translation":
            return translation_scores(sources, allowed, said)
        if self.scores == "pronunciation":
            return pronunciation_scores(sources, allowed, said)
        return poem_scores(sources, allowed, said)

    def scored(
        self, ask: Asker, gold: Sequence[Example], train: Sequence[Example] | None, codecs: Codecs
    ) -> tuple[Scores, list[dict[str, Any]], dict[str, Any]] | None:
        """Poems are written twice, freely and with their form kept; see `recurra.tasks.poem_scores.poem_report`."""
        return poem_report(self, ask, gold, train) if self.scores == "poems" else None

    def _teach(
        self, embedder: nn.Module, core: nn.Module, batch: Batch, weights: bool
    ) -> tuple[Tensor, Any, Tensor | None]:
        """What the decoder makes of the true target: h [B, U, H], its state, attention [B, U, T] if asked for."""
        target = _target(batch)
        before = torch.cat((target.new_full((1, target.shape[1]), self.end), target[:-1])).clamp(min=0)  # padding too
        x = self._embedded(embedder, before)
        found: tuple[Tensor, Any, Tensor | None] = self.decoder(x, self.start(embedder, core, batch), weights=weights)
        return found

    def _embedded(self, embedder: nn.Module, tokens: Tensor) -> Tensor:
        """Symbols [U, B] as the decoder's input [B, U, D], time first in memory."""
        matrix = self._shared(embedder) if self.embedding is None else self.embedding
        return F.dropout(F.embedding(tokens, matrix), self.dropout, self.training).transpose(0, 1)

    def _projected(self, z: Tensor) -> Tensor:
        return z if self.projection is None else self.projection(z)

    def _output(self, embedder: nn.Module) -> Tensor:
        """V: [symbols, H], or [symbols, D] where it is tied."""
        if self.weight is not None:
            return self.weight
        return self._shared(embedder) if self.embedding is None else self.embedding

    def _shared(self, embedder: nn.Module) -> Tensor:
        weight, expected = getattr(embedder, "weight", None), (len(self.bias), getattr(embedder, "output_size", 0))
        if not isinstance(weight, Tensor) or tuple(weight.shape) != expected:
            raise ConfigError(
                'task.tied = "all" wants an embedder that is one matrix `weight` [V, D], but '
                f"{type(embedder).__name__} is not. "
                'Set embedder.kind = "symbols", or task.tied = "output".'
            )
        return weight


def allowed_answers(example: Example) -> list[str]:
    """The targets of an example: its "targets", or its one "target" or "transcript"; none where it has none."""
    if "targets" in example:
        return list(example["targets"])
    return [example[name] for name in ("target", "transcript") if name in example][:1]


def symbol_kinds(symbols: Sequence[str]) -> list[int]:
    """What each symbol of a target is for in a poem, its end mark last; see `recurra.decoding.form`."""
    kinds = [MARK if s in tuple(MARKS) else WITHIN if is_character(s) else NEVER for s in symbols]
    return [*kinds, END]


def _target(batch: Batch) -> Tensor:
    """Targets [U, B], time first. Raises DataError for a batch without."""
    if "target" not in batch.fields:
        raise DataError("the examples have no target to learn from or to score. Name files with both sides.")
    return batch.fields["target"].t()
