"""What all sessions of a model have in common: steps of the input in, vectors, answers out. It holds no state."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurra import checkpoint, registry
from recurra.data.batching.layout import laid
from recurra.data.codecs.contract import Hears, Writes, checked_ids, needs_end
from recurra.data.sound import Sound
from recurra.engine.device import moved
from recurra.errors import ConfigError, NotCausal
from recurra.model import Model
from recurra.streaming.hearing import Hearing
from recurra.streaming.measured import Measured, Symbol
from recurra.streaming.stepping import How, make_steps
from recurra.tasks.contract import Follows, of_whole
from recurra.tasks.writing import Continues
from recurra.types import GAPS, Batch, Gaps, changes_time

Said = Mapping[str, Tensor]
"""What a task says at a step, by name, [B, ·]: "next", "tag", "filtered_tag", "label", "labels"."""
Given = str | int | Sequence[int] | Sequence[str] | Sequence[float] | NDArray[Any]
"""A text; symbols by their numbers, or one of them; tokens; or the numbers of steps, [T] or [T, D]."""
Fed = Given | Sound | bytes
"""The same, or of a run that hears samples [N], a `Sound`, or the bytes of a file."""
Apart = float | Sequence[float] | None
"""How long before each step the one before it was, in units of the usual step, or before all; None: all are usual."""


class Stream:
    """A model made ready for steps; sessions of one model that are `advance`d together share it."""

    def __init__(self, model: Model, path: Path, how: How = "auto") -> None:
        check_streams(model, path)
        self.model, self.path = model, path
        self.steps = make_steps(model, how)
        self.follow, self.embedder = model.task.follow, model.embedder
        self.codecs = model.codecs
        self.codec: Any = model.codecs["input"]
        self.of_symbols = hasattr(self.codec, "symbols")
        self.table: Tensor | None = getattr(model.embedder, "table", None)
        self.measured = None if self.of_symbols else Measured(self.codec, {*GAPS} & {*self.codecs}, path)
        self.hearing = Hearing(self.codec, path) if isinstance(self.codec, Hears) else None

    @property
    def begins_with_zeros(self) -> bool:
        """Whether a step of zeros is read before the first one: a task that writes numbers on, and learned pieces one
        by one, has learned what follows nothing so."""
        if self.of_symbols or not isinstance(self.model.task, Continues):
            return False
        return not registry.find("batching", self.model.config["batching"]["kind"]).in_pieces

    def begun(self) -> tuple[Any, Any, Said | None]:
        """The core's state, the task's memory and what is said, before the first step."""
        if not self.begins_with_zeros:
            return None, None, None
        parameter = next(self.model.parameters())
        zeros = torch.zeros((1, 1, *self.codec.shape[1:]), dtype=torch.float32, device=parameter.device)
        with torch.no_grad():
            x, _ = self.embedder(Batch({"input": zeros}))
            y, state = self.steps.one(x[:, 0], None, None)
            said, memory = self.follow(self.embedder, y, None)
        return state, memory, said

    @cached_property
    def weights(self) -> str:
        """The checksum of the run's weights, by which a saved state is known to be of this run."""
        return checkpoint.fingerprint(self.model)

    def symbols(self, given: Given, last: Symbol | None = None, dt: Apart = None) -> list[Symbol]:
        """The steps of what is fed, behind the `last` one. Raises `DataError` for a number that is no symbol, and as
        `Measured` does; `ConfigError` for a list of something else than numbers, or tokens where the run reads tokens,
        and for times of a run that reads none."""
        if self.hearing is not None:
            raise ConfigError(f"{self.path} hears recordings: samples become steps in a session. Feed it by itself.")
        if self.measured is not None:
            return self.measured.steps(given, last, dt)
        if dt is not None:
            raise ConfigError(f"{self.path} reads symbols, which have no time between them. Leave dt out.")
        if isinstance(given, int | np.integer):
            given = [int(given)]
        if self.codecs.splits:
            if not all(isinstance(token, str) for token in given):
                raise ConfigError(f"{self.path} reads tokens: feed a text, or a list of tokens as they are written.")
            words: Any = given if isinstance(given, str) else list(given)
            tokens = self.codec.tokens(words)
            return list(map(Symbol, tokens, self.codecs["input"].encode(tokens).tolist()))
        if isinstance(given, str):
            ids = self.codec.encode(given)
            if isinstance(self.codec, Writes):
                return list(map(Symbol, self.codec.written(given), ids.tolist()))
        elif all(isinstance(number, int | np.integer) for number in given):
            ids = checked_ids(given, len(self.codec))
        else:
            raise ConfigError(f"{self.path} reads text: feed a text, or a list of its symbols' numbers.")
        return [self.symbol(number) for number in ids.tolist()]

    def symbol(self, number: int) -> Symbol:
        """A symbol by its number."""
        return Symbol(self.codec.symbols[number], number)

    def vector(self, symbol: Symbol) -> tuple[Tensor, Gaps | None]:
        """What the core reads of a symbol: [1, D]; and of its gaps, where it reads any, [1] and [1, D]."""
        return self.vectors((symbol,)) if self.table is None else (self.table.narrow(0, symbol.number, 1), None)

    def vectors(self, symbols: Sequence[Symbol]) -> tuple[Tensor, Gaps | None]:
        """What the core reads of symbols, each by itself: [N, D]; and of their gaps, [N] and [N, D]."""
        device = next(self.model.parameters()).device
        if self.table is not None:
            numbers = torch.tensor([s.number for s in symbols], device=self.table.device)
            return self.table.index_select(0, numbers), None
        encoded = [self._encoded(symbol) for symbol in symbols]
        fields, _, lengths = laid(encoded, self.codecs.layouts)
        x, structure = self.embedder(moved(Batch(fields, lengths=lengths), device))
        gaps = structure.gaps
        return x[:, 0], None if gaps is None else gaps.each(lambda one: one[:, 0])

    def _encoded(self, symbol: Symbol) -> dict[str, Any]:
        """A step as an example of its own, in arrays."""
        if self.measured is not None:
            return {"place": "", **self.measured.arrays(symbol)}
        if self.codecs.splits:
            return self.codecs.encode({self.codecs.fields["input"].of[0]: [symbol.written]})
        return {"place": "", "input": np.array([symbol.number], np.int64)}

    def answer(self, symbol: Symbol, before: Said | None, said: Said, top: int) -> dict[str, Any]:
        """What the task says of a step of one session: `before` it was read, and with it; "unknown" where the run does
        not know the symbol."""
        found: dict[str, Any] = self.model.task.followed(symbol.written, symbol.number, before, said, self.codecs, top)
        return found | ({"unknown": True} if self.unknown(symbol) else {})

    def unknown(self, symbol: Symbol) -> bool:
        """Whether a step is a symbol that the run does not know, and has a name of its own."""
        codec = self.codec
        return self.of_symbols and symbol.number == codec.unknown and symbol.written != codec.symbols[codec.unknown]


