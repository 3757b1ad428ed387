"""A run that tags or classifies, opened: it labels sentences and scores labelled files, alone or with other runs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch

from recurra import registry
from recurra.baselines.row import scored_rows
from recurra.config import metrics_of
from recurra.data.codecs.contract import unknown_share
from recurra.data.fields import Codecs
from recurra.data.former import label_codecs
from recurra.data.spans import spans
from recurra.errors import ConfigError
from recurra.model import Model
from recurra.serving.likely import likely
from recurra.serving.opened import OpenedRun
from recurra.serving.reading import examples_to_score
from recurra.serving.stopped import Stopped
from recurra.serving.threads import threads_set
from recurra.tasks.metrics import with_metrics
from recurra.training.evaluation import autocast, moved
from recurra.types import Batch, Example

Answer = Mapping[str, Any]
"""What a model says of an example: "tags", one a token; "label"; "labels"."""


class Pass(Protocol):
    """All examples in batches: `order` says which are in each."""

    order: Sequence[Sequence[int]]

    def __getitem__(self, k: int, /) -> Batch: ...


BOUNDARIES = frozenset("BMIES")
"""Tags that part a text without naming its parts."""
SHOWN = 3
"""Examples of the test that the report shows."""


class LabelRun(OpenedRun):
    """A run directory and the model in it::

    run = recurra.load("run")
    run.predict("flights from boston to denver")[0]["tags"]
    run.evaluate("other.conll")["model"]["f1"]
    """

    does: ClassVar[str] = "label"

    def predict(
        self,
        *inputs: str | Sequence[str],
        top: int = 0,
        threads: int | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> list[dict[str, Any]]:
        """Label texts, or sentences given as lists of tokens: `[{"tokens", "tags"}]`, `[{"tokens", "label"}]` …

        With `top` there are probabilities, too: "p", that of each tag whatever the others are, and "likeliest", so many
        labels `[{"label", "p"}]`, the likeliest first. Raises `Stopped` where `stop()` says so between two batches.
        """
        if top < 0:
            raise ConfigError(f"top = {top}, expected 0 or more labels.")
        examples = [{"text": given} if isinstance(given, str) else {"tokens": list(given)} for given in inputs]
        tokenised = [
            {**example, "tokens": label_codecs(self.model.vocabularies).tokens(example)} for example in examples
        ]
        with threads_set(threads):
            found = answers([self.model], self.model.task.prepare(tokenised)[0], self.device, stop=stop, top=top)
        if found is None:
            raise Stopped
        pairs = zip((example["tokens"] for example in tokenised), found, strict=True)
        return [{"tokens": tokens, **answer, **_segments(tokens, answer.get("tags", ()))} for tokens, answer in pairs]

    def evaluate(
        self,
        *files: str | Path,
        baseline: bool = True,
        threads: int | None = None,
        beside: Sequence[LabelRun] = (),
        settings: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Score files, or, where none is named, the run's own test part (its validation part if it has no test).

        With other runs `beside` it, they answer together: by the mean of their scores of every label. `settings` are
        those of the reader for files unlike the training's, `{"reader.kind": "columns"}`.
        Gives `{"data", "examples", "tokens", "unknown_share", "parameters", "model": {metrics}, "tables", "baseline":
        [{"name", "size", "unit", metrics}]}`, and the `split` of the run's own data.
        """
        found, examples, train = examples_to_score(self.config, files, settings or {}, baseline)
        with threads_set(threads):
            return found | self.score(examples, train, beside)

    def score(
        self, examples: Sequence[Example], train: Sequence[Example] | None, beside: Sequence[LabelRun] = ()
    ) -> dict[str, Any]:
        """The metrics of the model on examples, beside the baselines fitted on `train` (None: without them)."""
        task, encoder = self.model.task, label_codecs(self.model.vocabularies)
        models = _checked([self, *beside], examples)
        gold, notes = task.prepare(_tokenised(examples, encoder))
        begun = time.perf_counter()
        found = answers(models, gold, self.device)
        seconds = time.perf_counter() - begun
        assert found is not None
        known: dict[str, Sequence[str]] = {
            name: self.model.vocabularies[name].symbols for name in ("tags", "label") if name in self.model.vocabularies
        }
        further = metrics_of(self.config)
        scored = with_metrics(task.score(gold, found, known), further, gold, found)
        ids = [encoder["input"].encode(example["tokens"]) for example in gold]
        tokens = sum(map(len, ids))
        result: dict[str, Any] = {
            "examples": len(gold),
            "tokens": tokens,
            "unknown_share": unknown_share(encoder["input"], ids),
            "notes": [*notes, *unseen(gold, known)],
            "parameters": sum(model.parameter_count for model in models),
            "runs": len(models),
            "examples_per_second": len(gold) / seconds,
            "model": scored.metrics,
            "tables": scored.tables,
        }
        if train is not None:
            result["baseline"] = scored_rows(
                [self.config["baseline"]],
                task.prepare(_tokenised(train, encoder))[0],
                gold,
                encoder,
                lambda row: (
                    with_metrics(task.score(gold, row.predictions, known), further, gold, row.predictions).metrics
                ),
            )
        return result

    def shown(self, test: Sequence[Example], seed: int) -> dict[str, Any]:
        """What the report shows of the model beside its scores: how it labels the first examples of the test."""
        first = _tokenised(test[:SHOWN], label_codecs(self.model.vocabularies))
        return {"shown": self.predict(*(example["tokens"] for example in first))}


