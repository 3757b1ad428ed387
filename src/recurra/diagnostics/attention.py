"""Where attention looks: a decoder at its source, the layers of a Transformer at their own input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from recurra.diagnostics.plain import plain
from recurra.diagnostics.reading import Given, frozen_copy, read
from recurra.engine import Trace
from recurra.errors import ConfigError
from recurra.model import Model
from recurra.nn.watch import LayerTrace, Watched
from recurra.tasks.writing import Aligns
from recurra.types import regions_of

Weights = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class AttentionMap:
    """How much each row's token looks at each column's; a row sums to 1."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    weights: Weights
    """[rows, columns]."""
    own_answer: bool = False
    """Whether the rows are the model's own translation."""
    regions: tuple[int, int] | None = None
    """Where the columns are regions of a picture, row by row: how many rows and columns of them there are."""
    picture: NDArray[np.uint8] | None = None
    """That picture [H, W, 3], as it is read."""

    @property
    def entropy(self) -> float:
        """Sharpness: the mean over rows of −Σ α ln α, in nats: 0 where one place gets all, ln(columns) where all places
        get alike."""
        logs = np.log(np.where(self.weights > 0, self.weights, 1.0))
        return float(-(self.weights * logs).sum(1).mean())

    @property
    def largest(self) -> float:
        """Sharpness: the mean over rows of the largest weight."""
        return float(self.weights.max(1).mean())

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        found: dict[str, Any] = plain(self)
        for name in ("picture",) if self.regions else ("picture", "regions"):
            del found[name]
        return found | {"entropy": self.entropy, "largest": self.largest}


@dataclass(frozen=True, eq=False)
class SelfAttention:
    """One head of one layer, both from 1."""

    layer: int
    head: int
    map: AttentionMap

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {"layer": self.layer, "head": self.head, **self.map.as_json()}


def alignment(model: Model, source: Given) -> AttentionMap:
    """Where a decoder looks as it writes: rows are the target's symbols, columns the source's, ∎ marks their ends.

    `source`: a text, its tokens, or {"source": …, "target": …}; without a target, and of a picture, it is the model's
    own, the likeliest symbol at every step. Raises `ConfigError` for a model without a decoder, or a decoder without
    attention.
    """
    if not isinstance(model.task, Aligns):
        raise ConfigError(
            "this model writes no target, so nothing is aligned. Look at the gates, or, of a Transformer, at the "
            "self-attention."
        )
    grid = regions_of(model.embedder, model.codecs["input"])
    if grid is not None and isinstance(source, Mapping):
        names = model.codecs.fields["input"].of
        source = {name: value for name, value in source.items() if name in names}
    reading, parts = read(model, source, answered=True, by_step=grid is None), frozen_copy(model)
    with torch.no_grad():
        found = parts.task.alignment(parts.embedder, parts.core, reading.batch())[0]  # [U, T]
    seen = None if grid is None else model.codecs["input"].decode(reading.encoded["input"])
    weights = found.double().cpu().numpy()
    return AttentionMap(reading.target, reading.tokens, weights, reading.own_answer, grid, seen)


def self_attention(model: Model, text: Given) -> tuple[SelfAttention, ...]:
    """Where each head of each layer of a Transformer core looks, layer by layer.

    Raises `ConfigError` for a core that does not attend to its own input.
    """
    reading, parts = read(model, text), frozen_copy(model)
    trace: list[Trace | LayerTrace] = []
    watched = Watched(parts.core, trace=trace)
    batch = reading.batch()
    with torch.no_grad():
        watched(*parts.embedder(batch))
    found = []
    for one in trace:
        if not isinstance(one, LayerTrace) or one.attention is None:
            raise ConfigError(
                "this core does not attend to its own input: it has no self-attention. Look at the gates; or train "
                "with core.kind = transformer."
            )
        for head, weights in enumerate(one.attention[0].double().cpu().numpy(), 1):
            found.append(SelfAttention(one.layer + 1, head, AttentionMap(reading.tokens, reading.tokens, weights)))
    return tuple(found)
