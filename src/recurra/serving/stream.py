"""What all sessions of a model have in common: symbols in, vectors, steps, answers out. It holds no state."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import numpy as np
import torch
from torch import Tensor

from recurra import checkpoint, registry
from recurra.data.codecs.contract import checked_ids
from recurra.data.former import label_codecs
from recurra.errors import ConfigError, NotCausal
from recurra.model import Model
from recurra.serving.stepping import How, make_steps
from recurra.training.evaluation import moved
from recurra.types import Batch

Said = Mapping[str, Tensor]
"""What a task says at a step, by name, [B, ·]: "next", "tag", "filtered_tag", "label", "labels"."""
Given = str | int | Sequence[int] | Sequence[str]
"""A text; symbols by their numbers, or one of them; or tokens."""


class Symbol(NamedTuple):
    """One symbol as it is shown, and its number."""

    written: str
    number: int


class Stream:
    """A model made ready for steps; sessions of one model that are `advance`d together share it."""

    def __init__(self, model: Model, path: Path, how: How = "auto") -> None:
        check_streams(model, path)
        self.model, self.path = model, path
        self.steps = make_steps(model, how)
        self.follow, self.embedder = model.task.follow, model.embedder
        self.vocabulary: Any = model.vocabulary
        self.encoder = label_codecs(model.vocabularies) if hasattr(self.vocabulary, "tokens") else None
        self.table: Tensor | None = getattr(model.embedder, "table", None)

    @cached_property
    def weights(self) -> str:
        """The checksum of the run's weights, by which a saved state is known to be of this run."""
        return checkpoint.fingerprint(self.model)

    def symbols(self, given: Given) -> list[Symbol]:
        """The symbols of what is fed. Raises `DataError` for a number that is no symbol, `ConfigError` for a list of
        something else than numbers, or tokens where the run reads tokens."""
        if isinstance(given, int | np.integer):
            given = [int(given)]
        if self.encoder is not None:
            if not all(isinstance(token, str) for token in given):
                raise ConfigError(f"{self.path} reads tokens: feed a text, or a list of tokens as they are written.")
            example = {"text": given} if isinstance(given, str) else {"tokens": list(given)}
            tokens = self.encoder.tokens(example)
            return list(map(Symbol, tokens, self.vocabulary.encode(tokens).tolist()))
        if isinstance(given, str):
            ids = self.vocabulary.encode(given)
        elif all(isinstance(number, int | np.integer) for number in given):
            ids = checked_ids(given, len(self.vocabulary))
        else:
            raise ConfigError(f"{self.path} reads text: feed a text, or a list of its symbols' numbers.")
        return [self.symbol(number) for number in ids.tolist()]

    def symbol(self, number: int) -> Symbol:
        """A symbol by its number."""
        return Symbol(self.vocabulary.symbols[number], number)

    def vector(self, symbol: Symbol) -> Tensor:
        """What the core reads of a symbol: [1, D]."""
        return self.vectors((symbol,)) if self.table is None else self.table.narrow(0, symbol.number, 1)

    def vectors(self, symbols: Sequence[Symbol]) -> Tensor:
        """What the core reads of symbols, each by itself: [N, D]."""
        device = next(self.model.parameters()).device
        if self.table is not None:
            return self.table.index_select(0, torch.tensor([s.number for s in symbols], device=self.table.device))
        ids = np.array([symbol.number for symbol in symbols], np.int64)
        if self.encoder is None:
            found: Tensor = self.embedder(Batch({"input": torch.from_numpy(ids)[:, None].to(device)}))
            return found[:, 0]
        encoded = [self.encoder.encode({"tokens": [symbol.written]}) for symbol in symbols]
        batching = registry.construct("batching", self.model.config["batching"])
        batches = batching.batches(encoded, self.encoder.layouts, whole=True)
        rows = np.argsort(np.concatenate([np.asarray(order) for order in batches.order]))
        parts = [self.embedder(moved(batches[k], device))[:, 0] for k in range(len(batches.order))]
        return torch.cat(parts)[torch.from_numpy(rows).to(device)]

    def answer(self, symbol: Symbol, before: Said | None, said: Said, top: int) -> dict[str, Any]:
        """What was said of a symbol of one session, in words: `before` it was read, and with it."""
        if "next" in said:
            log_p = None if before is None else float(before["next"][0, symbol.number])
            return {"symbol": symbol.written, "log_p": log_p, "next": self.likeliest(said["next"][0], top)}
        found: dict[str, Any] = {"token": symbol.written}
        for name, scores in said.items():
            field = "tags" if name.endswith("tag") else "label"
            names = self.model.vocabularies[field].symbols
            if name == "labels":
                chosen = (scores[0] > 0).nonzero()[:, 0].tolist()
                found |= {"labels": [names[k] for k in chosen], "p": scores[0].sigmoid()[chosen].tolist()}
            else:
                best = int(scores[0].argmax())
                found |= {name: names[best], f"p_{name}" if "p" in found else "p": float(scores[0, best].exp())}
        return found

    def likeliest(self, log_p: Tensor, top: int) -> list[dict[str, Any]]:
        """The `top` likeliest symbols of log-probabilities [V]."""
        if not top:
            return []
        values, numbers = log_p.topk(min(top, len(log_p)))
        pairs = zip(numbers.tolist(), values.exp().tolist(), strict=True)
        return [{"symbol": self.vocabulary.symbols[number], "p": p} for number, p in pairs]


def check_streams(model: Model, path: Path) -> None:
    """Raise `NotCausal` for a model that cannot answer before the end of its input, and `ConfigError` for an export,
    saying what to change."""
    kind, core = model.config["task"]["kind"], model.config["core"]["kind"]
    if not hasattr(model.task, "follow"):
        raise NotCausal(
            f"{path} cannot be streamed: its task, {kind!r}, answers when all of its input is read. "
            "Use `recurra predict`; tasks that stream are generate, tag and classify."
        )
    if model.core is None:
        raise ConfigError(
            f"{path} is an export, whose files read texts but are not streamed. Stream the run it came from: "
            "`recurra stream RUN`, or recurra.load(RUN).session()."
        )
    if not model.core.causal:
        known = inspect.signature(type(model.core)).parameters
        change = "core.causal=true" if "causal" in known else "core.bidirectional=false"
        if not {"causal", "bidirectional"} & known.keys():
            change = "core.kind=recurrent"
        raise NotCausal(
            f"{path} cannot be streamed: its core, {core!r}, also reads from the end, so that nothing can be said "
            f"before the input is there as a whole. Use `recurra predict`, or train with --set {change}."
        )


_OPEN: WeakValueDictionary[tuple[int, How], Stream] = WeakValueDictionary()


def stream_of(model: Model, path: Path, how: How = "auto") -> Stream:
    """The stream of a model: the one there is as long as a session uses it, so that weights are packed once."""
    found = _OPEN.get((id(model), how))
    if found is None:
        found = _OPEN[id(model), how] = Stream(model, path, how)
    return found