def check_streams(model: Model, path: Path) -> None:
    """Raise `NotCausal` for a model that cannot answer before the end of its input, and `ConfigError` for an export,
    saying what to change."""
    kind, core = model.config["task"]["kind"], model.config["core"]["kind"]
    if not isinstance(model.task, Follows):
        raise NotCausal(
            f"{path} cannot be streamed: its task, {kind!r}, answers when all of its input is read. "
            f"Use `recurra predict`; tasks that stream are {', '.join(streaming_tasks())}."
        )
    if model.core is None:
        raise ConfigError(
            f"{path} is an export, whose files read texts but are not streamed. Stream the run it came from: "
            "`recurra stream RUN`, or recurra.load(RUN).session()."
        )
    if changes_time(model.embedder):
        raise NotCausal(
            f"{path} cannot be streamed: its embedder, {model.config['embedder']['kind']!r}, gives other steps than "
            "the input has. Use `recurra predict`."
        )
    if whole := of_whole(model.codecs):
        raise NotCausal(
            f"{path} cannot be streamed: it reads {whole[0]}, which are not known before its input is there as a "
            f"whole. Use `recurra predict`, or train without them{_without(model.task, whole[0])}."
        )
    if by := needs_end(model.codecs["input"]):
        section = "vocabulary" if "vocabulary" in model.config else "input"
        otherwise = " ".join(f"--set {section}.{name}={value}" for name, value in by.items())
        raise NotCausal(
            f"{path} cannot be streamed: how its input is read depends on what comes later, too ([{section}] "
            f"{', '.join(by)}). Use `recurra predict`, or train with {otherwise}."
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


def _without(task: Any, field: str) -> str:
    """How a field is left out, where a setting of the task is called like it."""
    return f": --set task.{field}=0" if field in inspect.signature(type(task)).parameters else ""


def streaming_tasks() -> list[str]:
    """The names of the tasks that stream."""
    return [name for name in registry.names("task") if registry.has_method("task", name, "follow")]


_OPEN: WeakValueDictionary[tuple[int, How], Stream] = WeakValueDictionary()


def stream_of(model: Model, path: Path, how: How = "auto") -> Stream:
    """The stream of a model: the one there is as long as a session uses it, so that weights are packed once."""
    found = _OPEN.get((id(model), how))
    if found is None:
        found = _OPEN[id(model), how] = Stream(model, path, how)
    return found
