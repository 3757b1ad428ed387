"""What becomes of an answer when a base is another one: every base of a sequence changed to every other, one at a time.

What is given is the change of the log-odds, ln p / (1 − p), of the label that the model says of the sequence as it is:
below 0 the change speaks against it. Averaged over both strands where the model reads both. In float64, beside the
model, a pass for each of 3 T sequences. Nothing here says how bases act together.

Source: Alipanahi, Delong, Weirauch & Frey 2015, Predicting the sequence specificities of DNA- and RNA-binding proteins
by deep learning, of mutation maps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurra.asking.examples import as_example
from recurra.diagnostics.plain import plain
from recurra.diagnostics.reading import Given, frozen_copy, read
from recurra.errors import ConfigError, DataError
from recurra.model import Model
from recurra.progress import steps as counted
from recurra.tasks.contract import Asks
from recurra.types import Mixes

LONGEST = 2_000
"""Bases of a sequence, at most."""
AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class Mutations:
    """The changes of one answer's log-odds."""

    name: str
    """The label that the model gives the sequence."""
    log_odds: float
    """Of it, in nats."""
    tokens: tuple[str, ...]
    """The bases as they are, T."""
    letters: tuple[str, ...]
    """What each is changed to, K."""
    changes: NDArray[np.float64]
    """[K, T] nats that the log-odds gain; 0 where the base is that already."""

    @property
    def largest(self) -> float:
        """The largest change, up or down; of none 1, to divide by."""
        return float(np.abs(self.changes).max(initial=0.0)) or 1.0

    def strongest(self, count: int = 5) -> list[tuple[int, int]]:
        """The rows and columns of the changes that count most."""
        order = np.argsort(-np.abs(self.changes), axis=None, kind="stable")[:count]
        places = zip(*np.unravel_index(order, self.changes.shape), strict=True)
        return [(int(row), int(column)) for row, column in places if self.changes[row, column] != 0]

    @property
    def conclusion(self) -> str:
        """The changes that count most, in words."""
        told = ", ".join(
            f"{self.tokens[t]}{t + 1}{self.letters[k]} {self.changes[k, t]:+.2f}" for k, t in self.strongest()
        )
        return f"Log-odds of {self.name!r} {self.log_odds:+.2f}; changed most by {told or 'no base alone'}."

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        found: dict[str, Any] = plain(self)
        return found


def is_of_bases(model: Model) -> bool:
    """Whether a model reads symbols of which the pure ones are known, and names the whole of them."""
    return isinstance(model.codecs["input"], Mixes) and isinstance(model.task, Asks) and _learned(model) is not None


def _learned(model: Model) -> str | None:
    """The one field of a label, or of a set of them."""
    names = [name for name, field in model.codecs.fields.items() if field.learned and not field.along]
    return names[0] if len(names) == 1 and hasattr(model.codecs[names[0]], "symbols") else None


@torch.no_grad()
def mutations(model: Model, given: Given) -> Mutations:
    """What becomes of a model's answer to a sequence when one base is another.

    Raises `ConfigError` for a model that reads no bases, or names none; `DataError` for a sequence that is too long.
    """
    field = _learned(model)
    if not is_of_bases(model) or field is None:
        raise ConfigError("bases are changed one by one in models that label sequences of them, this is none.")
    codec = model.codecs["input"]
    example = as_example(given, model.codecs)
    reading = read(model, example, by_step=False)
    T, K = len(reading.tokens), len(codec.mixtures.shares[0])
    if T > LONGEST:
        raise DataError(f"a sequence of {T:,} bases, expected {LONGEST:,} at most. Look at a part of it.")
    parts = frozen_copy(model, torch.float64)

    def log_odds(symbols: Tensor) -> Tensor:
        """Of each label [N, L], of sequences [N, T]."""
        batch = reading.batch(len(symbols))
        batch = replace(batch, fields={**batch.fields, "input": symbols.to(batch.fields["input"].device)})
        z: Tensor = parts.task.ask(parts.embedder, parts.core, batch)[field].cpu()
        if model.codecs[field].dtype is not np.int64 or model.codecs[field].shape:
            return z  # a decision for each label has its log-odds itself
        return z - torch.log(-torch.expm1(z.clamp(max=-1e-15)))

    own = torch.from_numpy(np.asarray(reading.encoded["input"]))
    before = log_odds(own[None])[0]
    label = int(before.argmax())
    found = np.zeros((K, T))
    asked = [(k, t) for t in range(T) for k in range(K) if k != int(own[t])]
    for first in counted(range(0, len(asked), AT_ONCE), "changing bases", "batches"):
        some = asked[first : first + AT_ONCE]
        changed = own.repeat(len(some), 1)
        for row, (k, t) in enumerate(some):
            changed[row, t] = k
        for (k, t), value in zip(some, (log_odds(changed)[:, label] - before[label]).tolist(), strict=True):
            found[k, t] = value
    name = str(model.codecs[field].symbols[label])
    return Mutations(name, float(before[label]), reading.tokens, tuple(codec.symbols[:K]), found)
