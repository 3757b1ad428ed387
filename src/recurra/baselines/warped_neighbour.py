"""The label, or transcript, of the nearest training sequence, one stretched and squeezed in time to fit the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from recurra.baselines.row import Row, check_fields
from recurra.data.files import counted
from recurra.errors import ConfigError
from recurra.progress import steps
from recurra.registry import part
from recurra.types import Example

SHORT = 32
"""Steps that sequences are brought to by means of neighbouring ones, where all of them would take too long."""
TOGETHER = 1 << 22
"""Numbers of the table of distances that are held at a time."""

Floats = NDArray[np.float64]


@part("baseline", "warped-neighbour")
class WarpedNeighbour:
    """The label, or transcript, of the training sequence with the least dynamic time warping distance (1-NN DTW).

    D[i, j] = ‖x_i − y_j‖² + min(D[i−1, j], D[i, j−1], D[i−1, j−1]) over the steps of both sequences, all numbers of a
    step together and no limit of the warping; the distance is D at both ends. Of equal distances the first counts.
    Where that would take more than `most` entries of D for all pairs, sequences longer than `SHORT` steps are averaged
    down to that, and of the training sequences a seeded sample is compared with; the note says so.

    Raises ConfigError for `most` below 1; `rows` DataError for missing fields. Examples with several labels, or with
    tags, have no single neighbour: no row.
    Source: Sakoe & Chiba 1978, Dynamic programming algorithm optimization for spoken word recognition.
    """

    of_numbers: ClassVar[bool] = True

    def __init__(self, most: float = 5e8) -> None:
        if most < 1:
            raise ConfigError(f"baseline.most = {most:g}, expected 1 entry or more.")
        self.most = most

    def rows(self, train: Sequence[Example], test: Sequence[Example], codecs: Any) -> Iterator[Row]:
        """Answer `test` by the nearest of `train`."""
        if not train or "labels" in train[0] or "tags" in train[0]:
            return
        field = "transcript" if "transcript" in train[0] else "label"
        check_fields("warped-neighbour", "training", train, field)
        known, asked = (_encoded(side, codecs) for side in (train, test))
        names, notes = [example[field] for example in train], []
        if self._share(known, asked) < 1:
            longest = max(map(len, known + asked))
            known, asked = ([_shortened(x) for x in side] for side in (known, asked))
            if longest > SHORT:
                notes.append(f"sequences averaged down to {SHORT} steps")
        if (share := self._share(known, asked)) < 1:
            kept = max(1, int(share * len(known)))
            rows = sorted(np.random.default_rng(0).permutation(len(known))[:kept].tolist())
            known, names = [known[k] for k in rows], [names[k] for k in rows]
            notes.append(f"compared with {kept:,} of {counted(len(train), 'training sequence')}, drawn by a seed")
        answers = [
            {field: names[int(np.argmin(warped_distances(x, known)))]}
            for x in steps(asked, "comparing with all training sequences", "sequences")
        ]
        yield Row("nearest neighbour by warping", len(known), "sequences", answers, "; ".join(notes))

    def _share(self, known: Sequence[Floats], asked: Sequence[Floats]) -> float:
        """The share of the training sequences that can be compared with."""
        entries = sum(map(len, known)) * sum(map(len, asked))
        return self.most / max(1, entries)


def warped_distances(x: Floats, others: Sequence[Floats]) -> Floats:
    """The distance of x [T, W] to each of the others [T', W]; infinite where one of both is empty and the other not.

    All others are gone through together, an anti-diagonal of their tables at a time.
    """
    found = np.empty(len(others))
    lengths = [len(each) for each in others]
    longest = max([1, *lengths])
    count = max(1, TOGETHER // (longest * max(1, len(x))))
    for first in range(0, len(others), count):
        some = others[first : first + count]
        y = np.zeros((len(some), longest, x.shape[1]))
        for k, each in enumerate(some):
            y[k, : len(each)] = each
        found[first : first + count] = _together(x, y, np.array(lengths[first : first + count]))
    return found


def _together(x: Floats, y: Floats, lengths: NDArray[np.int64]) -> Floats:
    """Distances of x [T, W] to y [N, T', W], of which `lengths` [N] steps are there."""
    T, U = len(x), y.shape[1]
    if T == 0:
        return np.where(lengths == 0, 0.0, np.inf)
    cost = np.square(x).sum(1)[:, None] + np.square(y).sum(2)[:, None, :] - 2 * (x @ y.transpose(0, 2, 1))  # [N, T, U]
    np.maximum(cost, 0, out=cost)
    # Entry i of a diagonal is D[i − 1, d − i + 1], entry 0 the border above, so that a step back is a shift by one.
    before, now, found = (np.full(shape, np.inf) for shape in ((len(y), T + 1), (len(y), T + 1), (len(y),)))
    before[:, 0] = 0  # D[−1, −1], from which the first entry comes
    for d in range(T + U - 1):
        low, high = max(0, d - U + 1), min(T, d + 1)  # rows of the diagonal: j = d − i is a step of y
        i = np.arange(low, high)
        least = np.minimum(before[:, low:high], np.minimum(now[:, low:high], now[:, low + 1 : high + 1]))
        following = np.full_like(now, np.inf)
        following[:, low + 1 : high + 1] = cost[:, i, d - i] + least
        before, now = now, following
        if high == T:
            ended = lengths == d - T + 2  # D at both ends is on this diagonal
            found[ended] = now[ended, T]
    return found


def _encoded(examples: Sequence[Example], codecs: Any) -> list[Floats]:
    """The numbers of examples, [T, W], as the model's codec scales them."""
    return [codecs["input"].encode(codecs.value("input", each)).astype(np.float64) for each in examples]


def _shortened(x: Floats) -> Floats:
    """A sequence of `SHORT` steps at most, each the mean of neighbouring ones."""
    if len(x) <= SHORT:
        return x
    return np.stack([part.mean(0) for part in np.array_split(x, SHORT)])
