"""The score of runs on examples, beside those of baselines: written once, for all tasks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recurra import registry
from recurra.answers import Answer
from recurra.baselines.row import Row, scored_rows, suits
from recurra.config import metrics_of
from recurra.decoding.search import cut_notes
from recurra.errors import ConfigError, DataError
from recurra.progress import steps
from recurra.runs.adaptation import Adaptation, not_for
from recurra.runs.adapted_scores import adapted_scores, own_text
from recurra.tasks.contract import Implies, Prepares
from recurra.tasks.metrics import with_metrics
from recurra.tasks.scored import HasParts, Predicts, ScoredByLoss, ScoresItself, StandsBeside
from recurra.tasks.scores import Scores, perplexity
from recurra.tasks.writing import Starts
from recurra.training.evaluation import Score, evaluate
from recurra.types import Example

OWN = "own"
"""The key of a row that is a part of the model by itself, no baseline."""


@dataclass(frozen=True)
class Together:
    """Runs that are asked together; what a task that scores itself asks."""

    runs: Sequence[Any]
    options: Any

    def answers(self, examples: Sequence[Example], options: Any) -> list[Answer]:
        first, *others = self.runs
        answers: list[Answer] = first.answers(first.questions(examples, others), options, beside=others)
        return answers

    def loss(self, examples: Sequence[Example]) -> tuple[float, int]:
        found = self.measured(examples)
        return found.loss, found.targets

    def measured(self, examples: Sequence[Example], one_stream: bool = False) -> Score:
        """The loss of the first run on examples; a long text is read in several streams unless `one_stream`."""
        run = self.runs[0]
        encoded = run.model.codecs.encode_all(examples)
        batching = registry.construct("batching", run.config["batching"])
        batches = batching.scoring(encoded, run.model.codecs.layouts, one_stream)
        detailed = isinstance(run.model.task, ScoredByLoss)
        found = evaluate(run.model, batches, device=run.device, detailed=detailed, called="scoring")
        if found is None:
            raise DataError("the evaluation was stopped before its end, so there is no score. Evaluate again.")
        return found


def score_model(
    runs: Sequence[Any],
    examples: Sequence[Example],
    train: Sequence[Example] | None,
    options: Any,
    adaptation: Adaptation | None = None,
    tell: Callable[[dict[str, Any]], None] = lambda found: None,
) -> dict[str, Any]:
    """The metrics of runs that answer together, with those rows beside them that are the model's own; see
    `with_baselines` for the others. `train`: the training examples, None where no baseline follows.

    `tell` is given what is found by then: before the model adapts, and at the end.
    Raises `ConfigError` for runs that cannot answer together, and for an adaptation of a task that does not adapt.
    """
    run, ask = runs[0], Together(runs, options)
    task, codecs = run.model.task, run.model.codecs
    if adaptation and not isinstance(task, Predicts):
        raise ConfigError(not_for(f"{run.path}, whose task is {run.config['task']['kind']},"))
    if len(runs) > 1 and not _answers_together(task, ask):
        raise ConfigError(
            f"{len(runs)} runs whose task, {run.config['task']['kind']}, is scored by more than its answers as it is "
            "set, cannot be scored together. Evaluate one at a time."
        )
    gold, notes = _prepared(task, examples, codecs)
    begun = time.perf_counter()
    scores, beside, told = _scored(ask, gold, train, one_stream=bool(adaptation))
    seconds = time.perf_counter() - begun
    found: dict[str, Any] = {
        **sizes(codecs, codecs.encode_all(gold), run.in_pieces),
        **({} if run.of_text else {"unit": "steps"}),
        "notes": [*notes, *scores.notes, *told.pop("notes", ())],
        "parameters": sum(each.model.parameter_count for each in runs),
        "runs": len(runs),
        **({} if run.in_pieces else {"examples_per_second": len(gold) / seconds}),
        **told,
        "model": scores.metrics,
        "tables": scores.tables,
    }
    if beside:
        found["baseline"] = beside
    if adaptation:
        tell(found)
        found["streams"] = 1
        found["adapted"] = adapted_scores(run.model, adaptation, gold, own_text(run.config, codecs), run.device)
    tell(found)
    return found


def with_baselines(
    run: Any,
    found: dict[str, Any],
    examples: Sequence[Example],
    train: Sequence[Example],
    tell: Callable[[dict[str, Any]], None] = lambda found: None,
) -> dict[str, Any]:
    """What `score_model` found of examples, with the rows of the baselines fitted on `train`; `tell` is given that with
    each row more."""
    task, codecs = run.model.task, run.model.codecs
    gold, fitted = (_prepared(task, some, codecs)[0] for some in (examples, train))
    whole, own, rows = found, found.get("baseline", []), list[tuple[int, dict[str, Any]]]()
    for placed in _beside(task, run.config["baseline"], fitted, gold, codecs, metrics_of(run.config)):
        rows.append(placed)
        theirs = [row for _, row in sorted(rows, key=lambda each: each[0])]
        whole = found | {"baseline": [*theirs, *own] if isinstance(task, ScoresItself) else [*own, *theirs]}
        tell(whole)
    return whole


def _prepared(task: Any, examples: Sequence[Example], codecs: Any) -> tuple[Sequence[Example], Sequence[str]]:
    """Examples as a task reads them, and what there is to say of that."""
    if not isinstance(task, Prepares):
        return list(examples), []
    prepared: tuple[Sequence[Example], Sequence[str]] = task.prepare(_tokenised(examples, codecs))
    return prepared


def _scored(
    ask: Together, gold: Sequence[Example], train: Sequence[Example] | None, one_stream: bool
) -> tuple[Scores, list[dict[str, Any]], dict[str, Any]]:
    """Scores, rows beside them, and what else there is to say of how they came about."""
    model = ask.runs[0].model
    task, codecs = model.task, model.codecs
    if isinstance(task, ScoresItself) and (own := task.scored(ask, gold, train, codecs)) is not None:
        return own
    if isinstance(task, ScoredByLoss):
        found = ask.measured(gold, one_stream)
        scores = task.metrics(found.loss, found.targets, found.details)
        if not isinstance(task, StandsBeside):
            return scores, [], {}
        return scores, task.beside(model.embedder, model.core, found.targets, found.details), {}
    answers = ask.answers(gold, ask.options)
    scores = with_metrics(task.score(gold, answers, codecs), metrics_of(ask.runs[0].config), gold, answers)
    if not isinstance(task, Starts):
        if not isinstance(task, HasParts):
            return scores, [], {}
        parameters = sum(run.model.parameter_count for run in ask.runs)
        rows = []
        for part, row in task.parts_alone(answers, parameters, codecs):
            told = with_metrics(task.score(gold, part, codecs), metrics_of(ask.runs[0].config), gold, part)
            rows.append({**row, **told.metrics, OWN: True})
        return scores, rows, {}
    cut = sum(not each.json().get("ended", True) for each in answers)
    return scores, [], {"search": ask.options.words, "cut": cut, "notes": cut_notes(cut, len(gold), ask.options)}


def _beside(
    task: Any,
    baseline: Mapping[str, Any],
    train: Sequence[Example],
    gold: Sequence[Example],
    codecs: Any,
    further: Sequence[str],
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of the recipe's baseline, and of the others that the task may stand beside, set as follows from it,
    with the place of theirs. The others come first, as they are the simplest."""
    learned, asked = (_tokenised(some, codecs) for some in (train, gold))

    def metrics(row: Row) -> Mapping[str, float]:
        if row.log_p is not None:
            scored = task.metrics if isinstance(task, ScoredByLoss) else by_loss
            found: Scores = scored(-float(row.log_p.sum()), len(row.log_p), row.sums)
            return found.metrics
        return with_metrics(task.score(gold, row.predictions, codecs), further, gold, row.predictions).metrics

    own = task.baselines if baseline["kind"] in task.baselines else ()
    others = [_implied(kind, task) for kind in own if kind != baseline["kind"] and suits(kind, codecs["input"])]
    for place, settings in (*enumerate(others, start=1), (0, baseline)):
        yield from ((place, row) for row in scored_rows(settings, learned, asked, codecs, metrics))


