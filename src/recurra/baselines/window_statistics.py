"""Logistic regression on what a sequence of numbers is like as a whole: the plain side of naming movements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from recurra.baselines.logistic import choose_strength, probabilities
from recurra.baselines.row import Row, check_fields
from recurra.data.files import counted
from recurra.errors import ConfigError, DataError
from recurra.registry import part
from recurra.types import Example

LARGEST = 20_000
"""Training windows that are learned from, at most; of more a seeded sample."""

Floats = NDArray[np.float64]


@part("baseline", "window-statistics")
class WindowStatistics:
    """The most frequent name, and logistic regression on statistics of numbers: mean, standard deviation, least and
    greatest of each number of a step, and how many steps there are.

    Of examples with a "label" or "labels" the window is the whole sequence; of those with "tags" it is `around` steps
    to both sides of each. Statistics are scaled to mean 0 and deviation 1 of the training's; the strength of the L2
    penalty is chosen on a seeded tenth of the training windows, of which `LARGEST` are learned from at most. A label
    of several is given where its own regression says p > ½.

    Raises ConfigError for a window below 0; `rows` DataError for no training examples, and for fields that are missing.
    """

    of_numbers: ClassVar[bool] = True

    def __init__(self, around: int = 25) -> None:
        if around < 0:
            raise ConfigError(f"baseline.around = {around}, expected 0 or more steps to both sides.")
        self.around = around

    def rows(self, train: Sequence[Example], test: Sequence[Example], codecs: Mapping[str, Any]) -> Iterator[Row]:
        """Fit on `train` and answer `test`, one plain model after another."""
        if not train:
            raise DataError("window-statistics: no training examples, expected at least 1. Is the file empty?")
        check_fields("window-statistics", "training", train, "label", "labels", "tags")
        field = next(name for name in ("tags", "labels", "label") if name in train[0])
        check_fields("window-statistics", "training", train, field)
        learned = [_names(example[field]) for example in train]
        counts = Counter(name for names in learned for name in names)
        if not counts:
            raise DataError("window-statistics: no training example has a label, expected at least 1.")
        names = sorted(counts)
        seen, asked = (self._statistics(side, codecs, field) for side in (train, test))
        steps = [len(each) for each in asked]
        if field != "labels":
            common = max(names, key=lambda name: counts[name])  # of several, the first in the alphabet
            always = [_answer(field, [common] * count) for count in steps]
            yield Row(f"most frequent {field.removesuffix('s')}", len(names), f"{field.removesuffix('s')}s", always)
        X = np.concatenate(seen)
        Y = _targets(learned, names, field)
        rows = np.random.default_rng(0).permutation(len(X))[:LARGEST]
        middle, spread = X[rows].mean(0), X[rows].std(0)
        spread[spread == 0] = 1
        X, A = ((each - middle) / spread for each in (X[rows], np.concatenate([*asked, X[:0]])))
        strength, note = choose_strength(X, Y[rows], field == "labels")
        if len(Y) > LARGEST:
            note += f"; learned from {counted(LARGEST, 'window')} of {len(Y):,}"
        p = probabilities(X, Y[rows], A, strength, field == "labels")
        if field == "labels":
            answers = [{"labels": [names[k] for k in np.flatnonzero(row > 0.5)]} for row in p]
        else:
            best = [names[k] for k in p.argmax(1)]
            ends = np.cumsum([0, *steps])
            answers = [_answer(field, best[a:b]) for a, b in pairwise(ends)]
        what = f"statistics of {2 * self.around + 1} steps" if field == "tags" else "statistics"
        yield Row(f"logistic regression on {what}", X.shape[1], "statistics", answers, note)

    def _statistics(self, examples: Sequence[Example], codecs: Mapping[str, Any], field: str) -> list[Floats]:
        """[windows, statistics] of each example: one window, or of tags one for each step."""
        found = []
        for x in map(_numbers(codecs), examples):
            if field == "tags":
                found.append(_around(x, self.around))
            else:
                length = np.full(1, float(len(x)))
                x = x if len(x) else np.zeros((1, x.shape[1]))
                found.append(np.concatenate((x.mean(0), x.std(0), x.min(0), x.max(0), length))[None])
        return found


def _numbers(codecs: Any) -> Any:
    """What gives an example's numbers, [T, W], as the model's codec scales them."""

    def encoded(example: Example) -> Floats:
        value: Floats = codecs["input"].encode(codecs.value("input", example)).astype(np.float64)
        return value

    return encoded


def _around(x: Floats, around: int) -> Floats:
    """Statistics of the steps around each step, [T, 4 W]; those beyond the ends are the first and the last again."""
    if not len(x):
        return np.zeros((0, 4 * x.shape[1]))
    wide = np.pad(x, ((around, around), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(wide, 2 * around + 1, axis=0)  # [T, W, 2 around + 1]
    return np.concatenate([each(windows, -1) for each in (np.mean, np.std, np.min, np.max)], 1)


def _names(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _answer(field: str, names: list[str]) -> dict[str, Any]:
    return {"tags": names} if field == "tags" else {field: names[0]}


def _targets(learned: Sequence[Sequence[str]], names: Sequence[str], field: str) -> Floats:
    """Y [N, L] of 0 and 1: a row for each window."""
    column = {name: k for k, name in enumerate(names)}
    if field == "labels":
        Y = np.zeros((len(learned), len(names)))
        for n, some in enumerate(learned):
            Y[n, [column[name] for name in some]] = 1
        return Y
    return np.eye(len(names))[[column[name] for some in learned for name in some]]
