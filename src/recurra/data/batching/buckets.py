"""Many sequences in batches of like lengths, so that little is padded."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, overload

import numpy as np

from recurra.data.batching.layout import Encoded, HasLengths, Layout, laid, lengths_of
from recurra.data.batching.shares import share_of
from recurra.errors import ConfigError, DataError
from recurra.registry import part
from recurra.types import Batch, Lengths

if TYPE_CHECKING:
    from numpy.typing import NDArray

JITTER = 0.05
"""By how much a length may seem longer when batches are put together: the rare long ones meet others every epoch."""


@dataclass(frozen=True, eq=False)
class BucketEpoch:
    """The batches of one pass, each made when it is asked for, so that a pass can go on at any of them.

    Batch k holds the sequences `order[k]`, their fields as `layouts` say (see `layout.laid`), in its structure the
    lengths of the input where they differ, and the lengths of each ragged field that is not as long as the input.
    """

    encoded: Sequence[Encoded]
    layouts: Mapping[str, Layout]
    order: Sequence[list[int]]
    longest: int | None
    """Steps after which a sequence is cut; None: nowhere."""
    cut: int
    """How many sequences are cut."""
    left_out: int = 0
    """How many pairs are in no batch, as a side of them is too long."""
    rank: int = 0
    size: int = 1
    """Of how many processes each takes a part of every batch."""

    def divisible(self, size: int) -> bool:
        """Whether there is enough for each of `size` processes: always, as some may go without."""
        return True

    def share(self, rank: int, size: int) -> BucketEpoch:
        """The part of every batch that one of `size` processes takes; see `share_of`."""
        return replace(self, rank=rank, size=size)

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, k: int) -> Batch:
        if not 0 <= k < len(self):
            raise IndexError(f"batch {k} of a pass of {len(self)}")
        rows, counted = share_of(self.order[k], self.rank, self.size)
        chosen = [self.encoded[row] for row in rows]
        fields, lengths, own = laid(chosen, self.layouts, self.longest)
        return Batch(fields, Lengths(lengths), lengths=own, counted=counted)

    def __iter__(self) -> Iterator[Batch]:
        return (self[k] for k in range(len(self)))


class Batched(Sequence[list[int]]):
    """The rows of many batches, in no more memory than their numbers take."""

    def __init__(self) -> None:
        self._rows: list[NDArray[np.uint32]] = []
        self._ends: list[NDArray[np.uint32]] = []
        self._counts = [0]

    def add(self, rows: NDArray[np.int64], batches: Sequence[Sequence[int]]) -> None:
        """More batches, of places in `rows`, behind the others."""
        if batches:
            places = np.fromiter(chain.from_iterable(batches), np.int64)
            self._rows.append(rows[places].astype(np.uint32))
            self._ends.append(np.cumsum([0, *map(len, batches)]).astype(np.uint32))
            self._counts.append(self._counts[-1] + len(batches))

    def __len__(self) -> int:
        return self._counts[-1]

    @overload
    def __getitem__(self, k: int) -> list[int]: ...
    @overload
    def __getitem__(self, k: slice) -> list[list[int]]: ...
    def __getitem__(self, k: int | slice) -> Any:
        if isinstance(k, slice):
            return [self[each] for each in range(*k.indices(len(self)))]
        k = range(len(self))[k]
        part = bisect_right(self._counts, k) - 1
        first, end = self._ends[part][k - self._counts[part] :][:2]
        found: list[int] = self._rows[part][first:end].tolist()
        return found


@part("batching", "buckets")
class Buckets:
    """Up to `size` sequences a batch, of one length where there are enough of it, else of lengths close together.

    `tokens` bounds a batch too: sequences × longest of them; one that is longer by itself goes alone. With `shuffle`
    every epoch puts other sequences together and takes the batches in another order; without it they go from the
    shortest to the longest. A sequence longer than `longest` is refused, or cut there with `cut_long`.

    Pairs, whose target has a length of its own, are put together by both lengths, the target's first; `tokens` counts
    the longer side. Where a side is longer than `longest`, the pair is left out of training, and counted; none is ever
    cut.
    """

    in_pieces: ClassVar[bool] = False
    """Sequences are read whole, each in one batch."""

    def __init__(
        self,
        size: int = 32,
        tokens: int | None = None,
        shuffle: bool = True,
        longest: int = 10_000,
        cut_long: bool = False,
    ) -> None:
        for name, value in (("size", size), ("tokens", tokens), ("longest", longest)):
            if value is not None and value < 1:
                raise ConfigError(f"batching.{name} = {value}, expected 1 or more.")
        self.size = size
        self.tokens = tokens
        self.shuffle = shuffle
        self.longest = longest
        self.cut_long = cut_long

    def scoring(
        self, encoded: Sequence[Encoded], layouts: Mapping[str, Layout], one_stream: bool = False
    ) -> BucketEpoch:
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
    ) -> BucketEpoch:
        """One pass over all sequences, each in one batch; the same for the same seed and epoch.

        `whole=True`, for evaluation and prediction: in the order of their lengths, of pairs the source's, nothing
        random, and nothing refused, left out or cut, as every token waits for its answer; sequences beyond `longest`
        share their batch with fewer others.

        Raises `DataError` for a sequence longer than `longest`, and where all pairs are; `ConfigError` for pairs that
        are to be cut.
        """
        lengths = lengths_of(encoded, "input")
        own = [name for name, each in layouts.items() if each.ragged and not each.along and each.lays is None]
        targets = np.zeros_like(lengths)
        for name in own:
            targets = np.maximum(targets, lengths_of(encoded, name))
        if whole:
            rows = np.lexsort((targets, lengths))
            return BucketEpoch(encoded, layouts, self._cut(rows, np.maximum(lengths, targets)), None, 0)
        if targets.any():
            return self._pairs(encoded, layouts, lengths, targets, [seed, epoch])
        long = np.flatnonzero(lengths > self.longest)
        if len(long) and not self.cut_long:
            raise self._too_long(encoded[long[0]])
        lengths = np.minimum(lengths, self.longest)
        order = self._shuffled(encoded, None, lengths, targets, [seed, epoch])
        return BucketEpoch(encoded, layouts, order, self.longest, len(long))

    def _pairs(
        self,
        encoded: Sequence[Encoded],
        layouts: Mapping[str, Layout],
        lengths: NDArray[np.int64],
        targets: NDArray[np.int64],
        seeds: list[int],
    ) -> BucketEpoch:
        """One pass over pairs for training."""
        if self.cut_long:
            raise ConfigError(
                "batching.cut_long is for sequences with labels; of a pair nothing is cut, and one that is too long is "
                "left out and counted. Leave it away, or raise batching.longest."
            )
        kept = np.maximum(lengths, targets) <= self.longest
        if not kept.any():
            raise DataError(
                f"{encoded[0]['place']}: this pair and all others have a side of more than {self.longest:,} tokens, "
                f"their end counted. Let longer ones in: --set batching.longest={int(max(lengths[0], targets[0]))}"
            )
        order = self._shuffled(encoded, kept, lengths, targets, seeds)
        return BucketEpoch(encoded, layouts, order, None, 0, len(encoded) - int(kept.sum()))

    def _shuffled(
        self,
        encoded: Sequence[Encoded],
        kept: NDArray[np.bool_] | None,
        lengths: NDArray[np.int64],
        targets: NDArray[np.int64],
        seeds: list[int],
    ) -> Sequence[list[int]]:
        """The rows that are kept, None: all, in batches; of examples that lie in files those of some shards at a
        time."""
        random = np.random.default_rng(seeds)
        if not isinstance(encoded, HasLengths) or not self.shuffle:
            rows = np.arange(len(lengths)) if kept is None else np.flatnonzero(kept)
            return self._order(rows, lengths, targets, random)
        shards = np.random.default_rng([*seeds, 1])
        batches = Batched()
        for rows in encoded.drawn(shards):
            rows = rows if kept is None else rows[kept[rows]]
            batches.add(rows, self._order(np.arange(len(rows)), lengths[rows], targets[rows], random))
        return batches

    def _order(
        self,
        rows: NDArray[np.int64],
        lengths: NDArray[np.int64],
        targets: NDArray[np.int64],
        random: np.random.Generator,
    ) -> list[list[int]]:
        """The rows in batches: shuffled, or from the shortest to the longest. `targets` are 0 where there are none."""
        size = np.maximum(lengths, targets)
        if not self.shuffle:
            return self._cut(rows[_by_both(lengths[rows], targets[rows])], size)
        rows = random.permutation(rows)
        rows = rows[np.lexsort((lengths[rows], targets[rows]))]
        batches: list[list[int]] = []
        rest = [rows[:0]]
        ends = np.flatnonzero(np.diff(lengths[rows]) | np.diff(targets[rows])) + 1
        for group in np.split(rows, ends) if len(rows) else []:
            room = self._room(int(size[group[0]]))
            full = len(group) // room * room
            batches += group[:full].reshape(-1, room).tolist()
            rest.append(group[full:])
        left = np.concatenate(rest)
        seeming = lengths[left] * (1 + JITTER * random.random(len(left)))
        aims = targets[left] * (1 + JITTER * random.random(len(left))) if targets.any() else targets[left]
        batches += self._cut(left[_by_both(seeming, aims)], size)
        return [batches[k] for k in random.permutation(len(batches))]

    def _cut(self, rows: NDArray[np.int64], size: NDArray[np.int64]) -> list[list[int]]:
        """Rows in their order, as many to a batch as there is room for."""
        batches: list[list[int]] = []
        longest = 0
        for row in rows.tolist():
            longest = max(longest, int(size[row]))
            if not batches or len(batches[-1]) >= self._room(longest):
                batches.append([])
                longest = int(size[row])
            batches[-1].append(row)
        return batches

    def _room(self, length: int) -> int:
        """How many sequences of a length a batch takes."""
        tokens = self.size * self.longest if self.tokens is None else self.tokens
        return max(1, min(self.size, tokens // max(1, length)))

    def _too_long(self, encoded: Encoded) -> DataError:
        found = len(encoded["input"])
        return DataError(
            f"{encoded['place']}: a sequence of {found:,} tokens, expected {self.longest:,} at most. Is a blank line "
            f"missing? If not: --set batching.longest={found}, or cut it: --set batching.cut_long=true"
        )


def _by_both(lengths: NDArray[Any], targets: NDArray[Any]) -> NDArray[np.int64]:
    """The order by targets' lengths, in whole tokens, and among equal ones by lengths, by turns up and down: so that
    also where the target grows by one, neighbours have like lengths."""
    whole = np.floor(targets)
    order: NDArray[np.int64] = np.lexsort((np.where(whole % 2, -lengths, lengths), whole))
    return order
