"""Which symbols of the input decided an answer: by the gradient there, and by what becomes of the answer without them.

Both are of ln p of an answer that the model gives itself, and of the vectors x_t that the core reads. Gradient × input
is Σ_d x_td ∂ln p/∂x_td: to the first order what the vector adds to ln p, against a vector of zeros. Occlusion is that
difference itself: ln p less ln p with x_t = 0, which costs a pass for every symbol. Where they disagree, what the
symbol does depends on the others, or the answer is saturated, and the occlusion is right. Nothing here says that an
answer is true, or how symbols act together. In float64, beside the model.

Source: Li, Monroe & Jurafsky 2016, Understanding neural networks through representation erasure; Ancona et al. 2018,
Towards better understanding of gradient-based attribution methods, of gradient × input beside occlusion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurra.asking.examples import as_example
from recurra.diagnostics.plain import plain
from recurra.diagnostics.reading import Given, Parts, Reading, frozen_copy, read
from recurra.errors import ConfigError
from recurra.model import Model
from recurra.progress import steps as counted
from recurra.tasks.contract import GuessesSymbols, LosesByStep, ReadsTrees, of_whole
from recurra.tasks.writing import Continues, Starts
from recurra.types import IGNORED, Batch

Shares = NDArray[np.float64]
DECISIONS = 60
"""Steps whose answers are looked at, at most: the first."""
PASSES, FEWEST, MOST = 600, 8, 100
"""Symbols that are taken away in all, and of one decision at least and at most: those of the largest gradient."""


@dataclass(frozen=True, eq=False)
class Decision:
    """One answer, and how much each symbol of the input speaks for it (above 0) or against it."""

    name: str
    """The tag, the label, the symbol, the text."""
    step: int | None
    """The step it is of, from 0; of a language model the last one read; None: it is of the whole input."""
    p: float
    """Its probability; of an answer of many symbols their geometric mean."""
    gradient: Shares
    """[T] nats: gradient × input."""
    occlusion: Shares
    """[T] nats that ln p loses without the symbol; nan where it was not taken away."""

    def strongest(self, count: int = 3) -> tuple[int, ...]:
        """The places of the symbols that count most, by the absolute value of their occlusion."""
        known = np.flatnonzero(~np.isnan(self.occlusion) & (self.occlusion != 0))
        return tuple(known[np.argsort(-np.abs(self.occlusion[known]), kind="stable")][:count].tolist())


@dataclass(frozen=True, eq=False)
class Attribution:
    """What decided the answers of a model to one input."""

    tokens: tuple[str, ...]
    decisions: tuple[Decision, ...]
    notes: tuple[str, ...]
    """What the numbers must be read with, a sentence each."""

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        found: dict[str, Any] = plain(self)
        return found


def attribution(model: Model, given: Given, *, all_symbols: bool = False) -> Attribution:
    """What decided a model's own answers: each tag, the label, the text it writes; of a language model the likeliest
    symbol behind the text; where the task fills blanks, each symbol as if it were one.

    `given`: a text, its tokens or an example, whose true answers are not looked at. `all_symbols`: take each away for
    every answer, not only those of the largest gradient.
    Raises `ConfigError` for a task whose answers are no symbols and for an embedder that
    changes time, `DataError` for a text without a token.
    """
    task, codecs = model.task, model.codecs
    example = as_example(given, codecs)
    learned = {name: field for name, field in codecs.fields.items() if field.learned}
    hidden = {name for field in learned.values() for name in field.of}
    reading = read(model, {k: v for k, v in example.items() if k not in hidden}, answered=bool(learned))
    parts = frozen_copy(model, torch.float64)
    notes = []
    if not learned:
        reading, steps, names = _of_input(model, reading, parts)
    else:
        name = next((name for name, field in learned.items() if field.along), next(iter(learned)))
        if not hasattr(codecs[name], "symbols"):
            raise ConfigError("the answers of this task are no symbols, so none of them has a probability to explain.")
        if isinstance(task, ReadsTrees):
            reading = replace(reading, encoded=task.at_the_root(reading.encoded))
        value = reading.encoded[name]
        value = value[value != IGNORED] if isinstance(task, ReadsTrees) else value
        if learned[name].along and isinstance(task, LosesByStep):
            steps, names = list(range(len(value))), [str(codecs[name].symbols[int(number)]) for number in value]
        else:
            steps, names = [None], [_written(codecs[name], value[:-1] if isinstance(task, Starts) else value)]
    if whole := of_whole(codecs):
        notes.append(f"What the {whole[0]} say is in the answer and its p; only the network is explained.")
    if isinstance(task, Starts):
        notes.append("The answer is the whole text that was written; its p is the geometric mean over its symbols.")
    if len(steps) > DECISIONS:
        steps, names = steps[:DECISIONS], names[:DECISIONS]
        notes.append(f"The answers to the first {DECISIONS} symbols are explained.")
    every = len(reading.tokens)
    count = every if all_symbols else min(every, MOST, max(FEWEST, PASSES // len(steps)))
    if count < every:
        notes.append(f"For each answer the {count} symbols of the largest gradient were taken away, not all {every}.")
    return Attribution(reading.tokens, tuple(_decisions(parts, reading, steps, names, count)), tuple(notes))


def _of_input(model: Model, reading: Reading, parts: Parts) -> tuple[Reading, list[Any], list[str]]:
    """Steps and names of what a model predicts that has the symbols of its own input to predict, and the reading with
    the likeliest symbol behind its end."""
    codec, last = model.codecs["input"], len(reading.tokens) - 1
    if hasattr(codec, "symbols") and isinstance(model.task, LosesByStep):
        if isinstance(model.task, GuessesSymbols):
            return reading, list(range(last + 1)), list(reading.tokens)
        if isinstance(model.task, Continues):
            best = _likeliest_next(parts, reading.batch())
            target = np.array([*reading.encoded["target"][:-1], best])
            reading = replace(reading, encoded={**reading.encoded, "target": target})
            return reading, [last], [str(codec.pieces([best])[0])]
    raise ConfigError("this task predicts no symbols, tags or labels, so there is no answer to explain.")


@torch.no_grad()
def _likeliest_next(parts: Parts, batch: Batch) -> int:
    """The number of the symbol that is likeliest behind the end of a text."""
    ids, state = batch.fields["input"], None
    if ids.shape[1] > 1:
        before = Batch({"input": ids[:, :-1]})
        _, state = parts.core(*parts.embedder(before), None)
    log_p, _ = parts.task.step(parts.embedder, parts.core, state, ids[:, -1])
    return int(log_p[0].argmax())


def _written(codec: Any, value: Any) -> str:
    """An answer as text."""
    if np.ndim(value) == 0:
        return str(codec.symbols[int(value)])
    found = codec.decode(value)
    return found if isinstance(found, str) else ", ".join(map(str, found)) or "(none)"


@dataclass(frozen=True, eq=False)
class _Given:
    """A part in whose place a value stands that it gave; what else is asked of it the part answers."""

    part: Any
    value: Any

    def __call__(self, *_: Any) -> Any:
        return self.value

    def __getattr__(self, name: str) -> Any:
        return getattr(self.part, name)


def _decisions(parts: Parts, reading: Reading, steps: list[Any], names: list[str], count: int) -> list[Decision]:
    batch = reading.batch()
    with torch.no_grad():
        x, _ = parts.embedder(batch)  # [1, T, D]
    by_step = steps[0] is not None
    gradients = _gradients(parts, reading, x, steps if by_step else None)  # [N, T]
    measured = _by_step(parts, batch) if by_step else _of_whole(parts, batch)
    chosen = [np.argsort(-np.abs(row), kind="stable")[:count] for row in gradients]
    here = np.array(measured(x, steps))
    occluded = np.full(gradients.shape, np.nan)
    for k in counted(sorted({int(k) for row in chosen for k in row}), "taking away", "symbols"):
        asked = [n for n, row in enumerate(chosen) if k in row]
        without = x.clone()
        without[:, k] = 0
        occluded[asked, k] = here[asked] - measured(without, [steps[n] for n in asked])
    return [
        Decision(name, step, float(np.exp(at)), gradient, occlusion)
        for name, step, at, gradient, occlusion in zip(names, steps, here, gradients, occluded, strict=True)
    ]


def _gradients(parts: Parts, reading: Reading, x: Tensor, steps: list[int] | None) -> Shares:
    """Gradient × input [N, T] of each step's answer, or of the one answer."""
    rows = 1 if steps is None else len(steps)
    batch = reading.batch(rows)
    with torch.enable_grad():
        x = x.expand(rows, -1, -1).clone().requires_grad_()
        embedder = _Given(parts.embedder, (x, batch.structure))
        if steps is None:
            out = parts.task(embedder, parts.core, batch)
            loss = out.loss / max(1, out.targets)
        else:
            loss = parts.task.step_loss(embedder, parts.core, batch, torch.tensor(steps, device=x.device))
        (slope,) = torch.autograd.grad(loss, x)
    found: Shares = (slope * x.detach()).sum(2).cpu().numpy()
    return 0 - found


Measure = Callable[[Tensor, list[Any]], list[float]]


def _by_step(parts: Parts, batch: Batch) -> Measure:
    """ln p of the answers at steps, of the vectors x [1, T, D]: the core reads them once for all."""

    @torch.no_grad()
    def measured(x: Tensor, steps: list[Any]) -> list[float]:
        embedder = _Given(parts.embedder, (x, batch.structure))
        core = _Given(parts.core, parts.core(x, batch.structure, None))
        at = [torch.tensor([t], device=x.device) for t in steps]
        return [-float(parts.task.step_loss(embedder, core, batch, t)) for t in at]

    return measured


def _of_whole(parts: Parts, batch: Batch) -> Measure:
    """ln p of the one answer to the whole, of the vectors x [1, T, D]."""

    @torch.no_grad()
    def measured(x: Tensor, _: list[Any]) -> list[float]:
        out = parts.task(_Given(parts.embedder, (x, batch.structure)), parts.core, batch)
        return [-float(out.loss) / max(1, out.targets)]

    return measured