def _implied(kind: str, task: Any) -> dict[str, Any]:
    """A baseline with those of its settings that follow from the task's."""
    implied = task.implies if isinstance(task, Implies) else {}
    known = registry.defaults("baseline", kind)
    return {"kind": kind} | {key: implied[f"baseline.{key}"] for key in known if f"baseline.{key}" in implied}


def by_loss(loss: float, targets: int, sums: Mapping[str, float]) -> Scores:
    """Metrics of a loss where a task has none of its own."""
    nats = loss / targets
    return Scores({"nats_per_symbol": nats, "perplexity": perplexity(nats)})


def _answers_together(task: Any, ask: Together) -> bool:
    return not isinstance(task, ScoredByLoss) and not getattr(task, "judged_by_loss", False)


def _tokenised(examples: Sequence[Example], codecs: Any) -> list[Example]:
    if not codecs.splits:
        return list(examples)
    return [codecs.tokenised(example) for example in steps(examples, "splitting into tokens", "examples")]


def _called(name: str, field: Any, codecs: Any) -> str:
    """What the steps of a field are counted as."""
    return str(field.of[0]) if name != "input" or hasattr(codecs[name], "symbols") else "steps"


def sizes(codecs: Any, encoded: Sequence[Mapping[str, Any]], in_pieces: bool) -> dict[str, Any]:
    """How much examples hold: "symbols" of one long text, else "examples" and "tokens", those of several sequences by
    name; and the share of the input that is unknown."""
    shares = codecs.unknown_shares(encoded)
    steps = {
        _called(name, field, codecs): sum(len(each[name]) - field.ended for each in encoded if name in each)
        for name, field in codecs.fields.items()
        if (name == "input" or field.learned) and not field.along and codecs[name].shape[:1] == (None,)
    }
    if not steps:  # inputs that all have as many
        steps = {"steps": sum(len(each["input"]) for each in encoded)}
    share = {"unknown_share": shares.get("input", 0.0)}
    if in_pieces:
        return {"symbols": next(iter(steps.values())), **share}
    tokens: Any = steps if len(steps) > 1 else next(iter(steps.values()))
    return {"examples": len(encoded), "tokens": tokens, **share}
