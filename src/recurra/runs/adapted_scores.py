"""The score of a language model that adapts to the text while it is scored, its numbers chosen on another text."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import islice, product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurra.config import Config
from recurra.data.batching.layout import SYMBOLS
from recurra.data.batching.streams import Streams
from recurra.data.fields import Codecs
from recurra.engine.device import moved
from recurra.errors import DataError
from recurra.model import Model
from recurra.nn.neural_cache import CacheEntries, with_cache
from recurra.progress import steps
from recurra.runs.adaptation import Adaptation, Cache, Dynamic, Point
from recurra.runs.reading import HINT, own_parts
from recurra.training.dynamic import evaluate_dynamically, mean_squares
from recurra.types import Example

GIVE_ALL = (
    "say all that is chosen on it: dynamic.kind=sgd, dynamic.learning_rate, dynamic.decay; cache.theta, cache.weight."
)
Ids = NDArray[np.int64]

TUNED_ON = {"dynamic": 10_000, "cache": 100_000}
"""Symbols of the validation text, its first, that numbers are chosen on: enough to tell the values tried apart."""
SQUARED_ON, SQUARE_STREAMS = 50_000, 20
"""Training symbols that gradients' mean squares are collected on, and streams beside each other in a batch."""
SEGMENT = 500
"""Symbols that the cache is asked for at once; what it finds does not depend on it."""


@dataclass(frozen=True)
class OwnText:
    """A run's own texts, for what an adaptation must know beforehand."""

    train: Ids
    valid: Ids


def own_text(config: Config, codecs: Codecs) -> Callable[[], OwnText]:
    """Reads the texts that a run was trained on, when they are asked for."""

    def read() -> OwnText:
        try:
            parts = own_parts(config)
        except DataError as error:
            raise DataError(f"{str(error).partition(HINT)[0]} Or name a file and {GIVE_ALL}") from error
        train, valid = ([each["input"] for each in codecs.encode_all(part)] for part in (parts.train, parts.valid))
        return OwnText(np.concatenate(train), np.concatenate(valid))

    return read


def adapted_scores(
    model: Model,
    adaptation: Adaptation,
    examples: Sequence[Example],
    material: Callable[[], OwnText],
    device: torch.device | str = "cpu",
) -> list[dict[str, Any]]:
    """The metrics of a text, read in one stream, for each way of adapting that is chosen.

    `[{"name", "settings", "tried": [{numbers, metrics}], "tuned_on", "seconds": {"tuning", "scoring"}, metrics}]`.
    Numbers left open are those of the values tried with the lowest loss on the validation text of `material`, which is
    asked for where it is needed only.
    """
    material = cache(material)
    ids = np.concatenate([each["input"] for each in model.codecs.encode_all(examples)])
    rows = []
    if adaptation.dynamic is not None:
        rows.append(_dynamic(model, adaptation.dynamic, ids, material, device))
    if adaptation.cache is not None:
        rows.append(_cached(model, adaptation.cache, ids, material, device))
    return rows


def _dynamic(
    model: Model, settings: Dynamic, ids: Ids, material: Callable[[], OwnText], device: torch.device | str
) -> dict[str, Any]:
    begun, squares = time.perf_counter(), None
    if settings.kind == "rms":
        squares = _squares(model, material().train, settings.steps, device)

    def metrics(text: Ids, point: Point, what: str) -> dict[str, float]:
        batches = Streams(1, settings.steps).batches([{"input": text}], SYMBOLS, whole=True)
        counted = steps(batches, f"dynamic evaluation, {what}", "segments")
        numbers = point["learning_rate"], point["decay"]
        found = evaluate_dynamically(model, counted, *numbers, squares, device=device)
        of_text: dict[str, float] = model.task.metrics(found.loss, found.targets, {}).metrics
        return of_text

    tried, tuned = [], None
    best = _points(settings)[0]
    if len(_points(settings)) > 1:
        tuned = material().valid[: TUNED_ON["dynamic"] + 1]
        tried = _one_by_one(model, settings, partial(metrics, tuned))
        best = _best(model, tried)
    chosen = time.perf_counter()
    found = metrics(ids, best, "the text")
    if not all(map(math.isfinite, found.values())):
        raise DataError(
            f"dynamic evaluation lost its way: the loss is beyond all numbers. Lower dynamic.learning_rate = "
            f"{best['learning_rate']:g}, or raise dynamic.decay = {best['decay']:g}."
        )
    return _row("dynamic evaluation", replace(settings, **best), tried, tuned, begun, chosen, found)


