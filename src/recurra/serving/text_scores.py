"""A model's score on a text, and the n-gram baseline's on the same one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from recurra import registry
from recurra.baselines.row import Row, scored_rows
from recurra.data.batching.layout import SYMBOLS
from recurra.errors import ConfigError, DataError
from recurra.model import Model
from recurra.training.evaluation import evaluate

Ids = NDArray[np.int64]
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


def score_baseline(model: Model, settings: Mapping[str, Any], train: str, text: str) -> list[dict[str, Any]]:
    """Size and metrics of the baseline at each of its orders, fitted on the text the model was trained on."""
    if settings["kind"] not in model.task.baselines:
        raise ConfigError(
            f"baseline.kind = {settings['kind']!r}, this task is scored beside {', '.join(model.task.baselines)}."
        )

    def scored(row: Row) -> dict[str, float]:
        assert row.log_p is not None
        metrics: dict[str, float] = model.task.metrics(-float(row.log_p.sum()), len(row.log_p))
        return metrics

    return scored_rows([settings], [{"text": train}], [{"text": text}], model.vocabularies, scored)
