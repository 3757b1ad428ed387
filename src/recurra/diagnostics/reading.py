"""A text as a model reads it, and the model's parts as they can be computed with beside it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from recurra import registry
from recurra.answers.pair import END
from recurra.asking.examples import as_example
from recurra.data.batching.layout import Layout, laid
from recurra.data.codecs.contract import Splits
from recurra.decoding.greedy import greedy
from recurra.decoding.search import Search, longest_of
from recurra.engine.device import moved
from recurra.errors import ConfigError, DataError
from recurra.model import Model
from recurra.tasks.contract import Prepares, ReadsTrees
from recurra.tasks.options import make_options
from recurra.tasks.writing import Starts
from recurra.types import IGNORED, Batch, Example, changes_time, regions_of

Given = str | Sequence[str] | Example
"""A text, its tokens, or an example with fields such as "source" and "target", "tokens" and "tags"."""


@dataclass(frozen=True, eq=False)
class Parts:
    """A copy of a model's parts: dropout off, no parameter learns."""

    embedder: Any
    core: Any
    task: Any


def frozen_copy(model: Model, dtype: torch.dtype | None = None) -> Parts:
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
    encoded: Mapping[str, Any]
    """Its arrays by field."""
    layouts: Mapping[str, Layout]
    target: tuple[str, ...] = ()
    """Where it has a target of its own length: its symbols as they are written, with ∎ for the mark that ends it."""
    own_answer: bool = False
    """Whether what it is measured by, tags, label or target, is the model's own answer."""
    device: torch.device | str = "cpu"

    def batch(self, copies: int = 1) -> Batch:
        """The sequence so many times over."""
        fields, _, lengths = laid([self.encoded] * copies, self.layouts)
        return moved(Batch(fields, lengths=lengths), torch.device(self.device))


def read(model: Model, given: Given, answered: bool = False, by_step: bool = True) -> Reading:
    """A sequence as the model reads it. With `answered` it has what its loss is measured by: that of the example, or
    else the model's own answer. `by_step`: whether the core's steps are to be named by its tokens.

    Raises `DataError` for a sequence without a token, `ConfigError` where they are, but the embedder changes time.
    """
    task, codecs = model.task, model.codecs
    if by_step and changes_time(model.embedder):
        raise ConfigError(
            f"the embedder {model.config['embedder']['kind']!r} gives other steps than the input has, so the "
            "steps cannot be named. Look at a model whose embedder keeps them."
        )
    example = as_example(given, codecs)
    if isinstance(task, ReadsTrees):
        example = task.question(example, codecs, {})
    if isinstance(task, Prepares):
        (example,), _ = task.prepare([codecs.tokenised(example)])
    encoded, layouts = codecs.encode(example), dict(codecs.layouts)
    grid = regions_of(model.embedder, codecs["input"])
    tokens = _tokens(codecs, example, encoded) if grid is None else region_names(*grid)
    if registry.find("batching", model.config["batching"]["kind"]).in_pieces and "target" not in codecs.fields:
        encoded["target"] = _behind(encoded["input"])
        layouts["target"] = replace(layouts["input"], padding=IGNORED)
    if not tokens:
        raise DataError("there is nothing to look at: the text has no token. Give a sentence or more.")
    ended = codecs.fields["input"].ended
    found = Reading((*tokens, END) if ended else tokens, encoded, layouts, device=next(model.parameters()).device)
    missing = [name for name, field in codecs.fields.items() if field.learned and name not in encoded]
    if answered and missing:
        own = _own(model, found.batch(), example, missing)
        found = replace(found, encoded={**encoded, **own}, own_answer=True)
    if isinstance(task, Starts) and "target" in found.encoded and hasattr(codecs["target"], "pieces"):
        found = replace(found, target=(*codecs["target"].pieces(found.encoded["target"][:-1]), END))
    return found


def region_names(rows: int, columns: int) -> tuple[str, ...]:
    """What the regions of a picture are called, row by row: "1, 1" is at the top left."""
    return tuple(f"{row}, {column}" for row in range(1, rows + 1) for column in range(1, columns + 1))


def _tokens(codecs: Any, example: Example, encoded: Mapping[str, Any]) -> tuple[str, ...]:
    """The steps of the input as they are written; an end mark is none."""
    codec, ids = codecs["input"], encoded["input"]
    ids = ids[:-1] if codecs.fields["input"].ended else ids
    if isinstance(codec, Splits):
        return tuple(codec.tokens(codecs.value("input", example)))
    if hasattr(codec, "pieces"):
        return tuple(codec.pieces(ids))
    rows = codec.decode(ids)
    return tuple(" ".join(f"{number:.3g}" for number in np.atleast_1d(row)) for row in rows)


def _behind(steps: Any) -> Any:
    """What follows each step of a stretch: the next, and nothing that counts behind the last."""
    nothing = IGNORED if np.issubdtype(steps.dtype, np.integer) else np.nan
    return np.concatenate([steps[1:], np.full_like(steps[:1], nothing)])


@torch.no_grad()
def _own(model: Model, batch: Batch, example: Example, missing: Sequence[str]) -> dict[str, Any]:
    """The model's own answer in arrays, for fields that an example lacks: what it says of them, or writes greedily."""
    task, codecs = model.task, model.codecs
    if isinstance(task, Starts):
        end: int = model.task.end
        source = batch.fields["input"]
        state = task.start(model.embedder, model.core, batch)
        step = partial(task.step, model.embedder, model.core)
        longest = (
            longest_of(Search(beam=1), source.shape[1]) if hasattr(codecs["input"], "symbols") else source.shape[1]
        )
        (written,) = greedy(step, state, torch.full((1,), end, device=source.device), end=end, longest=longest)
        return {"target": np.array([*written.tokens, end], np.int64)}
    asked = task.ask(model.embedder, model.core, batch)
    shown = {**example, "tokens": list(_tokens(codecs, example, {"input": batch.fields["input"][0].cpu().numpy()}))}
    (answer,) = task.answers(asked, [shown], codecs, make_options(task, {}, {}))
    said = {name: next((key for key in (name, *codecs.fields[name].of) if key in answer), None) for name in missing}
    return {name: codecs[name].encode(answer[key]) for name, key in said.items() if key is not None}
