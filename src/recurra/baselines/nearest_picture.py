"""What is said of the nearest training picture, pixel by pixel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from recurra.baselines.row import Row, check_fields
from recurra.errors import DataError
from recurra.progress import steps
from recurra.registry import part
from recurra.types import Example

AT_ONCE = 512
"""Training pictures that all others are compared with together."""


@part("baseline", "nearest-picture")
class NearestPicture:
    """A caption of the training picture whose pixels, as the model reads them, have the least squared differences: the
    one that most training pictures have, of equally frequent ones the first. Of equal distances the first counts.

    `rows` raises DataError for no training examples, for a field that is missing and for inputs of several sizes.
    """

    of_numbers: ClassVar[bool] = True

    def rows(self, train: Sequence[Example], test: Sequence[Example], codecs: Mapping[str, Any]) -> Iterator[Row]:
        """Answer `test` by the nearest of `train`."""
        if not train:
            raise DataError("nearest-picture: no training examples, expected at least 1. Is the training file empty?")
        check_fields("nearest-picture", "training", train, "target", "targets", "transcript")
        captions = [_captions(example) for example in train]
        counts = Counter(caption for each in captions for caption in each)
        chosen = [max(each, key=lambda caption: counts[caption]) for each in captions]
        known, asked = (_pixels(side, codecs) for side in (train, test))
        if len(sizes := {len(each) for each in (*known, *asked)}) > 1:
            raise DataError(
                f"nearest-picture: inputs of {min(sizes):,} to {max(sizes):,} numbers, expected pictures of one size. "
                "Set baseline.kind = 'frequent'."
            )
        answers = [{"target": chosen[place]} for place in _nearest(asked, known)]
        yield Row("nearest picture", len(known), "pictures", answers)


def _captions(example: Example) -> list[str]:
    return list(example["targets"]) if "targets" in example else [example.get("target", example.get("transcript"))]


def _pixels(examples: Sequence[Example], codecs: Mapping[str, Any]) -> list[NDArray[Any]]:
    """The numbers of pictures in one row each, as they are encoded."""
    values: Any = codecs
    return [codecs["input"].encode(values.value("input", each)).reshape(-1) for each in examples]


def _nearest(asked: Sequence[NDArray[Any]], known: Sequence[NDArray[Any]]) -> list[int]:
    """The place of the nearest of the known pictures to each that is asked."""
    queries = np.stack(asked).astype(np.float32)
    least, places = np.full(len(asked), np.inf, np.float32), np.zeros(len(asked), np.int64)
    for first in steps(range(0, len(known), AT_ONCE), "comparing with training pictures", "parts"):
        some = np.stack(known[first : first + AT_ONCE]).astype(np.float32)
        distances = np.square(some).sum(1) - 2 * (queries @ some.T)  # less ‖query‖², which is alike for all
        best = distances.argmin(1)
        nearer = distances[np.arange(len(asked)), best] < least
        least[nearer], places[nearer] = distances[nearer, best[nearer]], first + best[nearer]
    found: list[int] = places.tolist()
    return found
