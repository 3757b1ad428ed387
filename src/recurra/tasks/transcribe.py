"""Write down what a sequence says, where nobody says which of its steps says what: speech, lines of pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra import signatures
from recurra.answers import Answer, Transcript
from recurra.data.codecs.contract import Placed
from recurra.data.codecs.folding import folded
from recurra.data.fields import Codecs
from recurra.data.seen import seen
from recurra.decoding.arrays import Floats
from recurra.decoding.confidence import confidence, fitted_weights, margin
from recurra.decoding.ctc import (
    NEVER,
    UNLIKELY,
    Place,
    Scorer,
    aligned,
    elected,
    frames_needed,
    likeliest_path,
    prefix_beam,
    scores_of,
)
from recurra.decoding.written_language import SymbolNgrams, WordNgrams, language_of
from recurra.errors import ConfigError, DataError
from recurra.nn.softmax import IGNORED
from recurra.progress import stage
from recurra.registry import part
from recurra.tasks.contract import Card
from recurra.tasks.scores import Scores, check_fields
from recurra.tasks.transcription_scores import fitted_temperature, normalised, transcription_scores
from recurra.types import Batch, Example, Field, Output, Sizes

FORBIDDEN = -1e4
"""The log-probability of what is not said behind the end: finite, as an ONNX file is compared by differences."""
VOTING = 8
"""Transcripts that each of several models proposes, at least."""
INPUT = Field(("sound", "image", "vectors", "tokens", "text"), {"kind": "vectors"})
TARGET = Field(("transcript", "target"), {"kind": "character"}, learned=True, aligned=True)
TEXTS = Field(("transcript", "target"), {"kind": "texts"}, learned=True, aligned=True)
METRICS: dict[str, tuple[str, Literal["min", "max"]]] = {
    "symbols": ("symbol_error_rate", "min"),
    "words": ("word_error_rate", "min"),
    "whole": ("exact_match", "max"),
}


@dataclass(frozen=True)
class TranscribeOptions:
    """How transcripts are searched for, and what is said of them.

    Raises `ConfigError` for a value out of range.
    """

    beam: int = 1
    """Prefixes kept beside each other; 1 takes the likeliest symbol of every step."""
    weight: float = 0.5
    """How much n-grams count in a beam, of a run that has them (task.ngrams)."""
    bonus: float = 0.0
    """What a beam adds for each unit of the n-grams, a symbol or a word, in nats: more makes transcripts longer."""
    top: int = 0
    """So many further transcripts to give with their scores, of a beam that is wider by one at least."""
    alignment: bool = False
    """Say which part of the input each symbol comes from."""

    def __post_init__(self) -> None:
        for name, least in (("beam", 1), ("top", 0), ("weight", 0)):
            if not getattr(self, name) >= least:
                raise ConfigError(f"search.{name} = {getattr(self, name)}, expected {least} or more.")
        if not abs(self.bonus) <= 100:
            raise ConfigError(f"search.bonus = {self.bonus}, expected -100 to 100 nats.")

    @property
    def words(self) -> str:
        """In words, for the line above a score."""
        return "the likeliest symbol of every step" if self.beam == 1 else f"beam {self.beam}"

    @classmethod
    def combined(cls, recipe: Mapping[str, Any], given: Mapping[str, Any]) -> TranscribeOptions:
        """The `[search]` section with what a caller says in the place of its own, and a beam that is wide enough."""
        found = cls(**signatures.checked(cls, {**recipe, **given}, where="search"))
        return replace(found, beam=max(found.beam, found.top + 1)) if found.top else found

    @property
    def quick(self) -> TranscribeOptions:
        """How a validation searches."""
        return TranscribeOptions()


@part("task", "transcribe")
class Transcribe(nn.Module):
    """Connectionist temporal classification: z_t = V h_t + c, y_t = softmax(z_t) over the symbols and a blank.

    A path takes a symbol or the blank at every step of the core; its transcript is what is left when equal neighbours
    become one and blanks are gone. p(transcript | x) = Σ_{its paths} Π_t y_t[path_t], L = −Σ log p, divided by the
    symbols of the transcripts. `dropout` zeroes entries of h.

    `ngrams` above 0 keeps the training transcripts in the run, whose n-grams of so many symbols or words (`ngram_unit`)
    a beam makes use of: it looks for the greatest log p(transcript | x) + weight · log p_n-gram + bonus · units. Where
    most words of the training transcripts come once there are none of words (`settled`). With `closed` it writes words
    of the training transcripts alone. `scores` says what the best weights are chosen by.
    The transcript of the likeliest path is said to be right with p^(1/τ), τ chosen by the validation examples. Where
    the recipe searches by a beam, what a beam finds is with σ(a + b·margin + c·score) (`recurra.decoding.confidence`),
    fitted to what it finds of them when training has ended; in a run without these weights with p^(1/τ), too.

    Reads the fields "input" and "target" [B, U], numbers of symbols padded with `IGNORED`; the blank is numbered behind
    them. Raises `DataError` for a transcript that has no path, as the steps are too few.
    Source: Graves et al. 2006, Connectionist temporal classification.
    """

    baselines = ("warped-neighbour", "frequent")
    client = "transcripts"
    """The module of `recurra.export.clients` that asks its export."""
    unit = "symbols"
    causal = False
    card = Card("Transcribe", "A recording, a picture of a line, or numbers.", "", "transcriber")
    Options: ClassVar[type] = TranscribeOptions

    temperature: Tensor
    ranking: Tensor
    """[4]: 1 where the weights of a beam's confidence are fitted, and these."""
    may_lack = ("ranking",)

    def __init__(
        self,
        scores: Literal["symbols", "words", "whole"] = "symbols",
        ngrams: int = 0,
        ngram_unit: Literal["symbols", "words"] = "symbols",
        closed: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise ConfigError(f"task.dropout = {dropout}, expected 0 or more and less than 1.")
        if ngrams < 0:
            raise ConfigError(f"task.ngrams = {ngrams}, expected 0 (none) or an order.")
        if closed and not (ngrams and ngram_unit == "words"):
            raise ConfigError(
                "task.closed = true writes no word that the n-grams do not know. Set task.ngrams = 1 or more and "
                'task.ngram_unit = "words".'
            )
        self.scores, self.ngrams, self.ngram_unit, self.closed = scores, ngrams, ngram_unit, closed
        self.dropout = dropout
        self.register_buffer("temperature", torch.ones(()))
        self.register_buffer("ranking", torch.zeros(4))
        self._language: SymbolNgrams | WordNgrams | None = None

    @property
    def main_metric(self) -> tuple[str, Literal["min", "max"]]:
        return METRICS[self.scores]

    @property
    def fields(self) -> Mapping[str, Field]:
        return {"input": INPUT, "target": TARGET, **({"texts": TEXTS} if self.ngrams else {})}

    def build(self, sizes: Sizes) -> Self:
        """Make the layer from `sizes.core` units to `sizes.fields["target"]` symbols and the blank."""
        self.blank = sizes.fields["target"]
        self.stride = sizes.stride
        self.linear = nn.Linear(sizes.core, self.blank + 1)
        return self

    def settled(self, examples: Sequence[Example]) -> dict[str, Any]:
        """No n-grams of words where most words of the training texts come once: of other texts they would know few,
        and a beam would write those in the place of what it hears."""
        if not self.ngrams or self.ngram_unit != "words" or self.closed:
            return {}
        counts = Counter(word for example in examples for word in _truth(example).split())
        once, total = sum(count == 1 for count in counts.values()), counts.total()
        if once * 2 <= total:
            return {}
        note = (
            f"{once:,} of the {total:,} words of the training texts come once, so n-grams of words would know few of "
            "other texts: none are used. Of symbols: --set task.ngram_unit=symbols"
        )
        return {"ngrams": 0, "notes": [note]}

    def check_examples(self, encoded: Sequence[Mapping[str, Any]]) -> None:
        """Refuse transcripts that have no path."""
        for each in encoded:
            steps, symbols = -(-len(each["input"]) // self.stride), each["target"].tolist()
            if (needed := frames_needed(symbols)) > steps:
                raise DataError(
                    f"{each['place']}: a transcript of {len(symbols)} symbols needs {needed} steps of the core, one a "
                    f"symbol and one between two that are alike; the input has {steps}. Leave the example out, or make "
                    "more steps of it (embedder, input)."
                )

    def forward(self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None) -> Output:
        """The loss of a batch, summed over its sequences, and the core's final state. Padding counts for nothing.

        Raises `DataError` where a transcript has no path.
        """
        x, structure = embedder(batch)
        y, state = core(x, structure, state)
        log_p = self._log_p(F.dropout(y, self.dropout, self.training)).transpose(0, 1)  # [T, B, V + 1]
        T, B, _ = log_p.shape
        target = batch.fields["target"]
        counts = (target != IGNORED).sum(1)
        steps = counts.new_full((B,), T) if structure.values is None else structure.values.to(counts)
        symbols = target[:, : max(1, int(counts.max()))].clamp(min=0)
        losses = F.ctc_loss(log_p, symbols, steps, counts, blank=self.blank, reduction="none")
        if not bool(losses.isfinite().all()) and bool(log_p.isfinite().all()):
            row = int((~losses.isfinite()).nonzero()[0])
            needed = frames_needed(target[row][: counts[row]].tolist())
            raise DataError(
                f"a transcript of {int(counts[row])} symbols needs {needed} steps of the core, there are "
                f"{int(steps[row])}. Leave the example out, or make more steps of it (embedder, input)."
            )
        return Output(losses.sum(), int(counts.sum()), int((steps > 0).sum()), state)

    def ask(self, embedder: nn.Module, core: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """ "symbols" [B, T, V + 1], log y of the core's steps, behind an end nothing but the blank; "temperature" [1]
        and "ranking" [4], which make confidences; "stride" [1], the steps of the input that are one of the core's."""
        x, structure = embedder(batch)
        log_p = self._log_p(core(x, structure, None)[0])
        numbers = {
            "temperature": self.temperature.reshape(1),
            "ranking": self.ranking.reshape(4),
            "stride": self.temperature.new_full((1,), self.stride),
        }
        if structure.values is None:
            return {"symbols": log_p, **numbers}
        behind = torch.arange(log_p.shape[1], device=log_p.device)[None] >= structure.values[:, None]  # [B, T]
        return {"symbols": torch.where(behind[:, :, None], self._nothing(log_p), log_p), **numbers}

    def _nothing(self, like: Tensor) -> Tensor:
        """What is said of a step behind the end [1, 1, V + 1]: the blank."""
        nothing = torch.full_like(like[:1, :1], FORBIDDEN)
        nothing[:, :, self.blank] = 0.0
        return nothing

    def combined(self, said: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """What the first says, and beside it "voters" [B, M, T, V + 1], log y of each of the M models, behind an end
        nothing but the blank.

        Models put a symbol at one step each, and not at the same, so that the mean over a step is the blank: they vote
        by what they say of whole transcripts.
        """
        steps = max(each["symbols"].shape[1] for each in said)
        voters = []
        for each in said:
            log_p = each["symbols"]
            B, T, _ = log_p.shape
            voters.append(torch.cat((log_p, self._nothing(log_p).expand(B, steps - T, -1)), 1))
        return {**said[0], "voters": torch.stack(voters, 1)}

    def follow(self, embedder: nn.Module, y: Tensor, memory: Any = None) -> tuple[dict[str, Tensor], Any]:
        """ "symbols" [B, V + 1], log y of a step whose core output is y [B, H]."""
        return {"symbols": self._log_p(y)}, memory

    def followed(
        self,
        symbol: str,
        number: int,
        before: Mapping[str, Tensor] | None,
        now: Mapping[str, Tensor],
        codecs: Codecs,
        top: int,
    ) -> dict[str, Any]:
        """`{"token", "symbol", "p"}`: what the step adds to the transcript, "" for nothing; never taken back."""
        best, last = int(now["symbols"][0].argmax()), None if before is None else int(before["symbols"][0].argmax())
        new = best not in (self.blank, last)
        written = self._written([best], codecs) if new else ""
        return {"token": symbol, "symbol": written, "p": float(now["symbols"][0, best].exp())}

    def calibrate(
        self, asked: Sequence[Mapping[str, Tensor]], examples: Sequence[Sequence[Example]], codecs: Codecs
    ) -> list[Mapping[str, Tensor]]:
        """Choose τ by which of the likeliest transcripts are right."""
        log_p, right = [], []
        for each, some in zip(asked, examples, strict=True):
            for rows, example in zip(_rows(each), some, strict=True):
                truth = codecs.value("target", example)
                if truth is not None:
                    best = likeliest_path(rows, self.blank)
                    log_p.append(best.log_p)
                    right.append(self._same(truth, self._written(best.symbols, codecs), codecs))
        self.temperature.fill_(fitted_temperature(np.array(log_p), np.array(right, bool)))
        return [{**each, "temperature": self.temperature.reshape(1)} for each in asked]

    def calibrates(self, options: TranscribeOptions) -> bool:
        """A beam."""
        return options.beam > 1

    def calibrate_search(
        self,
        asked: Iterable[tuple[Mapping[str, Tensor], Sequence[Example]]],
        codecs: Codecs,
        options: TranscribeOptions,
    ) -> None:
        """Choose the weights of a beam's confidence by which of the transcripts that it finds are right."""
        scorer, margins, best, right = self._scorer(codecs, options), list[float](), list[float](), list[bool]()
        for each, some in asked:
            for rows, example in zip(_rows(each), some, strict=True):
                truth = codecs.value("target", example)
                scores = scores_of(found := prefix_beam(rows, self.blank, options.beam, scorer, UNLIKELY))
                if truth is not None and scores[0] > NEVER:
                    margins.append(margin(scores))
                    best.append(scores[0])
                    right.append(self._same(truth, self._written(found[0].symbols, codecs), codecs))
        if right:
            weights = torch.from_numpy(fitted_weights(margins, best, right))
            self.ranking.copy_(torch.cat((weights.new_ones(1), weights)))

    def answers(
        self, asked: Mapping[str, Tensor], examples: Sequence[Example], codecs: Codecs, options: TranscribeOptions
    ) -> list[Answer]:
        scorer = self._scorer(codecs, options) if options.beam > 1 else None
        blank, stride, temperature = codecs["target"].size, int(asked["stride"][0]), float(asked["temperature"][0])
        weights = asked["ranking"].tolist() if "ranking" in asked else [0.0]  # an export of before has none
        found = []
        voters = asked["voters"].double().cpu().numpy() if "voters" in asked else None
        for k, (rows, example) in enumerate(zip(_rows(asked), examples, strict=True)):
            if voters is not None:
                best, *others = elected(voters[k], blank, max(options.beam, VOTING), scorer, UNLIKELY)
            elif options.beam == 1:
                best, *others = [likeliest_path(rows, blank)]
            else:
                best, *others = prefix_beam(rows, blank, options.beam, scorer, UNLIKELY)
            ranked = options.beam > 1 and weights[0] == 1
            sure = confidence(scores_of([best, *others]), weights[1:]) if ranked else np.exp(best.log_p / temperature)
            unit, symbols, picture, end = "steps", list[dict[str, Any]](), None, 0.0
            notes = []
            if options.alignment and (needed := frames_needed(best.symbols)) > len(rows):
                notes.append(f"no alignment: it takes {needed} steps, of which the first run has {len(rows)}.")
            elif options.alignment:
                places = aligned(rows, best.symbols, blank)
                unit, symbols = self._symbols(places, best.symbols, stride, example, codecs)
                picture, end = seen(codecs["input"], codecs.value("input", example))
            transcript = Transcript(
                self._written(best.symbols, codecs),
                float(sure),
                str(example.get("place", "")),
                symbols,
                unit,
                [(self._written(each.symbols, codecs), each.score) for each in others[: options.top]],
                picture,
                end,
            )
            found.append(Answer((transcript,), notes=tuple(notes)))
        return found

    def score(
        self, gold: Sequence[Example], predicted: Sequence[Mapping[str, Any]], codecs: Codecs | None = None
    ) -> Scores:
        """Error rates of symbols and words, whole transcripts right, and how far confidence is from that; see
        `recurra.tasks.transcription_scores`. Symbols that training never saw are wrong like others, and counted."""
        for n, (true, guess) in enumerate(zip(gold, predicted, strict=False), 1):
            check_fields({**true, "transcript": _truth(true)}, guess, ("transcript",), n)
        truths = [_truth(example) for example in gold]
        folds = codecs is not None and getattr(codecs["target"], "folds", False)
        compared = [folded(text) for text in truths] if folds else truths
        sure = [guess["confidence"] for guess in predicted if "confidence" in guess]
        places = [str(example.get("place", f"example {n}")) for n, example in enumerate(gold, 1)]
        scores = transcription_scores(
            compared, [guess["transcript"] for guess in predicted], places, sure if len(sure) == len(gold) else None
        )
        if folds:
            scores.notes.append("The training transcripts have no upper case: true ones are compared in lower case.")
        if codecs is not None:
            self._count_unseen(scores, compared, codecs)
        return scores

    def _count_unseen(self, scores: Scores, truths: Sequence[str], codecs: Codecs) -> None:
        codec = codecs["target"]
        unknown = getattr(codec, "unknown", None)
        if unknown is None:
            return
        count = sum(int((codec.encode(text) == unknown).sum()) for text in truths)
        scores.metrics["unseen_symbols"] = count
        if count:
            scores.notes.append(f"{count:,} true symbols were never seen in training: the model cannot write them.")

    def _log_p(self, y: Tensor) -> Tensor:
        z = self.linear(y)
        return F.log_softmax(z.to(torch.promote_types(z.dtype, torch.float32)), -1)

    def _scorer(self, codecs: Codecs, options: TranscribeOptions) -> Scorer | None:
        """What n-grams say, counted once; None of a run without."""
        if not self.ngrams:
            return None
        if self._language is None:
            codec = codecs["target"]
            with stage("counting n-grams"):
                texts = [codec.encode(text).tolist() for text in codecs["texts"].texts]
                space = codec.encode(" ").tolist()
                self._language = language_of(texts, codec.size, self.ngrams, self.ngram_unit, space, self.closed)
        return self._language.weighed(options.weight, options.bonus)

    def _symbols(
        self, places: Sequence[Place], symbols: Sequence[int], stride: int, example: Example, codecs: Codecs
    ) -> tuple[str, list[dict[str, Any]]]:
        """Where each symbol comes from, in the unit of the input."""
        codec = codecs["input"]
        value = codecs.value("input", example)
        unit = codec.unit_of_place if isinstance(codec, Placed) else "steps"

        def of(step: int) -> float:
            return codec.place_of(value, step * stride) if isinstance(codec, Placed) else float(step * stride)

        found = [
            {"symbol": self._written([symbol], codecs), "begin": of(place.begin), "end": of(place.end), "p": place.p}
            for symbol, place in zip(symbols, places, strict=True)
        ]
        return unit, found

    def _written(self, symbols: Sequence[int], codecs: Codecs) -> str:
        """The text of symbols; the unknown one is never written."""
        codec = codecs["target"]
        kept = [symbol for symbol in symbols if symbol != getattr(codec, "unknown", None)]
        text: str | Sequence[str] = codec.decode(kept)
        return text if isinstance(text, str) else " ".join(text)

    def _same(self, truth: Any, guess: str, codecs: Codecs) -> bool:
        text = truth if isinstance(truth, str) else " ".join(truth)
        folds = getattr(codecs["target"], "folds", False)
        return normalised(folded(text) if folds else text) == normalised(guess)


def _rows(asked: Mapping[str, Tensor]) -> list[Floats]:
    """What is said of each sequence, [T, V + 1]."""
    return [*asked["symbols"].double().cpu().numpy()]


def _truth(example: Example) -> str:
    value = next((example[name] for name in TARGET.of if name in example), None)
    if value is None:
        raise DataError(
            f"{example.get('place', 'an example')}: no transcript to compare with. Score a file that has it, or "
            "predict instead."
        )
    return value if isinstance(value, str) else " ".join(value)
