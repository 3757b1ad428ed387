"""What every baseline is, what it gives, and how that is scored beside a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from recurra import registry
from recurra.errors import DataError
from recurra.progress import stage
from recurra.types import Example, Mixes


@dataclass(frozen=True)
class Row:
    """What one plain model makes of a test set: a line of the table a score is printed in.

    It has `predictions`, or where the task is scored by how likely the truth was, `log_p`.
    """

    name: str
    size: int
    """How much it holds, in `unit`s."""
    unit: str
    predictions: Sequence[Mapping[str, Any]] = ()
    """The fields it answers, one dict an example, in their order: "tags", "label", "labels", "target" …"""
    note: str = ""
    """What was chosen for it and how."""
    log_p: NDArray[np.float64] | None = None
    """[N] natural log-probabilities of all the symbols that are predicted, of all examples."""
    sums: Mapping[str, float] = field(default_factory=dict)
    """Beside `log_p`: what else a score that is made of sums over all places wants, by name."""
    facts: Mapping[str, int] = field(default_factory=dict)
    """What else is printed of it, by name: "order"."""


class Baseline(Protocol):
    """A plain model that a score is printed beside, or several; its constructor's keywords are its settings.

    One that wants examples split into tokens says so, `of_tokens = True`, one that wants numbers `of_numbers = True`:
    other inputs are refused before a training. One `of_bases` learns from sequences of bases only, and one `of_words`
    from any tokens but those.
    """

    def rows(self, train: Sequence[Example], test: Sequence[Example], codecs: Mapping[str, Any]) -> Iterator[Row]:
        """Learn from the training examples and answer the others, one plain model after another.

        Examples are as the model is given them: "tokens" where its input has tokens. `codecs` are the model's, by
        field: what it encodes its "input" and its "target" with. A baseline that needs no numbers leaves them alone.
        Raises DataError for examples that it cannot learn from or answer.
        """
        ...


def suits(baseline: str, codec: Any) -> bool:
    """Whether a baseline may learn from an input of this codec: one of tokens not from numbers, nor the other way; and
    one of words not from bases."""
    made, symbols = registry.find("baseline", baseline), hasattr(codec, "symbols")
    if getattr(made, "of_words" if isinstance(codec, Mixes) else "of_bases", False):
        return False
    return not getattr(made, "of_numbers" if symbols else "of_tokens", False)


def scored_rows(
    settings: Mapping[str, Any],
    train: Sequence[Example],
    test: Sequence[Example],
    codecs: Mapping[str, Any],
    score: Callable[[Row], Mapping[str, float]],
) -> Iterator[dict[str, Any]]:
    """The rows of the baseline that `settings` name, each with what `score` makes of it: of a report's "baseline"."""
    with stage(f"the baseline {settings['kind']}"):
        for row in registry.construct("baseline", settings).rows(train, test, codecs):
            facts = {"name": row.name, **row.facts, "size": row.size, "unit": row.unit, "note": row.note}
            yield {**facts, **score(row)}


def check_train(baseline: str, examples: Sequence[Example], *wanted: str) -> None:
    """Raise DataError where there are no training examples, or one lacks all of the `wanted` fields or its tokens."""
    if not examples:
        raise DataError(f"{baseline}: no training examples, expected at least 1. Is the training file empty?")
    check_fields(baseline, "training", examples, "tokens")
    check_fields(baseline, "training", examples, *wanted)


def check_fields(baseline: str, what: str, examples: Sequence[Example], *wanted: str) -> None:
    """Raise DataError, naming the place, where an example has none of the fields `wanted`."""
    for n, example in enumerate(examples, 1):
        if not any(field in example for field in wanted):
            place = example.get("place") or f"{what} example {n}"
            expected = " or ".join(repr(field) for field in wanted)
            has = ", ".join(example) or "nothing"
            raise DataError(f"{place}: the baseline {baseline!r} expected {expected}, the example has {has}.")
