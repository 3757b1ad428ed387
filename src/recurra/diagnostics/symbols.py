"""What a model expected at every place of a text: the likeliest symbols, and how likely it held the true one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from recurra.diagnostics.plain import plain
from recurra.diagnostics.reading import END, Given, Reading, frozen_copy, read
from recurra.errors import ConfigError
from recurra.model import Model
from recurra.tasks.contract import GuessesSymbols
from recurra.tasks.writing import Continues, Starts


@dataclass(frozen=True)
class Place:
    """One symbol of a text and what was expected there."""

    symbol: str
    p: float
    """The probability of this symbol."""
    rank: int
    """How many symbols were likelier."""
    alternatives: tuple[tuple[str, float], ...]
    """The likeliest symbols, each with its probability."""

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        found: dict[str, Any] = plain(self)
        return found


def next_symbols(model: Model, text: Given, *, top: int = 5) -> tuple[Place, ...]:
    """For each symbol what a language model expected: from what stands before it, or, where the task fills blanks, from
    both sides. A language model expects nothing of the first symbol, so there the places begin with the second. Of a
    task that turns a source into a target the symbols are those of the target, the end mark the last: the one given, or
    else the model's own.

    Raises `ConfigError` for another task and for fewer than one alternative.
    """
    if top < 1:
        raise ConfigError(f"top = {top}, expected 1 or more alternatives for a place.")
    task = model.task
    if isinstance(task, Starts):
        return tuple(_of_target(model, read(model, text, answered=True), top))
    if not hasattr(model.codecs["input"], "symbols") or not isinstance(task, Continues | GuessesSymbols):
        raise ConfigError(
            "this task predicts no symbols, so there are no alternatives to show. Ask a run of a language model, or of "
            "a task that fills blanks or writes."
        )
    reading = read(model, text)
    ids = torch.from_numpy(reading.encoded["input"])
    in_turn = isinstance(task, Continues)
    log_p = _in_turn(model, ids) if in_turn else list(_between(model, reading))
    ids = ids[1:] if in_turn else ids
    name = partial(_name, model.codecs["input"])
    return tuple(_place(name, row, int(number), top) for row, number in zip(log_p, ids, strict=True))


@torch.no_grad()
def _in_turn(model: Model, ids: Tensor) -> list[Tensor]:
    """log ŷ [V] of each symbol but the first, from those before it."""
    parts, state, found = frozen_copy(model), None, []
    device = next(model.parameters()).device
    for token in ids[:-1].to(device):
        log_p, state = parts.task.step(parts.embedder, parts.core, state, token[None])
        found.append(log_p[0].cpu())
    return found


@torch.no_grad()
def _of_target(model: Model, reading: Reading, top: int) -> Iterator[Place]:
    """Each symbol of the target, and its end, from the source and the symbols before it."""
    parts = frozen_copy(model)
    state = parts.task.start(parts.embedder, parts.core, reading.batch())
    end, vocabulary = parts.task.end, model.codecs["target"]

    def name(number: int) -> str:
        return END if number == end else _name(vocabulary, number)

    token = torch.full((1,), end, dtype=torch.int64, device=reading.device)
    for number in reading.encoded["target"].tolist():
        log_p, state = parts.task.step(parts.embedder, parts.core, state, token)
        yield _place(name, log_p[0].cpu(), number, top)
        token = torch.full_like(token, number)


@torch.no_grad()
def _between(model: Model, reading: Reading) -> Tensor:
    """log ŷ [T, V] of each symbol from both sides, or from the left where the task knows that alone."""
    parts = frozen_copy(model)
    asked = parts.task.ask(parts.embedder, parts.core, reading.batch())
    found: Tensor = asked[parts.task.side][0].cpu()
    return found


def _place(name: Callable[[int], str], log_p: Tensor, number: int, top: int) -> Place:
    best = log_p.topk(min(top, len(log_p)))
    names = [name(k) for k in [number, *best.indices.tolist()]]
    p = best.values.exp().tolist()
    rank = int((log_p > log_p[number]).sum())
    return Place(names[0], float(log_p[number].exp()), rank, tuple(zip(names[1:], p, strict=True)))


def _name(codec: Any, number: int) -> str:
    """A symbol as it is written."""
    return str(codec.pieces([number])[0])
