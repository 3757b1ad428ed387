"""A text as a model reads it, and the model's parts as they can be computed with beside it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from recurra.data.batching.buckets import BucketEpoch
from recurra.data.batching.layout import SYMBOLS, Encoded, Layout
from recurra.data.codecs.contract import IGNORED
from recurra.data.former import label_codecs, pair_codecs
from recurra.data.sides import source_of
from recurra.decoding.greedy import greedy
from recurra.errors import DataError
from recurra.model import Model
from recurra.training.evaluation import moved
from recurra.types import Batch, Example

Given = str | Sequence[str] | Example
"""A text, its tokens, or an example with fields such as "source" and "target", "tokens" and "tags"."""

OF_TEXT = {**SYMBOLS, "target": Layout(padding=IGNORED, along=True)}
"""A stretch of a long text, and the symbol that follows each."""
LENGTHENING, MORE = 3, 10
"""The model's own target may have so many symbols for each of the source's, and so many more."""


@dataclass(frozen=True, eq=False)
class Parts:
    """A copy of a model's parts: dropout off, no parameter learns."""

    embedder: Any
    core: Any
    task: Any


def still(model: Model, dtype: torch.dtype | None = None) -> Parts:
    """The parts of a model to compute with; they share nothing with it, so it may be trained or asked meanwhile."""
    parts = copy.deepcopy((model.embedder, model.core, model.task))
    for part in parts:
        part.eval().requires_grad_(False)
        if dtype is not None:
            part.to(dtype)
    return Parts(*parts)


@dataclass(frozen=True, eq=False)
class Reading:
    """One sequence as the core reads it, a token a step."""

    tokens: tuple[str, ...]
    encoded: Encoded
    """Its numbers by field."""
    target: tuple[str, ...] = ()
    """Where it has a target: its symbols as they are written, with ∎ for the mark that ends it."""
    own_answer: bool = False
    """Whether what it is measured by, tags, label or target, is the model's own answer."""
    layouts: Mapping[str, Layout] = field(default_factory=dict)
    device: torch.device | str = "cpu"

    def batch(self, copies: int = 1) -> Batch:
        """The sequence so many times over."""
        epoch = BucketEpoch([self.encoded] * copies, self.layouts, [list(range(copies))], None, 0)
        return moved(epoch[0], torch.device(self.device))


def read(model: Model, given: Given, answered: bool = False) -> Reading:
    """A sequence as the model reads it. With `answered` it has what its loss is measured by: that of the example, or
    else the model's own answer.

    Raises `DataError` for a sequence without a token.
    """
    example = given if isinstance(given, Mapping) else {"text": given} if isinstance(given, str) else None
    example = {"tokens": list(given)} if example is None else dict(example)
    needs = model.task.needs
    if "source" in needs:
        found = _pair(model, example, answered)
    elif needs == ("text",):
        found = _text(model, example)
    else:
        found = _labelled(model, example, answered)
    if not found.tokens:
        raise DataError("there is nothing to look at: the text has no token. Give a sentence or more.")
    return found


def _device(model: Model) -> torch.device:
    return next(model.parameters()).device


def _text(model: Model, example: Example) -> Reading:
    """One stretch of a long text; each symbol is to predict the next."""
    vocabulary = model.vocabulary
    parts = [example["text"]] if "text" in example else example["tokens"]
    ids = np.concatenate([np.zeros(0, np.int64), *(vocabulary.encode(part) for part in parts)])
    tokens = tuple(vocabulary.decode([number]) for number in ids.tolist())
    target = np.append(ids[1:], IGNORED) if len(ids) else ids
    return Reading(tokens, {"input": ids, "target": target}, layouts=OF_TEXT, device=_device(model))


def _labelled(model: Model, example: Example, answered: bool) -> Reading:
    encoder, task = label_codecs(model.vocabularies), model.task
    tokens = encoder.tokens(example)
    example = {**example, "tokens": tokens}
    if hasattr(task, "prepare"):
        (example,), _ = task.prepare([example])
    found = Reading(tuple(tokens), encoder.encode(example), layouts=encoder.layouts, device=_device(model))
    fields = getattr(task, "fields", ())
    if not answered or not tokens or all(field in found.encoded for field in fields):
        return found
    batch = found.batch()
    with torch.no_grad():
        decoded = task.decode(task.potentials(model.embedder, model.core, batch), batch.structure)
    own = {field: np.array(values[0]) for field, values in decoded.items() if field not in found.encoded}
    if "labels" in own:
        own["labels"] = np.isin(np.arange(len(model.vocabularies["label"])), own["labels"]).astype(np.float32)
    return replace(found, encoded={**found.encoded, **own}, own_answer=True)


def _pair(model: Model, example: Example, answered: bool) -> Reading:
    encoder, device = pair_codecs(model.vocabularies), _device(model)
    source = {"source": source_of(example)}
    wanted = {name: example[name] for name in ("target", "targets") if name in example}
    encoded = encoder.encode({**source, **wanted})
    vocabulary: Any = model.vocabularies["input"]
    ids = encoded["input"][:-1]
    tokens = _written(vocabulary, source["source"], ids)
    found = Reading((*tokens, END), encoded, layouts=encoder.layouts, device=device)
    if not len(ids):
        return replace(found, tokens=())
    if answered and "target" not in encoded:
        encoded = {**encoded, "target": _own_target(model, found.batch())}
        found = replace(found, encoded=encoded, own_answer=True)
    if "target" in encoded:
        targets: Any = model.vocabularies["target"]
        found = replace(found, target=(*targets.pieces(encoded["target"][:-1]), END))
    return found


END = "∎"
"""How the mark that ends a sequence is shown."""


def _written(vocabulary: Any, source: Any, ids: Any) -> list[str]:
    """The symbols of a source as they are written; subwords as their pieces."""
    if not hasattr(vocabulary, "tokens"):
        pieces: list[str] = vocabulary.pieces(ids)
        return pieces
    tokens: list[str] = vocabulary.tokens(source)
    return tokens


@torch.no_grad()
def _own_target(model: Model, batch: Batch) -> Any:
    """What the model writes for a source, the likeliest symbol at every step, and the end mark."""
    task = model.task

    def step(state: Any, token: torch.Tensor) -> tuple[torch.Tensor, Any]:
        log_p, state = task.step(model.embedder, model.core, state, token)
        return log_p, state

    state = task.start(model.embedder, model.core, batch)
    source = batch.fields["input"]
    begin = source.new_full((1,), task.end)
    (written,) = greedy(step, state, begin, end=task.end, longest=LENGTHENING * source.shape[1] + MORE)
    return np.array([*written.tokens, task.end], np.int64)
