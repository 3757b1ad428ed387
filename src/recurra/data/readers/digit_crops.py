"""Numbers put together from pictures of their digits, each with what lies beside it: house numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from recurra.config import check_seed
from recurra.data.arrays import Arrays
from recurra.data.sample import Sample
from recurra.data.stacked import packed
from recurra.errors import ConfigError, DataError
from recurra.registry import part
from recurra.types import Example

NAMES = ("images", "label", "number_index", "position")
NARROWEST, WIDEST = 0.45, 0.75
"""The share of a picture's width that is taken of a digit which has a neighbour: drawn between."""


@part("reader", "digit-crops")
class DigitCropsReader:
    """An example for each number: its `image` [H, W], its `transcript`, its `group` (the number), and its `place`.

    A `.npz` file holds `images` [N, H, W] of one digit each in the middle of what surrounds it, their `label` (0 to
    9), `number_index`, which number they are of, and their `position` in it, from 0. Digits that stand side by side in
    a number are put together, of each so much of its middle as two of them have room for; the ends keep their
    surroundings. `passes` times over, each with other widths, drawn from `seed`. A number is as high as the picture, or
    with `smallest` below 1 a share of it drawn between both; on each side there is up to `beside` times the picture's
    height of ground, which goes on as the number's picture ends. Numbers up to the index `after` are left out: another
    part may be whole pictures of these.
    With `apart` nothing is put together: an example is the picture of one digit as it is, with its `label`, and the
    `group` it is of.

    Raises `DataError` for what is no such file, `ConfigError` for a setting out of range.
    """

    recipe = "line-reader"
    fields: Mapping[str, str] = {"image": "image", "transcript": "text"}
    sample: ClassVar[Sample] = Sample(
        {
            "a.npz": packed(
                images=(np.arange(64) % 7 * 40).astype(np.uint8).reshape(4, 4, 4),
                label=np.array([1, 0, 7, 2]),
                number_index=np.array([3, 3, 4, 9]),
                position=np.array([0, 1, 0, 2]),
            )
        },
        3,
        sniffed=False,
    )

    def __init__(
        self,
        passes: int = 1,
        smallest: float = 1.0,
        beside: float = 0.0,
        after: int = 0,
        seed: int = 0,
        apart: bool = False,
    ) -> None:
        if passes < 1:
            raise ConfigError(f"reader.passes = {passes}, expected 1 or more.")
        if after < 0:
            raise ConfigError(f"reader.after = {after}, expected the index of a number, 0 or more.")
        if not 0.1 <= smallest <= 1 or not 0 <= beside <= 10:
            raise ConfigError(
                f"reader.smallest = {smallest} and reader.beside = {beside}, expected a share of 0.1 to 1 and ground "
                "of 0 to 10 times the height."
            )
        self.smallest, self.beside, self.apart = smallest, beside, apart
        if apart:
            self.fields = {"image": "image", "label": "label"}
        self.passes, self.after, self.seed = passes, after, check_seed(seed, "reader.seed")

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The numbers of the files, in the order of their index."""
        for path in map(Path, paths):
            yield from self._digits(path) if self.apart else self._numbers(path)

    def sniff(self, path: str | Path) -> str | None:
        """That numbers are to be made of its pictures no file says, so none is taken for it."""
        return None

    def _digits(self, path: Path) -> Iterator[Example]:
        images, label, number, position = _checked(path)
        for row in np.flatnonzero(number > self.after).tolist():
            place = f"{path}, digit {position[row]} of number {number[row]}"
            yield {"image": images[row], "label": str(label[row]), "group": str(number[row]), "place": place}

    def _numbers(self, path: Path) -> Iterator[Example]:
        images, label, number, position = _checked(path)
        order = np.lexsort((position, number))
        order = order[number[order] > self.after]
        begins = np.flatnonzero(
            np.diff(number[order], prepend=-1) | (np.diff(position[order], prepend=-1) != 1)
        )  # a digit that is not there parts its number
        random = np.random.default_rng(self.seed)
        for _ in range(self.passes):
            for rows in np.split(order, begins[1:]) if len(order) else []:
                yield {
                    "image": self._surrounded(_joined(images[rows], random), random),
                    "transcript": "".join(str(digit) for digit in label[rows]),
                    "group": str(number[rows[0]]),
                    "place": f"{path}, number {number[rows[0]]}",
                }

    def _surrounded(self, image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
        """A number with ground around it."""
        room = image.shape[0] * (1 / random.uniform(self.smallest, 1.0) - 1)
        above = round(room * random.uniform(0.3, 0.7))
        height = image.shape[0] + round(room)
        left, right = (random.uniform(0, self.beside, 2) * height).astype(int).tolist()
        return np.pad(image, ((above, round(room) - above), (left, right)), mode="edge")


def _joined(images: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Pictures of neighbours side by side, cut where they meet."""
    W = images.shape[2]
    share = random.uniform(NARROWEST, WIDEST)
    cut = round((1 - share) / 2 * W)
    last = len(images) - 1
    pieces = [image[:, cut if k else 0 : W - cut if k < last else W] for k, image in enumerate(images)]
    return np.concatenate(pieces, 1)


def _checked(path: Path) -> tuple[NDArray[np.uint8], NDArray[Any], NDArray[Any], NDArray[Any]]:
    held = Arrays(path)
    if missing := [name for name in NAMES if name not in held]:
        raise DataError(f"{path}: no array {missing[0]!r}, expected {', '.join(NAMES)}.")
    found = {name: held[name] for name in NAMES}
    images = found.pop("images")
    if images.ndim != 3 or images.dtype != np.uint8 or 0 in images.shape[1:]:
        raise DataError(
            f"{path}: images of {images.dtype.name} in {images.ndim} axes, expected bytes in three: [N, H, W]."
        )
    for name, each in found.items():
        if each.shape != images.shape[:1] or each.dtype.kind not in "iu" or (len(each) and each.min() < 0):
            raise DataError(
                f"{path}: {name} of {each.dtype.name} in the shape {list(each.shape)}, expected a whole number, 0 or "
                f"more, for each of {len(images):,} images."
            )
    if len(images) and found["label"].max() > 9:
        raise DataError(f"{path}: the label {found['label'].max()}, expected digits, 0 to 9.")
    label, number, position = (each.astype(np.int64) for each in found.values())
    return images.astype(np.uint8, copy=False), label, number, position
