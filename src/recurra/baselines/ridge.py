"""A number for a sequence as a linear function of what it holds, wherever that stands: the plain side of scoring."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.baselines.bag import FEW, counts
from recurra.baselines.row import Row, check_fields
from recurra.errors import ConfigError, DataError
from recurra.progress import steps
from recurra.registry import part
from recurra.types import Example

STRENGTHS = (100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01)
"""The ridges tried, from strong to weak, of features of mean square 1, or of texts of length 1."""
SERIES = ("series", "vectors")
Floats = NDArray[np.float64]


@part("baseline", "ridge")
class Ridge:
    """The mean of the training numbers, a line through how long a sequence is, and a ridge regression on what it holds,
    by scikit-learn; of examples with a "scale" each scale by itself.

    Of texts that is ln(1 + tokens) and the words, and pairs of neighbouring words, of at least `min_texts` training
    texts, by tf-idf as of the baseline "bag"; of numbers in time the mean, spread, least, largest and slope of every
    variable in each of `windows` equal parts of the sequence. The strength is the one of `STRENGTHS` with the least
    squared error on a seeded tenth of the scale's training examples; then it learns from all. Answers keep between the
    least and the largest number of the scale's training.

    Raises ConfigError for settings below 1 and where scikit-learn is not installed; `rows` DataError for no training
    examples and for a field that is missing.
    """

    def __init__(self, min_texts: int = 2, windows: int = 4) -> None:
        for name, value in (("min_texts", min_texts), ("windows", windows)):
            if value < 1:
                raise ConfigError(f"baseline.{name} = {value}, expected 1 or more.")
        if importlib.util.find_spec("sklearn") is None:
            raise ConfigError(
                "the baseline 'ridge' is scikit-learn's, which is not installed. Install it, pip install scikit-learn, "
                "or train without a baseline: --no-baseline"
            )
        self.min_texts, self.windows = min_texts, windows

    def rows(self, train: Sequence[Example], test: Sequence[Example], codecs: Mapping[str, Any]) -> Iterator[Row]:
        """Fit on `train` ("tokens" or numbers in time, and "number") and answer `test`, one model after another."""
        if not train:
            raise DataError("ridge: no training examples, expected at least 1. Is the training file empty?")
        check_fields("ridge", "training", train, "number")
        for name, side in (("training", train), ("test", test)):
            check_fields("ridge", name, side, "tokens", *SERIES)
        y = np.array([float(each["number"]) for each in train])
        scales = [_rows_of(train, test, name) for name in sorted({_scale(each) for each in train})]
        unseen = np.setdiff1d(np.arange(len(test)), np.concatenate([asked for _, asked in scales]))
        scales += [(np.arange(len(train)), unseen)] if len(unseen) else []  # which all of the training answers
        means = np.zeros(len(test))
        for own, asked in scales:
            means[asked] = y[own].mean()
        yield Row("mean of the training numbers", len(scales), "numbers", _answers(means))
        lengths, asked_lengths = (np.log1p([len(_steps(each)) for each in side])[:, None] for side in (train, test))
        found, _ = self._fitted(lengths, asked_lengths, y, scales, (0.0,))
        yield Row("a line through its length", 2 * len(scales), "weights", _answers(found))
        if "tokens" in train[0]:
            seen, asked_for, size = self._words(train, test)
            what = "ridge on words and bigrams"
        else:
            seen, asked_for = self._statistics(train, test)
            size, what = seen.shape[1], f"ridge on statistics of {self.windows} windows"
        found, note = self._fitted(seen, asked_for, y, scales, STRENGTHS)
        yield Row(what, size * len(scales), "weights", _answers(found), note)

    def _words(self, train: Sequence[Example], test: Sequence[Example]) -> tuple[Any, Any, int]:
        """tf-idf of words and bigrams, and the length, sparse [N, F]."""
        from scipy.sparse import hstack
        from sklearn.feature_extraction.text import TfidfTransformer

        some = test or train[:1]  # scikit-learn wants one to answer
        tokens = [[list(each["tokens"]) for each in side] for side in (train, some)]
        seen, asked, size = counts(tokens[0], tokens[1], self.min_texts)
        lengths = [np.log1p([[len(text)] for text in side]) for side in tokens]
        middle, spread = lengths[0].mean(), lengths[0].std() or 1.0
        weights = TfidfTransformer(sublinear_tf=True).fit(seen)
        made = [
            hstack([weights.transform(each), (length - middle) / spread], format="csr").astype(np.float64)
            for each, length in zip((seen, asked), lengths, strict=True)
        ]
        return made[0], made[1][: len(test)], size + 1

    def _statistics(self, train: Sequence[Example], test: Sequence[Example]) -> tuple[Floats, Floats]:
        """Statistics of windows, each of mean 0 and spread 1 in training, [N, F]."""
        seen, asked = (np.array([window_statistics(_steps(each), self.windows) for each in s]) for s in (train, test))
        middle, spread = seen.mean(0), seen.std(0)
        spread = np.where(spread > 0, spread, 1.0)
        return (seen - middle) / spread, (asked.reshape(len(test), seen.shape[1]) - middle) / spread

    def _fitted(
        self, seen: Any, asked: Any, y: Floats, scales: Sequence[tuple[Any, Any]], strengths: Sequence[float]
    ) -> tuple[Floats, str]:
        """Numbers for `asked`, and which strengths were chosen."""
        found, chosen = np.zeros(asked.shape[0]), []
        fitting = steps(scales, "fitting the ridge regression", "scales", len(scales))
        for own, wanted in fitting:
            X, t = seen[own], y[own]
            strength = strengths[0] if len(strengths) == 1 else _strength(X, t, strengths)
            chosen.append(strength)
            if len(wanted):
                said = next(_regressions(X, t, asked[wanted], [strength]))
                found[wanted] = said.clip(t.min(), t.max())
        each = ", ".join(f"{strength:g}" for strength in dict.fromkeys(chosen))
        return found, f"strength {each}, chosen on a held-out tenth of the training examples"


def window_statistics(series: Floats, windows: int) -> Floats:
    """Mean, spread, least, largest and slope (by step) of each variable in equal parts of a series [T, W], one behind
    the other [windows · 5 · W]. Where there are fewer steps than parts, a part is the step that is nearest; of an empty
    series all is 0."""
    x = np.asarray(series, np.float64)
    x = x[:, None] if x.ndim == 1 else x
    if not len(x):
        return np.zeros(windows * 5 * x.shape[1])
    edges = np.linspace(0, len(x), windows + 1)
    found = []
    for begin, end in pairwise(edges):
        first = min(int(begin), len(x) - 1)
        part_ = x[first : max(int(end), first + 1)]
        t = np.arange(len(part_)) - (len(part_) - 1) / 2
        slope = t @ part_ / (np.square(t).sum() or 1.0)
        found += [part_.mean(0), part_.std(0), part_.min(0), part_.max(0), slope]
    return np.concatenate(found)


def _strength(X: Any, y: Floats, strengths: Sequence[float]) -> float:
    """The strength with the least squared error on a seeded tenth; 1 where that would be too few."""
    if len(y) < FEW:
        return 1.0
    held = np.zeros(len(y), bool)
    held[np.random.default_rng(0).permutation(len(y))[: len(y) // 10]] = True
    tried = _regressions(X[~held], y[~held], X[held], strengths)
    return strengths[int(np.argmin([np.square(said - y[held]).sum() for said in tried]))]


def _regressions(X: Any, y: Floats, asked: Any, strengths: Sequence[float]) -> Iterator[Floats]:
    """What regressions of some strengths on X [N, F] say of others, [M]."""
    from sklearn.linear_model import Ridge as Regression

    for strength in strengths:
        yield Regression(alpha=max(strength, 1e-9)).fit(X, y).predict(asked)


def _rows_of(train: Sequence[Example], test: Sequence[Example], scale: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """The rows of a scale's examples on both sides."""
    return tuple(  # type: ignore[return-value]
        np.array([n for n, each in enumerate(side) if _scale(each) == scale], int) for side in (train, test)
    )


def _scale(example: Example) -> str:
    return str(example.get("scale", ""))


def _steps(example: Example) -> Any:
    name = next(name for name in ("tokens", *SERIES) if name in example)
    return example[name] if name == "tokens" else np.asarray(example[name], np.float64)


def _answers(numbers: Floats) -> list[dict[str, Any]]:
    return [{"number": float(number)} for number in numbers]
