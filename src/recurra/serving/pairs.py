"""A run that turns sources into targets, opened: it translates texts and scores pairs, alone or with other runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from recurra import registry
from recurra.baselines.row import scored_rows
from recurra.config import metrics_of
from recurra.data.batching.buckets import BucketEpoch
from recurra.data.files import counted
from recurra.data.former import pair_codecs
from recurra.data.readers.poems import verses
from recurra.data.sides import source_of, targets_of
from recurra.errors import ConfigError
from recurra.serving.alignment import UNKNOWN
from recurra.serving.opened import OpenedRun
from recurra.serving.poems import check_alone, check_form, prompted, score_poems
from recurra.serving.reading import examples_to_score
from recurra.serving.search import Search, make_search, search_as_said
from recurra.serving.stopped import Stopped
from recurra.serving.threads import threads_set
from recurra.serving.translate import (
    LENGTHENING,
    MORE,
    Written,
    said_of,
    source_pieces,
    translate,
    without_targets,
)
from recurra.tasks.metrics import with_metrics
from recurra.types import Example

SHOWN = 3
"""Examples of the test that the report shows."""


class PairRun(OpenedRun):
    """A run directory and the model in it::

    run = recurra.load("run")
    run.predict("a dog runs")[0]["target"]
    run.evaluate("test.en", "test.de")["model"]["bleu"]
    """

    does: ClassVar[str] = "translate"

    @property
    def writes_poems(self) -> bool:
        """Whether its sources are forms and titles, and its targets poems."""
        return bool(self.model.task.scores == "poems")

    @property
    def search(self) -> Search:
        """How the recipe says that targets are found."""
        return make_search(self.config.get("search", {}))

    def predict(
        self,
        *sources: str | Sequence[str] | Example,
        beam: int | None = None,
        n_best: int | None = None,
        length_penalty: float | None = None,
        no_repeat: int | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        form: bool | None = None,
        alignment: bool = False,
        attention: bool = False,
        cells: int | None = None,
        threads: int | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> list[dict[str, Any]]:
        """What the model writes for sources, as texts, tokens or examples: `[{"source", "target", "score", …}]`.

        "score" is what hypotheses are ranked by, "log_p" their natural log-probability, "ended" is false for one that
        was cut at the longest length allowed; "unknown_source" and "unknown_target" count symbols without a name. With
        `n_best` above 1 "hypotheses" holds the best, the first of them as above. With `alignment`, "source_tokens",
        "target_tokens", for each target token the number of the source token it looks at most, "alignment", and words
        with the words they come from, "aligned"; with `attention` also how much each target token of the best looks at
        each source token, the end marks last, "attention", rows that sum to 1. An empty source has an empty target.
        Of a hypothesis whose attention has more than `cells` numbers nothing says where it looks, and "beyond_cells" is
        true.

        A run that writes poems is asked by form and title, "7x4 春望", or by a title alone, and gives a poem's "lines",
        too; see `recurra.data.readers.poems`.

        The keywords of the search stand in the place of the recipe's; see `recurra.serving.search.Search`. Raises
        `Stopped` where `stop()`, asked at every step, says so.
        """
        said = {
            "beam": beam,
            "n_best": n_best,
            "length_penalty": length_penalty,
            "no_repeat": no_repeat,
            "temperature": temperature,
            "top_k": top_k,
            "top_p": top_p,
            "seed": seed,
            "form": form,
        }
        search = self._searched({name: value for name, value in said.items() if value is not None})
        if (alignment or attention) and not self.model.task.aligns:
            raise ConfigError(
                f"{self.path} has a decoder without attention, so nothing says which part of a source its words come "
                'from. Train with task.decoder.context = "attention", or leave the alignment out.'
            )
        examples = [source if isinstance(source, Mapping) else {"source": source} for source in sources]
        if self.writes_poems:
            examples = [prompted(example) if _is_said(source_of(example)) else example for example in examples]
        with threads_set(threads):
            found = self._written([self], examples, search, alignment or attention, cells, stop)
        return [
            self._answer(example, ids, found.get(row, []), search.n_best > 1, attention)
            for row, (example, ids) in enumerate(zip(examples, self._encoded(examples), strict=True))
        ]

    def doubts(self, answers: Iterable[Mapping[str, Any]]) -> list[str]:
        """What there is to say of answers as `predict` gives them, a sentence each: unknown symbols, cut targets."""
        answers = list(answers)
        source, target = (sum(answer[f"unknown_{side}"] for answer in answers) for side in ("source", "target"))
        cut = sum(not answer["ended"] for answer in answers)
        said = []
        if source:
            said.append(f"the run does not know {counted(source, 'symbol')} of the input.")
        if target:
            said.append(f"{counted(target, 'symbol')} of the output without a name, written as {UNKNOWN}.")
        if cut:
            said.append(_cut(cut, len(answers), self.search))
        return said

    def evaluate(
        self,
        *files: str | Path,
        baseline: bool = True,
        threads: int | None = None,
        beside: Sequence[PairRun] = (),
        settings: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Score a run on files, or, where none is named, on its own test part (its validation part if it has no test).

        With other runs `beside` it, they write together: each symbol's probability is the mean of theirs. `settings`
        are those of the reader for files unlike the training's, `{"reader.kind": "pairs"}`, and of the search,
        `{"search.beam": 1}`.
        Gives `{"data", "examples", "tokens", "unknown_share", "parameters", "search", "model": {metrics}, "tables",
        "baseline": [{"name", "size", "unit", metrics}]}`, and the `split` of the run's own data.
        """
        settings = settings or {}
        searching = {name.removeprefix("search."): v for name, v in settings.items() if name.startswith("search.")}
        reading = {name: value for name, value in settings.items() if name.startswith("reader.")}
        search = self._searched(searching)
        found, examples, train = examples_to_score(self.config, files, reading, baseline)
        with threads_set(threads):
            return found | self.score(examples, train, beside, search)

    def score(
        self,
        examples: Sequence[Example],
        train: Sequence[Example] | None,
        beside: Sequence[PairRun] = (),
        search: Search | None = None,
    ) -> dict[str, Any]:
        """The metrics of the model on pairs, beside the baselines fitted on `train` (None: without them).

        Poems are written twice, freely and with their form kept; see `recurra.serving.poems.score_poems`.
        """
        runs, search, task = [self, *beside], search or self.search, self.model.task
        further = metrics_of(self.config)
        _check_together(runs)
        encoded = pair_codecs(self.model.vocabularies).encode_all(examples)
        if self.writes_poems:
            check_alone(len(runs))
            search = replace(search, form=False)
        begun = time.perf_counter()
        found = self._written(runs, examples, search)
        seconds = time.perf_counter() - begun
        texts = _texts(found, len(examples))
        predicted = [{"target": text} for text in texts]
        beside_it: list[dict[str, Any]] = []
        if self.writes_poems:
            kept = _texts(self._written(runs, examples, replace(search, form=True)), len(examples))
            scored, beside_it = score_poems(self.model, self.device, examples, train, texts, kept)
        else:
            scored = task.score(examples, predicted)
        with_metrics(scored, further, examples, predicted)
        tokens = {name: sum(len(each[name]) - 1 for each in encoded if name in each) for name in ("input", "target")}
        unknown = sum(self._unknown(each["input"]) for each in encoded)
        cut = sum(not written[0].hypothesis.ended for written in found.values())
        result: dict[str, Any] = {
            "examples": len(examples),
            "tokens": {"source": tokens["input"], "target": tokens["target"]},
            "unknown_share": unknown / max(1, tokens["input"]),
            "notes": [*scored.notes, *([_cut(cut, len(examples), search)] if cut else [])],
            "parameters": sum(run.model.parameter_count for run in runs),
            "runs": len(runs),
            "search": search.said,
            "cut": cut,
            "examples_per_second": len(examples) / seconds,
            "model": scored.metrics,
            "tables": scored.tables,
        }
        if beside_it:
            result["baseline"] = beside_it
        elif train is not None:
            own = self.config["baseline"]
            others = [{"kind": kind} for kind in task.baselines if kind != own["kind"]]
            result["baseline"] = scored_rows(
                [own, *others],
                train,
                examples,
                self.model.vocabularies,
                lambda row: (
                    with_metrics(task.score(examples, row.predictions), further, examples, row.predictions).metrics
                ),
            )
        return result

    def shown(self, test: Sequence[Example], seed: int) -> dict[str, Any]:
        """What the report shows of the model beside its scores: what it writes for the first sources of the test."""
        answers = self.predict(*map(without_targets, test[:SHOWN]))
        return {
            "shown": [
                {name: answer[name] for name in ("source", "target", "lines") if name in answer}
                | {"references": targets_of(example)}
                for answer, example in zip(answers, test, strict=False)
            ]
        }

    def _searched(self, said: Mapping[str, Any]) -> Search:
        search = search_as_said(self.config.get("search", {}), said)
        if search.form:
            check_form(self.model.task)
        return search

    def _encoded(self, examples: Sequence[Example]) -> list[Any]:
        """The numbers of sources, without the end mark."""
        encoded = pair_codecs(self.model.vocabularies).encode_all(map(without_targets, examples))
        return [each["input"][:-1] for each in encoded]

    def _unknown(self, ids: Any) -> int:
        return int((ids == self.model.vocabularies["input"].unknown).sum())

    def _written(
        self,
        runs: Sequence[PairRun],
        examples: Sequence[Example],
        search: Search,
        aligned: bool = False,
        cells: int | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> dict[int, list[Written]]:
        """By row, what runs write together for the sources that hold anything."""
        rows = [row for row, example in enumerate(examples) if _is_said(source_of(example))]
        asked = [without_targets(examples[row]) for row in rows]
        batching = registry.construct("batching", self.config["batching"])
        passes: list[BucketEpoch] = []
        for run in runs:
            codecs = pair_codecs(run.model.vocabularies)
            own = batching.batches(codecs.encode_all(asked), codecs.layouts, whole=True)
            passes.append(replace(own, order=passes[0].order) if passes else own)
        sources = [
            self._pieces(example, each["input"][:-1]) for example, each in zip(asked, passes[0].encoded, strict=True)
        ]
        models = [run.model for run in runs]
        found = translate(models, passes, sources, search, self.device, aligned=aligned, cells=cells, stop=stop)
        if found is None:
            raise Stopped
        return {rows[k]: written for k, written in found.items()}

    def _pieces(self, example: Example, ids: Any) -> list[str]:
        return source_pieces(self.model.vocabularies["input"], source_of(example), ids)

    def _answer(
        self, example: Example, ids: Any, written: Sequence[Written], several: bool, attention: bool = False
    ) -> dict[str, Any]:
        """What `predict` says of a source: of its hypotheses `written`, none for an empty one."""
        nothing = {"target": "", "score": 0.0, "log_p": 0.0, "ended": True, "unknown_target": 0}
        source = self._pieces(example, ids)
        hypotheses = [said_of(one, self.model.vocabularies, ids, source) for one in written]
        if attention and written and written[0].attention is not None:
            hypotheses[0]["attention"] = written[0].attention.double().tolist()
        best = {"source": source_of(example), **(hypotheses[0] if hypotheses else nothing)}
        if self.writes_poems:
            best["lines"] = verses(best["target"])
        return best | {"unknown_source": self._unknown(ids)} | ({"hypotheses": hypotheses} if several else {})


def _is_said(source: str | Sequence[str]) -> bool:
    """Whether a source holds anything."""
    return bool(source.strip() if isinstance(source, str) else source)


def _texts(found: Mapping[int, Sequence[Written]], count: int) -> list[str]:
    """The best text of each row, empty where nothing was asked for."""
    return [found[row][0].target if row in found else "" for row in range(count)]


def _cut(count: int, of: int, search: Search) -> str:
    length = f"{LENGTHENING} times as long as the source and {MORE} symbols more"
    if search.longest is not None:
        length = f"after {counted(search.longest, 'symbol')}"
    return f"{count:,} of {counted(of, 'target')} cut off without an end, {length}."


def _check_together(runs: Sequence[PairRun]) -> None:
    """Refuse runs that write other symbols."""
    first, *others = runs
    wanted: Any = first.model.vocabularies["target"]
    for run in others:
        if run.model.vocabularies["target"].record() != wanted.record():
            raise ConfigError(
                f"{run.path} and {first.path} cannot write together: their target vocabularies differ. Name runs that "
                "were trained on the same data with the same [vocabulary] and [target]."
            )
