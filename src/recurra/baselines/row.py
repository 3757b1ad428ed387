"""What the baselines of labelled sequences answer, and what they ask of their examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from recurra.errors import DataError
from recurra.types import Example


@dataclass(frozen=True)
class Row:
    """One plain model's answers to a test set: a line of the table a score is printed in."""

    name: str
    size: int
    """How much it holds, in `unit`s."""
    unit: str
    predictions: list[dict[str, Any]]
    """The fields it answers, one dict an example, in their order: "tags", "label", "labels"."""
    note: str = ""
    """What was chosen for it and how."""


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