def _squares(model: Model, train: Ids, length: int, device: torch.device | str) -> list[Tensor]:
    """The mean squares of the gradients on the beginning of each of some streams of the training text."""
    streams = max(1, min(SQUARE_STREAMS, len(train) // (length + 1)))
    batches = Streams(streams, length).batches([{"input": train}], SYMBOLS)
    count = max(1, SQUARED_ON // (streams * length))
    some = steps(islice(batches, count), "collecting gradients on the training text", "segments", count)
    return mean_squares(model, some, device=device)


def _one_by_one(
    model: Model, settings: Dynamic, metrics: Callable[[Point, str], dict[str, float]]
) -> list[dict[str, Any]]:
    """The metrics of every learning rate with the decay in the middle, then of the other decays with the best rate."""
    rates, decays = settings.tried["learning_rate"], settings.tried["decay"]
    middle, count = decays[len(decays) // 2], len(rates) + len(decays) - 1
    tried: list[dict[str, Any]] = []
    for rate in rates:
        point = {"learning_rate": rate, "decay": middle}
        tried.append(point | metrics(point, f"choice {len(tried) + 1} of {count}"))
    best = _best(model, tried)
    for decay in decays:
        if decay != middle:
            point = best | {"decay": decay}
            tried.append(point | metrics(point, f"choice {len(tried) + 1} of {count}"))
    return tried


def _cached(
    model: Model, settings: Cache, ids: Ids, material: Callable[[], OwnText], device: torch.device | str
) -> dict[str, Any]:
    begun, points = time.perf_counter(), _points(settings)

    def losses(text: Ids, points: Sequence[Point], what: str) -> Tensor:
        thetas, weights = (sorted({point[name] for point in points}) for name in settings.open)
        return cache_losses(model, text, settings.size, thetas, weights, device, what)

    tuned = material().valid[: TUNED_ON["cache"] + 1] if len(points) > 1 else None
    tried: list[dict[str, Any]] = []
    if tuned is not None:
        found = losses(tuned, points, "choosing").flatten().tolist()
        targets = len(tuned) - 1
        tried = [{**p, **model.task.metrics(loss, targets, {}).metrics} for p, loss in zip(points, found, strict=True)]
    best = _best(model, tried) if tried else points[0]
    chosen = time.perf_counter()
    metrics = model.task.metrics(float(losses(ids, [best], "the text")), len(ids) - 1, {}).metrics
    return _row("neural cache", replace(settings, **best), tried, tuned, begun, chosen, metrics)


@torch.no_grad()
def cache_losses(
    model: Model,
    ids: Ids,
    size: int,
    thetas: Sequence[float],
    weights: Sequence[float],
    device: torch.device | str = "cpu",
    what: str = "the text",
) -> Tensor:
    """The loss of a text read in one stream with a neural cache, for every θ and every λ: [K, L], float64. `what` it
    is, to whoever waits for it."""
    total = torch.zeros(len(thetas), len(weights), dtype=torch.float64, device=device)
    of_thetas, of_weights = (torch.tensor(values, device=device) for values in (thetas, weights))
    state: Any = None
    memory: CacheEntries | None = None
    training = model.training
    model.train(False)
    try:
        batches = Streams(1, SEGMENT).batches([{"input": ids}], SYMBOLS, whole=True)
        for batch in steps(batches, f"neural cache, {what}", "segments"):
            here = moved(batch, torch.device(device))
            log_p, hidden, state = model.task.predictions(model.embedder, model.core, here, state)
            symbols = here.fields["target"][0]
            mixed, memory = with_cache(log_p[:, 0], hidden[:, 0], symbols, memory, size, of_thetas, of_weights)
            total -= mixed.sum(2)
    finally:
        model.train(training)
    return total


def _points(settings: Dynamic | Cache) -> list[Point]:
    """All choices of the numbers, in the order of `itertools.product`, rising."""
    return [dict(zip(settings.tried, values, strict=True)) for values in product(*settings.tried.values())]


def _best(model: Model, tried: Sequence[dict[str, Any]]) -> Point:
    metric, direction = model.task.main_metric
    found = (min if direction == "min" else max)(tried, key=lambda each: each[metric])
    return {name: value for name, value in found.items() if name in (*Dynamic.open, *Cache.open)}


def _row(
    name: str,
    settings: Dynamic | Cache,
    tried: Sequence[dict[str, Any]],
    tuned: Ids | None,
    begun: float,
    chosen: float,
    metrics: dict[str, float],
) -> dict[str, Any]:
    return {
        "name": name,
        "settings": vars(settings) | {},
        "tried": list(tried),
        "tuned_on": 0 if tuned is None else len(tuned) - 1,
        "seconds": {"tuning": chosen - begun, "scoring": time.perf_counter() - chosen},
        **metrics,
    }