def answers(
    models: Sequence[Model],
    examples: Sequence[Example],
    device: torch.device,
    precision: str = "float32",
    stop: Callable[[], bool] = lambda: False,
    top: int = 0,
) -> list[dict[str, Any]] | None:
    """What models say together of examples: every label's score is the mean of theirs. None: `stop()` said so."""
    first, passes = models[0], []
    batching = registry.construct("batching", first.config["batching"])
    for model in models:
        encoder = label_codecs(model.vocabularies)
        passes.append(batching.batches([encoder.encode(e) for e in examples], encoder.layouts, whole=True))
    return answers_to_passes(models, passes, device, precision, stop, top)


def answers_to_passes(
    models: Sequence[Model],
    passes: Sequence[Pass],
    device: torch.device,
    precision: str = "float32",
    stop: Callable[[], bool] = lambda: False,
    top: int = 0,
) -> list[dict[str, Any]] | None:
    """The same for examples that lie in batches already, as each model's vocabularies encode them; with `top`, their
    probabilities, too."""
    first = models[0]
    found: dict[int, dict[str, Any]] = {}
    with torch.no_grad():
        for k, rows in enumerate(passes[0].order):
            if stop():
                return None
            potentials = []
            for model, batches in zip(models, passes, strict=True):
                batch = moved(batches[k], device)
                with autocast(device, precision):
                    potentials.append(model.task.potentials(model.embedder, model.core, batch))
            for run in potentials[1:]:
                if run.keys() != potentials[0].keys():
                    raise ConfigError(
                        f"the runs score labels in different ways, by {', '.join(potentials[0])} and by "
                        f"{', '.join(run)}, so they cannot answer together. Name runs with one task.decoder."
                    )
            mean = {name: torch.stack([p[name] for p in potentials]).mean(0) for name in potentials[0]}
            decoded = first.task.decode(mean, batch.structure)
            shares = likely(first, mean, decoded, batch.structure, top) if top else [{}] * len(rows)
            for place, row in enumerate(rows):
                found[row] = {name: _named(first, name, values[place]) for name, values in decoded.items()}
                found[row] |= shares[place]
    return [found[row] for row in range(len(found))]


def _segments(tokens: Sequence[str], tags: Sequence[str]) -> dict[str, list[str]]:
    """The pieces that tags without types (B, M, E, S) part a text into."""
    if not tags or any(tag not in BOUNDARIES for tag in tags):
        return {}
    return {"segments": ["".join(tokens[begin:end]) for _, begin, end in spans(tags)]}


def _named(model: Model, name: str, value: Any) -> Any:
    """A label's name, or a list of them, of its number or numbers."""
    vocabulary: Any = model.vocabularies["tags" if name == "tags" else "label"]
    return vocabulary.pieces([value])[0] if name == "label" else vocabulary.pieces(value)


def _tokenised(examples: Sequence[Example], encoder: Codecs) -> list[Example]:
    return [{**example, "tokens": encoder.tokens(example)} for example in examples]


def _checked(runs: Sequence[LabelRun], examples: Sequence[Example]) -> list[Model]:
    """The models of runs that can answer together. Raises `ConfigError` for others."""
    (first, *others), models = runs, [run.model for run in runs]
    wanted, *found = (model.task.needs[1:] for model in models)
    tokens = [label_codecs(models[0].vocabularies).tokens(example) for example in examples] if others else []
    for run, fields in zip(others, found, strict=True):
        together = f"{run.path} and {first.path} cannot answer together: "
        if fields != wanted:
            raise ConfigError(
                f"{together}one names {' and '.join(fields)}, the other {' and '.join(wanted)}. "
                "Name runs of the same task."
            )
        for name in ("tags", "label"):
            symbols = [getattr(each.model.vocabularies.get(name), "symbols", None) for each in (first, run)]
            if symbols[0] != symbols[1]:
                raise ConfigError(f"{together}they have other {name}. Name runs that were trained on the same data.")
        encoder = label_codecs(run.model.vocabularies)
        for mine, example in zip(tokens, examples, strict=True):
            if encoder.tokens(example) != mine:
                raise ConfigError(
                    f"{together}they split a text in different ways, first at {example.get('place', 'the first')}. "
                    "Name runs with one vocabulary.split."
                )
    return models


def unseen(gold: Sequence[Example], known: Mapping[str, Sequence[str]]) -> list[str]:
    """A sentence for each field with names that training never saw."""
    notes = []
    for field, of in (("tags", "tags"), ("label", "label"), ("labels", "label")):
        given = [example[field] for example in gold if field in example] if of in known else []
        counts = Counter(name for names in given for name in ([names] if field == "label" else names))
        new = sorted(counts.keys() - known.get(of, ()), key=lambda name: (-counts[name], name))
        if new:
            named = ", ".join(new[:SHOWN]) + (", …" if len(new) > SHOWN else "")
            count, what = sum(counts[name] for name in new), of.removesuffix("s") + "s"
            notes.append(
                f"{count:,} of {counts.total():,} {what} were never seen in training ({named}): the model cannot give "
                "them."
            )
    return notes
