"""A model's score on a text, and the n-gram baseline's on the same one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from recurra import registry
from recurra.baselines.ngram import growth
from recurra.data.batching.layout import SYMBOLS
from recurra.errors import ConfigError, DataError
from recurra.model import Model
from recurra.training.evaluation import evaluate

Ids = NDArray[np.int64]
LOWEST_ORDER = 2
"""The smallest n-gram printed; the largest is `order` in `[baseline]`."""
SYMBOLS_PER_STREAM = 20_000
"""A text is scored in streams of this many symbols at least, because every stream begins without memory."""


def score(
    model: Model,
    batching: Mapping[str, Any],
    ids: Ids,
    device: str | torch.device = "cpu",
    streams: int | None = None,
) -> dict[str, float]:
    """The metrics of the model's task on a text, every symbol but the first predicted once, in so many `streams`."""
    if streams is None:
        streams = max(1, min(batching["streams"], len(ids) // SYMBOLS_PER_STREAM))
    pieces = registry.construct("batching", {**batching, "streams": streams})
    batches = pieces.batches([{"input": ids}], SYMBOLS, whole=True)
    result = evaluate(model, batches, device=device)
    if result is None:
        raise DataError("the evaluation was stopped before its end, so there is no score. Evaluate again.")
    return model.task.metrics(result.loss, result.targets)


def score_baseline(model: Model, settings: Mapping[str, Any], train: Ids, ids: Ids) -> list[dict[str, Any]]:
    """Size and metrics of the baseline at each of its orders, fitted on the text the model was trained on."""
    settings = dict(settings)
    kind = settings.pop("kind")
    if kind not in model.task.baselines:
        raise ConfigError(f"baseline.kind = {kind!r}, this task is scored beside {', '.join(model.task.baselines)}.")
    order = registry.construct("baseline", {**settings, "kind": kind}).order
    settings.pop("order", None)
    points = growth(train, ids, len(model.vocabulary), range(min(order, LOWEST_ORDER), order + 1), **settings)
    targets = len(ids) - 1
    return [
        {
            "name": f"{kind}, order {point.order}",
            "order": point.order,
            "size": point.ngrams,
            "unit": "n-grams",
            **model.task.metrics(point.nats_per_symbol * targets, targets),
        }
        for point in points
    ]
