"""One long sequence cut into contiguous streams, for truncated backpropagation with carried state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch

from recurra.errors import ConfigError, DataError
from recurra.registry import part
from recurra.types import Batch, Lengths

if TYPE_CHECKING:
    from numpy.typing import NDArray

IGNORED = -100
"""The target of a padded step: the losses leave it out."""

SHORTEST, DEVIATION, WHOLE_SHARE = 5, 5.0, 0.95
"""How lengths that vary are drawn: the least, the normal distribution's deviation, how often it is around all steps."""


@dataclass(frozen=True, eq=False)
class StreamEpoch:
    """The batches of one pass over `ids`, each made when it is asked for, so that a pass can go on at any of them.

    Stream b predicts the `lengths[b]` symbols after `ids[starts[b]]`; batch k holds the steps from k·steps on of every
    stream, or from `cuts[k]` to `cuts[k + 1]`, and a learning rate in proportion to their number. Fields: "input" and
    "target", int64 [B, T], memory time-major (`.t()` is contiguous); target[t] is the symbol after input[t]. A step
    past a stream's end has input 0 and target -100, and the structure holds the lengths.
    """

    ids: NDArray[np.integer]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    steps: int
    cuts: NDArray[np.int64] | None = None

    @property
    def targets(self) -> int:
        """Number of symbols predicted in the whole pass."""
        return int(self.lengths.sum())

    def __len__(self) -> int:
        return -(-int(self.lengths.max()) // self.steps) if self.cuts is None else len(self.cuts) - 1

    def __getitem__(self, k: int) -> Batch:
        if not 0 <= k < len(self):
            raise IndexError(f"batch {k} of a pass of {len(self)}")
        if self.cuts is None:
            first, end, rate = k * self.steps, min((k + 1) * self.steps, int(self.lengths.max())), 1.0
        else:
            first, end = (int(place) for place in self.cuts[k : k + 2])
            rate = (end - first) / self.steps
        times = np.arange(first, end)[:, None]
        alive = times < self.lengths  # [T, B]
        places = np.where(alive, self.starts + times, 0)
        fields = {
            "input": np.where(alive, self.ids[places], 0),
            "target": np.where(alive, self.ids[places + 1], IGNORED),
        }
        structure = Lengths() if alive.all() else Lengths(torch.from_numpy(alive.sum(axis=0)))
        tensors = {name: torch.from_numpy(values.astype(np.int64, copy=False)).t() for name, values in fields.items()}
        return Batch(tensors, structure, first=k == 0, rate=rate)

    def __iter__(self) -> Iterator[Batch]:
        return (self[k] for k in range(len(self)))


@part("batching", "streams")
class Streams:
    """`streams` sequences side by side, each read on from batch to batch, `steps` symbols at a time.

    The text is cut into `streams` contiguous parts of equal length; fewer than `streams` symbols at its end are left
    out. `random_start` leaves out a random number (0 to steps - 1) at its beginning too, another in each epoch, so
    that the cuts between batches move.
    `vary_steps` draws the length of each batch: the nearest whole number to one from N(s, 5²), but at least 5, with s =
    `steps` in 95 of 100 cases and steps / 2 in the others; the learning rate of its step is in proportion, length /
    `steps`. Meant for a loss per token: one per sequence grows with the length by itself.
    Source of varying: Merity, Keskar & Socher 2017, section 4.1.
    """

    reads: ClassVar[str] = "text"
    """What it is for; the workflow asks before any data are read."""

    def __init__(
        self, streams: int = 64, steps: int = 128, random_start: bool = False, vary_steps: bool = False
    ) -> None:
        for name, value in (("streams", streams), ("steps", steps)):
            if value < 1:
                raise ConfigError(f"batching.{name} = {value}, expected 1 or more.")
        self.streams = streams
        self.steps = steps
        self.random_start = random_start
        self.vary_steps = vary_steps

    def batches(self, ids: NDArray[np.integer], *, epoch: int = 0, seed: int = 0, whole: bool = False) -> StreamEpoch:
        """One pass over `ids` [N].

        `whole=True`, for evaluation: every symbol but the first is a target exactly once (N - 1 targets); the streams'
        lengths differ by one at most, there are fewer of them where the text is that short, and nothing is random.

        Raises `DataError` for a text too short to give every stream a target.
        """
        needed = 2 if whole else self.streams + 1
        if len(ids) < needed:
            raise DataError(self._too_short(len(ids), needed))
        if whole:
            count = min(self.streams, len(ids) - 1)
            share, longer = divmod(len(ids) - 1, count)
            lengths = share + (np.arange(count) < longer)
            return StreamEpoch(ids, np.cumsum(lengths) - lengths, lengths, self.steps)
        start = 0
        if self.random_start:
            start = int(np.random.default_rng([seed, epoch]).integers(min(self.steps, len(ids) - self.streams)))
        lengths = np.full(self.streams, (len(ids) - 1 - start) // self.streams)
        cuts = self._cuts(int(lengths[0]), np.random.default_rng([seed, epoch, 1])) if self.vary_steps else None
        return StreamEpoch(ids, start + np.cumsum(lengths) - lengths, lengths, self.steps, cuts)

    def _cuts(self, end: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """Where the batches of a stream of `end` steps begin, and its end."""
        count = -(-end // SHORTEST)  # enough if all were the shortest
        around = np.where(generator.random(count) < WHOLE_SHARE, self.steps, self.steps / 2)
        drawn = np.rint(generator.normal(around, DEVIATION)).astype(np.int64)
        ends = np.cumsum(np.maximum(SHORTEST, drawn))
        return np.concatenate(([0], ends[ends < end], [end]))

    def _too_short(self, symbols: int, needed: int) -> str:
        if symbols < 2:
            return f"the text has {symbols} symbols, expected at least {needed}: nothing to predict. Use a longer text."
        fewer = max(1, symbols // (self.steps + 1))
        return (
            f"the text has {symbols} symbols, expected at least {needed} for {self.streams} streams. "
            f"Use a longer text or fewer streams: --set batching.streams={fewer}"
        )
