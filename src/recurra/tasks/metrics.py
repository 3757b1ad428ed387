"""Metrics of one's own, beside those that a task's score has."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from recurra import registry
from recurra.errors import ConfigError
from recurra.tasks.scores import Scores
from recurra.types import Example


class Metric(Protocol):
    """A number of all predictions, larger or smaller the better they are: a part "metric", a function or an object.

    It reads the fields that the task learns, of the examples and of the predictions: `gold[k]["label"]`,
    `predicted[k]["label"]`; a target is a text, `predicted[k]["target"]`.
    """

    def __call__(self, gold: Sequence[Example], predicted: Sequence[Mapping[str, Any]]) -> float:
        """The number; predictions are as many as examples, in their order."""
        ...


def check_metrics(names: Collection[str], task: Any) -> None:
    """Raise `ConfigError` for metrics beside a task whose answers none can measure."""
    if names and not callable(getattr(task, "score", None)):
        raise ConfigError(
            f"evaluation.metrics = {list(names)}, but this task is scored by how likely the truth was: there are no "
            "answers to measure. Leave it out."
        )


def with_metrics(
    scores: Scores, names: Collection[str], gold: Sequence[Example], predicted: Sequence[Mapping[str, Any]]
) -> Scores:
    """The scores with further metrics behind the task's own, by their registered names.

    Raises `ConfigError` for a metric that the task has itself, for one that reads a field that is not there, and for
    one that is no number.
    """
    for name in names:
        if name in scores.metrics:
            raise ConfigError(f"evaluation.metrics names {name!r}, which the task's own score has. Call it otherwise.")
        try:
            value = registry.find("metric", name)(gold, predicted)
        except KeyError as error:
            there = ", ".join(predicted[0]) if predicted else "nothing"
            raise ConfigError(
                f"the metric {name!r} reads {error}, which examples and predictions have not both; predictions have "
                f"{there}. Is it for another task?"
            ) from error
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ConfigError(f"the metric {name!r} is {value!r}, expected a finite number. Mend its function.")
        scores.metrics[name] = float(value)
    return scores
