"""Texts as sparse counts of their words and of the pairs of neighbouring words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, count, repeat
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Counts:
    """A sparse matrix X [N, F], texts by features: its entries that are not 0, text by text."""

    text: Ids  # [M], ascending
    feature: Ids  # [M]
    value: NDArray[np.float32]  # [M]
    N: int
    F: int

    def times(self, W: Tensor) -> Tensor:
        """X W: [F, K] → [N, K]."""
        return _sums(W, *self._by_text)

    def transposed_times(self, G: Tensor) -> Tensor:
        """Xᵀ G: [N, K] → [F, K]."""
        return _sums(G, *self._by_feature)

    def take(self, chosen: NDArray[np.bool_]) -> Counts:
        """Some of the texts, chosen [N]."""
        kept = chosen[self.text]
        number = np.cumsum(chosen) - 1
        return Counts(number[self.text[kept]], self.feature[kept], self.value[kept], int(chosen.sum()), self.F)

    @cached_property
    def _by_text(self) -> tuple[Tensor, Tensor, Tensor]:
        return _pointed(self.feature, self.value, self.text, self.N)

    @cached_property
    def _by_feature(self) -> tuple[Tensor, Tensor, Tensor]:
        order = np.argsort(self.feature, kind="stable")
        return _pointed(self.text[order], self.value[order], self.feature[order], self.F)


class Features:
    """The words and bigrams that are found in at least `min_texts` texts, numbered: words first."""

    def __init__(self, min_texts: int = 1) -> None:
        self.min_texts = min_texts
        self._words: dict[str, int] = {}
        self._bigrams = np.zeros(0, np.int64)

    def __len__(self) -> int:
        return len(self._words) + len(self._bigrams)

    def fit(self, texts: Sequence[Sequence[str]]) -> Self:
        """Take the features of some texts."""
        numbers: defaultdict[str, int] = defaultdict(count().__next__)
        text, ids = _flat(texts, numbers)
        names = list(numbers)
        self._words = {names[i]: n for n, i in enumerate(_frequent(text, ids, self.min_texts))}
        text, ids = _flat(texts, self._words)
        # a pair can be in no more texts than its words, so that none is lost with the rare words
        self._bigrams = _frequent(*_pairs(text, ids, len(self._words)), self.min_texts)
        return self

    def count(self, texts: Sequence[Sequence[str]]) -> Counts:
        """How often each feature is in each text; whatever is none is left out."""
        text, ids = _flat(texts, self._words)
        second, pairs = _pairs(text, ids, len(self._words))
        place = np.searchsorted(self._bigrams, pairs)
        known = place < len(self._bigrams)
        known[known] = self._bigrams[place[known]] == pairs[known]
        F = len(self)
        words = (text * F + ids)[ids >= 0]
        bigrams = (second * F + len(self._words) + place)[known]
        keys, counts = np.unique(np.concatenate((words, bigrams)), return_counts=True)
        return Counts(keys // max(F, 1), keys % max(F, 1), counts.astype(np.float32), len(texts), F)


def inverse_frequency(X: Counts) -> NDArray[np.float32]:
    """ln((1 + N) / (1 + n_f)) + 1 with n_f the texts that have feature f, and 0 for a feature of none. Shape: [F]."""
    n = np.bincount(X.feature, minlength=X.F)
    return np.where(n > 0, np.log((1 + X.N) / (1 + n)) + 1, 0).astype(np.float32)


def weigh(X: Counts, weights: NDArray[np.float32]) -> Counts:
    """(1 + ln x) · weight in the place of each count x, then every text to length 1: tf-idf, its counts damped."""
    value = (1 + np.log(X.value)) * weights[X.feature]
    length = np.sqrt(np.bincount(X.text, np.square(value, dtype=np.float64), X.N))
    length[length == 0] = 1
    return replace(X, value=(value / length[X.text]).astype(np.float32))


def _flat(texts: Sequence[Sequence[str]], numbers: Mapping[str, int]) -> tuple[Ids, Ids]:
    """Of every token of all texts: the text it is in, and its number (−1: none), each [T]. A defaultdict numbers on."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    tokens = chain.from_iterable(texts)
    if isinstance(numbers, defaultdict):
        found = map(numbers.__getitem__, tokens)
    else:
        found = map(numbers.get, tokens, repeat(-1))
    return np.repeat(np.arange(len(texts)), lengths), np.fromiter(found, np.int64, int(lengths.sum()))


def _pairs(text: Ids, ids: Ids, V: int) -> tuple[Ids, Ids]:
    """Of every two neighbouring numbered words of one text: the text, and first · V + second."""
    both = (text[1:] == text[:-1]) & (ids[1:] >= 0) & (ids[:-1] >= 0)
    return text[1:][both], (ids[:-1] * V + ids[1:])[both]


def _frequent(text: Ids, keys: Ids, least: int) -> Ids:
    """The distinct keys that are in `least` texts or more, ascending."""
    distinct, place = np.unique(keys, return_inverse=True)
    if least == 1 or not len(distinct):
        return distinct
    pairs = np.unique(text * len(distinct) + place)
    return distinct[np.bincount(pairs % len(distinct), minlength=len(distinct)) >= least]


def _pointed(index: Ids, value: NDArray[np.float32], row: Ids, rows: int) -> tuple[Tensor, Tensor, Tensor]:
    """Entries of ascending `row` as `_sums` takes them: indices [M], where each row begins [rows + 1], values [M]."""
    begins = np.searchsorted(row, np.arange(rows + 1))
    return torch.from_numpy(index), torch.from_numpy(begins), torch.from_numpy(value)


def _sums(W: Tensor, index: Tensor, begins: Tensor, value: Tensor) -> Tensor:
    return F.embedding_bag(index, W, begins, mode="sum", per_sample_weights=value, include_last_offset=True)
