"""Long sequences cut into windows that are learned one by one, each from a fresh state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch

from recurra.data.batching.layout import Encoded, Layout, long_arrays
from recurra.data.batching.shares import share_of
from recurra.data.batching.streams import read_at
from recurra.errors import ConfigError, DataError
from recurra.registry import part
from recurra.types import Batch, Lengths

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class WindowEpoch:
    """The batches of one pass, each made when it is asked for, so that a pass can go on at any of them.

    Window w predicts the `lengths[w]` steps after `arrays["input"][starts[w]]`, from a fresh state; batch k holds the
    windows `order[k]`. Fields are as those of streams: "target" is the input one step later, and the structure holds
    the lengths where they differ.
    """

    arrays: Mapping[str, NDArray[Any]]
    layouts: Mapping[str, Layout]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    order: list[list[int]]
    rank: int = 0
    size: int = 1
    """Of how many processes each takes a part of every batch."""

    @property
    def targets(self) -> int:
        """Number of steps predicted in the whole pass, those of overlaps each time."""
        return sum(int(self.lengths[rows].sum()) for rows in self.order)

    def divisible(self, size: int) -> bool:
        """Whether there is enough for each of `size` processes: always, as some may go without."""
        return True

    def share(self, rank: int, size: int) -> WindowEpoch:
        """The part of every batch that one of `size` processes takes; see `share_of`."""
        return replace(self, rank=rank, size=size)

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, k: int) -> Batch:
        if not 0 <= k < len(self):
            raise IndexError(f"batch {k} of a pass of {len(self)}")
        own, counted = share_of(self.order[k], self.rank, self.size)
        rows = np.array(own)
        lengths = self.lengths[rows]
        times = np.arange(int(lengths.max()))[:, None]
        alive = times < lengths  # [T, B]
        fields = read_at(self.arrays, self.layouts, np.where(alive, self.starts[rows] + times, 0), alive)
        structure = Lengths() if alive.all() else Lengths(torch.from_numpy(lengths))
        return Batch(fields, structure, counted=counted)

    def __iter__(self) -> Iterator[Batch]:
        return (self[k] for k in range(len(self)))


@part("batching", "windows")
class Windows:
    """Windows of `steps` steps of each sequence, `size` of them a batch, in another order every epoch.

    A window begins every `stride` steps: as many as `steps` where none is said, so that no step is predicted twice;
    fewer make windows overlap. The last window of a sequence ends with it, and may be shorter. Nothing is carried from
    one to the next: a window must be long enough for what there is to remember.

    With `overlap` windows overlap in evaluation as in training, and each is scored; else they lie side by side there.

    `draw` says what counts alike in an epoch of training: every "window" comes once, so that a sequence is learned from
    by its length; or by "series", of which each is drawn equally often, and of its windows all equally often, up to
    one: then there are as many windows in all.
    """

    in_pieces: ClassVar[bool] = True
    """A long sequence is read in pieces."""

    def __init__(
        self,
        steps: int = 128,
        size: int = 32,
        stride: int | None = None,
        shuffle: bool = True,
        overlap: bool = False,
        draw: Literal["window", "series"] = "window",
    ) -> None:
        for name, value in (("steps", steps), ("size", size), ("stride", stride)):
            if value is not None and value < 1:
                raise ConfigError(f"batching.{name} = {value}, expected 1 or more.")
        if stride is not None and stride > steps:
            raise ConfigError(
                f"batching.stride = {stride} is beyond batching.steps = {steps}: what lies between two windows would "
                "never be learned. Set it to as many at most."
            )
        if draw == "series" and not shuffle:
            raise ConfigError(
                'batching.draw = "series" draws windows at random, but batching.shuffle = false. Set one of them anew.'
            )
        self.steps = steps
        self.size = size
        self.draw = draw
        self.stride = steps if stride is None else stride
        self.shuffle = shuffle
        self.overlap = overlap

    def scoring(
        self, encoded: Sequence[Encoded], layouts: Mapping[str, Layout], one_stream: bool = False
    ) -> WindowEpoch:
        """The pass that a score is made of: all, as it is evaluated."""
        return self.batches(encoded, layouts, whole=True)

    def batches(
        self,
        encoded: Sequence[Encoded],
        layouts: Mapping[str, Layout],
        *,
        epoch: int = 0,
        seed: int = 0,
        whole: bool = False,
    ) -> WindowEpoch:
        """One pass over the fields of `encoded` that are as long as the input.

        `whole=True`, for evaluation: windows side by side in their order, so that every step of a sequence but its
        first is a target exactly once, unless they `overlap`. Raises `DataError` where no sequence has two steps.
        """
        lengths = np.array([len(each["input"]) for each in encoded], np.int64)
        if not (lengths > 1).any():
            longest = int(lengths.max(initial=0))
            raise DataError(
                f"the longest of {len(lengths):,} sequences has {longest} steps, expected 2 or more: nothing to "
                "predict. Use longer ones."
            )
        stride = self.steps if whole and not self.overlap else self.stride
        begins = np.cumsum(lengths) - lengths
        numbers = np.where(lengths > 1, 1 + np.maximum(0, -(-(lengths - 1 - self.steps) // stride)), 0)
        starts = [begin + stride * np.arange(count) for begin, count in zip(begins, numbers, strict=True)]
        lasts = np.repeat(begins + lengths - 1, [len(each) for each in starts])
        first = np.concatenate(starts)
        counts = np.minimum(self.steps, lasts - first)
        rows = np.arange(len(first))
        if self.shuffle and not whole:
            random = np.random.default_rng([seed, epoch])
            rows = random.permutation(rows) if self.draw == "window" else by_series(numbers, random)
        order = [rows[begin : begin + self.size].tolist() for begin in range(0, len(rows), self.size)]
        return WindowEpoch(long_arrays(encoded, layouts), layouts, first, counts, order)


def by_series(numbers: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
    """As many windows as there are, in any order, each sequence's alike often but for one: `numbers` [N] of them lie
    behind each other, sequence by sequence. Those of a sequence come again when all of them have come."""
    begins, there = np.cumsum(numbers) - numbers, np.flatnonzero(numbers)
    each, more = divmod(int(numbers.sum()), len(there))
    counts = np.full(len(there), each)
    counts[random.permutation(len(there))[:more]] += 1
    found = []
    for row, count in zip(there, counts, strict=True):
        rounds = -(-count // numbers[row])
        places = np.concatenate([random.permutation(numbers[row]) for _ in range(rounds)])
        found.append(begins[row] + places[:count])
    drawn: NDArray[np.int64] = random.permutation(np.concatenate(found))
    return drawn
