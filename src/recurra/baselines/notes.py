"""Music without a memory: how often each note sounds, and whether it goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from recurra.baselines.row import Row
from recurra.errors import DataError
from recurra.registry import part
from recurra.types import Example


@part("baseline", "notes")
class NoteFrequencies:
    """Each note by itself: p that it sounds, as often as it does in the training pieces; and the same by whether it
    sounded at the step before, so that a step mostly repeats the last one. Both are (n + ½) / (N + 1).

    Log-probabilities are of whole steps, the first of each piece included, before which nothing sounds.
    """

    of_numbers: ClassVar[bool] = True

    def rows(self, train: Sequence[Example], test: Sequence[Example], codecs: Mapping[str, Any]) -> Iterator[Row]:
        """Count in `train`, and score `test`. Raises `DataError` where there is no step to count."""
        codec = codecs["input"]
        learned, asked = ([codec.encode(each["notes"]) > 0 for each in side] for side in (train, test))
        if not any(map(len, learned)):
            raise DataError("notes: no training step, expected at least 1. Are all pieces empty?")
        now, asked_now = np.concatenate(learned), np.concatenate(asked)
        before, asked_before = (np.concatenate([_before(each) for each in side]) for side in (learned, asked))
        alone = _share(now, np.ones_like(now))
        yield Row("each note by itself", len(alone), "shares", log_p=_log_p(asked_now, alone))
        silent, sounding = _share(now, ~before), _share(now, before)
        p = np.where(asked_before, sounding, silent)
        yield Row("each note by its last step", 2 * len(alone), "shares", log_p=_log_p(asked_now, p))


def _before(steps: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of each step the one before, of the first none."""
    return np.concatenate((np.zeros_like(steps[:1]), steps[:-1]))


def _share(now: NDArray[np.bool_], where: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Of each key how often it sounds among the steps `where` it is counted."""
    shares: NDArray[np.float64] = ((now & where).sum(0) + 0.5) / (where.sum(0) + 1)
    return shares


def _log_p(steps: NDArray[np.bool_], p: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.log(np.where(steps, p, 1 - p)).sum(1)
    return found
