"""Scores of tags and labels, from the names alone: a model and its baselines are measured by the same functions.

All shares are per cent, 0 to 100. Where nothing could be found or nothing was said, the share is 0, as conlleval says.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from recurra.data.spans import spans
from recurra.errors import DataError
from recurra.types import Example


def perplexity(nats: float) -> float:
    """exp(nats), of a mean loss per symbol in natural logarithms; infinite where a float cannot hold it."""
    return math.exp(nats) if nats < 700 else math.inf


class Table(TypedDict):
    """Numbers in rows; the first column names the row. As it is written to a report."""

    columns: list[str]
    rows: list[list[str | float]]


@dataclass(frozen=True)
class Scores:
    """Metrics by name, and what they are made of by type, label or length."""

    metrics: dict[str, float]
    tables: dict[str, Table] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """How they were counted, a line each, where that can differ: a score's signature."""


def span_scores(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> Scores:
    """Precision, recall and F1 of whole spans, as conlleval counts them, with a table "types".

    A span is right where its type and both of its ends are: P = right / predicted, R = right / gold,
    F1 = 2 P R / (P + R). The overall figures count all spans together, whatever their type. Malformed tags are read as
    conlleval reads them; it knows B, I and O only, other schemes count as if they were converted first.

    Raises DataError for sequences that are not of one length.
    Source: Tjong Kim Sang & Buchholz 2000, Introduction to the CoNLL-2000 shared task, and its program conlleval.
    """
    _check_lengths(gold, predicted)
    wanted: Counter[str] = Counter()
    said: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for true, guess in zip(gold, predicted, strict=True):
        true_spans, guessed_spans = set(spans(true)), set(spans(guess))
        wanted.update(name for name, *_ in true_spans)
        said.update(name for name, *_ in guessed_spans)
        right.update(name for name, *_ in true_spans & guessed_spans)
    precision, recall, f1 = _found(right.total(), said.total(), wanted.total())
    return Scores(
        {"f1": f1, "precision": precision, "recall": recall}, {"types": _by_name("type", right, said, wanted)}
    )


def accuracy(gold: Sequence[str], predicted: Sequence[str]) -> float:
    """Share of the names that are right; raises DataError where there are none, or not as many as in `gold`."""
    if len(gold) != len(predicted):
        raise DataError(f"{len(predicted)} predicted names, expected {len(gold)}: one for each true one.")
    if not gold:
        raise DataError("a score over 0 names means nothing. Evaluate on one sequence or more.")
    return 100 * sum(g == p for g, p in zip(gold, predicted, strict=True)) / len(gold)


def macro_f1(gold: Sequence[Collection[str]], predicted: Sequence[Collection[str]]) -> float:
    """Mean F1 of the labels, rare ones counting like frequent ones; each example has a set of labels.

    The labels are those that occur in `gold` or in `predicted`; 0 where there are none.
    """
    right, said, wanted = _counts(gold, predicted)
    each = [_found(right[name], said[name], wanted[name])[2] for name in said | wanted]
    return sum(each) / len(each) if each else 0.0


def confusion(gold: Sequence[str], predicted: Sequence[str]) -> Table:
    """How often each true label (a row) was taken for each label (a column): counts, labels in alphabetical order."""
    pairs = Counter(zip(gold, predicted, strict=True))
    names = sorted({*gold, *predicted})
    return Table(columns=["label", *names], rows=[[g, *(pairs[g, p] for p in names)] for g in names])


def label_scores(gold: Sequence[str], predicted: Sequence[str]) -> Scores:
    """Accuracy and macro F1 of one label an example, with tables "labels" and "confusion".

    Raises DataError as `accuracy` does.
    """
    share = accuracy(gold, predicted)
    sets, guesses = [{name} for name in gold], [{name} for name in predicted]
    tables = {"labels": _by_name("label", *_counts(sets, guesses)), "confusion": confusion(gold, predicted)}
    return Scores({"accuracy": share, "macro_f1": macro_f1(sets, guesses)}, tables)


def label_set_scores(gold: Sequence[Collection[str]], predicted: Sequence[Collection[str]]) -> Scores:
    """Scores of any number of labels an example: micro F1 (all decisions together), macro F1, exact match of the set.

    With a table "labels". Raises DataError where there are no examples, or not as many as in `gold`.
    """
    _check_count(gold, predicted)
    if not gold:
        raise DataError("a score over 0 examples means nothing. Evaluate on one sequence or more.")
    right, said, wanted = _counts(gold, predicted)
    exact = sum(set(g) == set(p) for g, p in zip(gold, predicted, strict=True))
    metrics = {
        "micro_f1": _found(right.total(), said.total(), wanted.total())[2],
        "macro_f1": macro_f1(gold, predicted),
        "exact_match": 100 * exact / len(gold),
    }
    return Scores(metrics, {"labels": _by_name("label", right, said, wanted)})


def tag_scores(
    gold: Sequence[Example],
    predicted: Sequence[Mapping[str, Any]],
    *,
    with_spans: bool = True,
    with_label: bool = False,
    known: Mapping[str, Collection[str]] | None = None,
) -> Scores:
    """Scores of tagged sentences, examples with "tags" and, `with_label`, a "label".

    "f1", "precision", "recall" of spans (`with_spans`), "accuracy" of tags, "intent_accuracy" of labels,
    "sentence_accuracy": share of the sentences of which all of that is right. Where predictions have tags or labels
    alone, what wants the other is left out. `known` names what the training data held ("tags", "label"): true names
    beyond it, which no model could give, are wrong like others, and counted as "unseen_tags", "unseen_labels".

    Raises DataError for a prediction that lacks a field or has another number of tags, naming the sentence's place.
    """
    _check_count(gold, predicted)
    asked = ("tags", "label") if with_label else ("tags",)
    fields = [name for name in asked if any(name in guess for guess in predicted)] or ["tags"]
    for n, (true, guess) in enumerate(zip(gold, predicted, strict=True), 1):
        check_fields(true, guess, fields, n)
    scores = Scores({})
    right = [True] * len(gold)
    if "tags" in fields:
        tags, guesses = ([list(e["tags"]) for e in side] for side in (gold, predicted))
        _check_lengths(tags, guesses, gold)
        right = [t == g for t, g in zip(tags, guesses, strict=True)]
        scores = span_scores(tags, guesses) if with_spans else scores
        flat = [t for sentence in tags for t in sentence]
        scores.metrics["accuracy"] = accuracy(flat, [t for sentence in guesses for t in sentence])
    if "label" in fields:
        labels, said = ([str(e["label"]) for e in side] for side in (gold, predicted))
        right = [r and t == g for r, t, g in zip(right, labels, said, strict=True)]
        scores.metrics["intent_accuracy"] = accuracy(labels, said)
        scores.tables["labels"] = label_scores(labels, said).tables["labels"]
    if len(fields) == len(asked):
        scores.metrics["sentence_accuracy"] = 100 * sum(right) / len(right)
    if known is not None and "tags" in fields:
        scores.metrics["unseen_tags"] = unseen(flat, known["tags"])
    if known is not None and "label" in fields:
        scores.metrics["unseen_labels"] = unseen(labels, known["label"])
    return scores


def unseen(names: Iterable[str], known: Collection[str]) -> int:
    """How many of the names, each time they occur, are not among the known ones."""
    known = frozenset(known)
    return sum(name not in known for name in names)


def check_fields(true: Example, guess: Mapping[str, Any], fields: Sequence[str], number: int) -> None:
    """Raise DataError where the true or the predicted side of example `number` (from 1) lacks one of the fields."""
    place = true.get("place") or f"example {number}"
    for name in fields:
        if name not in true:
            raise DataError(f"{place}: no {name!r} to compare with. Score a file that has it, or predict instead.")
        if name not in guess:
            raise DataError(f"{place}: the prediction has no {name!r}, it has {', '.join(guess) or 'nothing'}.")


def _check_count(gold: Sequence[Any], predicted: Sequence[Any]) -> None:
    if len(gold) != len(predicted):
        raise DataError(f"{len(predicted)} predictions, expected {len(gold)}: one for each example, in their order.")


def _check_lengths(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], examples: Sequence[Example] = ()
) -> None:
    _check_count(gold, predicted)
    for n, (true, guess) in enumerate(zip(gold, predicted, strict=True)):
        if len(true) != len(guess):
            place = (examples[n].get("place") if examples else None) or f"sentence {n + 1}"
            raise DataError(f"{place}: {len(guess)} predicted tags, expected {len(true)}: one for each word.")


def _counts(
    gold: Sequence[Collection[str]], predicted: Sequence[Collection[str]]
) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """How often each label is right, was said, and was wanted."""
    pairs = [(set(g), set(p)) for g, p in zip(gold, predicted, strict=True)]
    right = Counter(name for g, p in pairs for name in g & p)
    return right, Counter(name for _, p in pairs for name in p), Counter(name for g, _ in pairs for name in g)


def _found(right: int, said: int, wanted: int) -> tuple[float, float, float]:
    """Precision, recall and F1, per cent."""
    precision = 100 * right / said if said else 0.0
    recall = 100 * right / wanted if wanted else 0.0
    return precision, recall, 200 * right / (said + wanted) if right else 0.0


def _by_name(what: str, right: Counter[str], said: Counter[str], wanted: Counter[str]) -> Table:
    columns = [what, "precision", "recall", "f1", "gold", "predicted", "correct"]
    names = sorted({*said, *wanted})
    rows: list[list[str | float]] = [
        [n, *_found(right[n], said[n], wanted[n]), wanted[n], said[n], right[n]] for n in names
    ]
    return Table(columns=columns, rows=rows)
