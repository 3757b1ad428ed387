"""Strings of digits put together from MNIST's, whose pictures are of one digit each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from recurra.config import check_seed
from recurra.data.readers.idx import array_of, packed
from recurra.data.sample import Sample
from recurra.errors import ConfigError, DataError
from recurra.registry import part
from recurra.types import Example

LONGEST = 100
"""Digits of a string, at most."""
MARGIN = 4
"""Columns of background at either end, at most."""


@part("reader", "digit-strings")
class DigitStringsReader:
    """An example for each string of digits: its `image` [H, W], bright on black, its `transcript`, and its `place`.

    Files come in pairs as the reader "idx" takes them, pictures and then their labels. Their digits are shuffled and
    taken one after the other, `shortest` to `longest` of them to a string; `passes` times over, each in another order.
    Empty columns at the sides of a digit are cut off, and `closest` to `farthest` columns put between two of them;
    where there are fewer than none the digits overlap, by half of the narrower at most, so that none is hidden, and the
    brighter pixel is seen. All is drawn from `seed`: the same files and settings give the same strings.

    Raises `DataError` for what the reader "idx" refuses, and for files of another order; `ConfigError` for ranges that
    are none.
    """

    recipe = "line-reader"
    fields: ClassVar[Mapping[str, str]] = {"image": "image", "transcript": "text"}
    sample: ClassVar[Sample] = Sample(
        {
            "images": packed((np.arange(96) % 7 * 40).astype(np.uint8).reshape(6, 4, 4)),
            "labels": packed(np.array([1, 0, 1, 2, 3, 9], np.uint8)),
        },
        3,
        sniffed=False,
    )

    def __init__(
        self,
        shortest: int = 1,
        longest: int = 5,
        passes: int = 1,
        closest: int = -4,
        farthest: int = 8,
        seed: int = 0,
    ) -> None:
        if not 1 <= shortest <= longest <= LONGEST:
            raise ConfigError(
                f"reader.shortest = {shortest} and reader.longest = {longest}, expected 1 to {LONGEST} digits, the "
                "second no fewer than the first."
            )
        if closest > farthest or abs(closest) > LONGEST or abs(farthest) > LONGEST:
            raise ConfigError(
                f"reader.closest = {closest} and reader.farthest = {farthest}, expected columns between digits, "
                f"−{LONGEST} to {LONGEST}, the second no fewer than the first."
            )
        if passes < 1:
            raise ConfigError(f"reader.passes = {passes}, expected 1 or more.")
        self.shortest, self.longest, self.passes = shortest, longest, passes
        self.closest, self.farthest, self.seed = closest, farthest, check_seed(seed, "reader.seed")

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The strings of the digits of the files, in the order drawn."""
        if len(paths) % 2:
            raise DataError(
                f"{paths[-1]}: no file of labels behind it, expected pictures and their labels by turns. Name both."
            )
        for pictures, labels in zip(map(Path, paths[::2]), map(Path, paths[1::2]), strict=True):
            yield from self._strings(pictures, *_digits(pictures, labels))

    def sniff(self, path: str | Path) -> str | None:
        """That strings are to be made of its digits no file says, so none is taken for it."""
        return None

    def _strings(self, path: Path, pictures: NDArray[np.uint8], labels: NDArray[np.int64]) -> Iterator[Example]:
        random = np.random.default_rng(self.seed)
        digits = [_trimmed(picture) for picture in pictures]
        number = 0
        for _ in range(self.passes):
            order, begin = random.permutation(len(digits)), 0
            while begin < len(order):
                length = int(random.integers(self.shortest, self.longest + 1))
                chosen, begin = order[begin : begin + length], begin + length
                if len(chosen) < self.shortest:
                    break  # too few are left of this pass
                image = self._joined([digits[k] for k in chosen], random)
                text = "".join(str(labels[k]) for k in chosen)
                yield {"image": image, "transcript": text, "place": f"{path}, string {number}"}
                number += 1

    def _joined(self, digits: Sequence[NDArray[np.uint8]], random: np.random.Generator) -> NDArray[np.uint8]:
        gaps = random.integers(self.closest, self.farthest + 1, len(digits) - 1).tolist()
        ends = random.integers(0, MARGIN + 1, 2).tolist()
        begins = [ends[0]]
        for digit, following, gap in zip(digits, digits[1:], gaps, strict=False):
            hidden = min(digit.shape[1], following.shape[1]) // 2
            begins.append(begins[-1] + digit.shape[1] + max(gap, -hidden))
        width = max(begin + digit.shape[1] for begin, digit in zip(begins, digits, strict=True)) + ends[1]
        image = np.zeros((digits[0].shape[0], width), np.uint8)
        for begin, digit in zip(begins, digits, strict=True):
            place = image[:, begin : begin + digit.shape[1]]
            np.maximum(place, digit, out=place)
        return image


def _digits(pictures: Path, labels: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    found, names = array_of(pictures), array_of(labels)
    if found.ndim != 3 or found.dtype != np.uint8:
        raise DataError(f"{pictures}: {found.dtype.name} in {found.ndim} axes, expected pictures: bytes in three.")
    if names.ndim != 1 or len(names) != len(found) or names.dtype.kind not in "iu":
        raise DataError(
            f"{labels}: an array of the shape {list(names.shape)}, expected the labels of {len(found):,} pictures of "
            f"{pictures}. Name the files that belong together."
        )
    if names.min() < 0 or names.max() > 9:
        raise DataError(
            f"{labels}: the label {names.max() if names.max() > 9 else names.min()}, expected digits, 0 to 9."
        )
    return found.astype(np.uint8, copy=False), names.astype(np.int64)


def _trimmed(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A digit without empty columns at its sides; of an empty one a column is left."""
    there = np.flatnonzero(picture.any(0))
    return picture[:, there[0] : there[-1] + 1] if len(there) else picture[:, :1]
