"""One long sequence cut into contiguous streams, for truncated backpropagation with carried state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from recurra.data.batching.layout import Encoded, Layout, long_arrays
from recurra.errors import ConfigError, DataError
from recurra.registry import part
from recurra.types import IGNORED, Batch, Lengths

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHORTEST, DEVIATION, WHOLE_SHARE = 5, 5.0, 0.95
"""How lengths that vary are drawn: the least, the normal distribution's deviation, how often it is around all steps."""


@dataclass(frozen=True, eq=False)
class StreamEpoch:
    """The batches of one pass over long arrays, each made when it is asked for, so that a pass can go on at any.

    Stream b predicts the `lengths[b]` steps after `arrays["input"][starts[b]]`; batch k holds the steps from k·steps on
    of every stream, or from `cuts[k]` to `cuts[k + 1]`, and a learning rate in proportion to their number. Fields are
    those of `arrays`, [B, T, …], memory time-major, and "target" where that is none of them: target[t] is input[t + 1].
    A step past a stream's end holds a field's padding, of a target in symbols −100, and the structure holds the
    lengths.
    """

    arrays: Mapping[str, NDArray[Any]]
    layouts: Mapping[str, Layout]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    steps: int
    cuts: NDArray[np.int64] | None = None

    @property
    def targets(self) -> int:
        """Number of symbols predicted in the whole pass."""
        return int(self.lengths.sum())

    def divisible(self, size: int) -> bool:
        """Whether there is a stream for each of `size` processes."""
        return len(self.starts) >= size

    def share(self, rank: int, size: int) -> StreamEpoch:
        """The streams that one of `size` processes reads, from the first batch to the last: their state is carried.

        Raises `ConfigError` for fewer streams than processes.
        """
        count = len(self.starts)
        if not self.divisible(size):
            raise ConfigError(
                f"batching.streams = {count} for {size} processes, each of which reads some of them: expected {size} "
                f"or more. Set it higher, or train with {count} at most."
            )
        own = slice(count * rank // size, count * (rank + 1) // size)
        return replace(self, starts=self.starts[own], lengths=self.lengths[own])

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
        fields = read_at(self.arrays, self.layouts, np.where(alive, self.starts + times, 0), alive)
        structure = Lengths() if alive.all() else Lengths(torch.from_numpy(alive.sum(axis=0)))
        return Batch(fields, structure, first=k == 0, rate=rate)

    def __iter__(self) -> Iterator[Batch]:
        return (self[k] for k in range(len(self)))


def read_at(
    arrays: Mapping[str, NDArray[Any]],
    layouts: Mapping[str, Layout],
    places: NDArray[np.int64],
    alive: NDArray[np.bool_],
) -> dict[str, torch.Tensor]:
    """The fields [B, T, …] of the steps at `places` [T, B] of long arrays, and as "target" the input's next step, where
    no field is called so; padded where they are not `alive` [T, B]."""
    fields = {name: _time_major(array[places], alive, layouts[name].padding) for name, array in arrays.items()}
    if "target" not in fields:
        array, padding = arrays["input"], layouts["input"].padding
        padding = IGNORED if np.issubdtype(array.dtype, np.integer) else padding
        fields["target"] = _time_major(array[places + 1], alive, padding)
    for name, array in arrays.items():
        if (following := layouts[name].following) is not None:
            fields[following] = _time_major(array[places + 1], alive, layouts[name].padding)
    return fields


def _time_major(steps: NDArray[Any], alive: NDArray[np.bool_], padding: float) -> torch.Tensor:
    """Steps [T, B, …] as a tensor [B, T, …] over the same memory, whole numbers in 64 bits."""
    if np.issubdtype(steps.dtype, np.integer):
        steps = steps.astype(np.int64, copy=False)
    there = alive.reshape(*alive.shape, *[1] * (steps.ndim - 2))
    return torch.from_numpy(np.where(there, steps, steps.dtype.type(padding))).transpose(0, 1)


STEPS_PER_STREAM = 20_000
"""Steps that a stream has at least where a text is scored."""


@part("batching", "streams")
class Streams:
    """`streams` sequences side by side, each read on from batch to batch, `steps` steps at a time.

    One long sequence, or several one after the other, is cut into `streams` contiguous parts of equal length; fewer
    than `streams` steps at its end are left out. `random_start` leaves out a random number (0 to steps - 1) at its
    beginning too, another in each epoch, so that the cuts between batches move.
    `vary_steps` draws the length of each batch: the nearest whole number to one from N(s, 5²), but at least 5, with s =
    `steps` in 95 of 100 cases and steps / 2 in the others; the learning rate of its step is in proportion, length /
    `steps`. Meant for a loss per token: one per sequence grows with the length by itself.
    Source of varying: Merity, Keskar & Socher 2017, section 4.1.
    """

    in_pieces: ClassVar[bool] = True
    """A long sequence is read in pieces, each batch going on where the one before it ended."""

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

    def batches(
        self,
        encoded: Sequence[Encoded],
        layouts: Mapping[str, Layout],
        *,
        epoch: int = 0,
        seed: int = 0,
        whole: bool = False,
    ) -> StreamEpoch:
        """One pass over N steps: over the fields of `encoded` that are as long as the input.

        `whole=True`, for evaluation: every step but the first is a target exactly once (N - 1 targets); the streams'
        lengths differ by one at most, there are fewer of them where the text is that short, and nothing is random.

        Raises `DataError` for a text too short to give every stream a target.
        """
        arrays = long_arrays(encoded, layouts)
        N, needed = len(arrays["input"]), 2 if whole else self.streams + 1
        if needed > N:
            raise DataError(self._too_short(N, needed))
        if whole:
            count = min(self.streams, N - 1)
            share, longer = divmod(N - 1, count)
            lengths = share + (np.arange(count) < longer)
            return StreamEpoch(arrays, layouts, np.cumsum(lengths) - lengths, lengths, self.steps)
        start = 0
        if self.random_start:
            start = int(np.random.default_rng([seed, epoch]).integers(min(self.steps, N - self.streams)))
        lengths = np.full(self.streams, (N - 1 - start) // self.streams)
        cuts = self._cuts(int(lengths[0]), np.random.default_rng([seed, epoch, 1])) if self.vary_steps else None
        return StreamEpoch(arrays, layouts, start + np.cumsum(lengths) - lengths, lengths, self.steps, cuts)

    def scoring(
        self, encoded: Sequence[Encoded], layouts: Mapping[str, Layout], one_stream: bool = False
    ) -> StreamEpoch:
        """The pass that a score is made of: in few streams, because each begins without memory, or in one."""
        N = len(long_arrays(encoded, layouts)["input"])
        count = 1 if one_stream else max(1, min(self.streams, N // STEPS_PER_STREAM))
        return Streams(count, self.steps).batches(encoded, layouts, whole=True)

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
