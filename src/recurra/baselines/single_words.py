"""Taggers that see one word and nothing around it: what every tagging model is printed beside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn import functional as F

from recurra.baselines.row import Row, check_fields, check_train
from recurra.errors import ConfigError, DataError
from recurra.progress import steps
from recurra.registry import part
from recurra.types import Example

STEPS = 300
RATE = 0.03
UNKNOWN = 0
"""The number of whatever word the training data lack."""


@part("baseline", "single-words")
class SingleWords:
    """The most frequent tag of each word, and a feed-forward network on the word as 1-of-N.

    An unseen word gets the tag most frequent overall from the first; from the network the answer it gives to no word,
    learnt from the words seen once. Where examples have a "label", every answer bears the most frequent one. Ties go to
    the name first in the alphabet.

    Raises ConfigError for a network without hidden units; `rows` DataError for no training examples, for a field that
    is missing and for tags that are not one a token.
    """

    of_tokens: ClassVar[bool] = True

    def __init__(self, hidden_size: int = 100) -> None:
        if hidden_size < 1:
            raise ConfigError(f"baseline.hidden_size = {hidden_size}, expected 1 or more. 100 is the default.")
        self.hidden_size = hidden_size

    def rows(
        self, train: Sequence[Example], test: Sequence[Example], codecs: Mapping[str, Any] | None = None
    ) -> Iterator[Row]:
        """Fit on `train` ("tokens", "tags", perhaps "label") and answer `test` ("tokens"), one model after another."""
        check_train("single-words", train, "tags")
        check_fields("single-words", "test", test, "tokens")
        for n, example in enumerate(train, 1):
            if len(example["tokens"]) != len(example["tags"]):
                raise DataError(
                    f"{example.get('place') or f'training example {n}'}: {len(example['tags'])} tags, expected "
                    f"{len(example['tokens'])}, one a token. Is a token or a tag missing?"
                )
        return self._rows(train, test)

    def _rows(self, train: Sequence[Example], test: Sequence[Example]) -> Iterator[Row]:
        tags = sorted({tag for example in train for tag in example["tags"]}) or ["O"]
        words, counts = count_tags(train, tags)
        label = most_frequent(example["label"] for example in train if "label" in example)
        note = f"every label: {label}" if label is not None else ""

        def row(name: str, size: int, unit: str, best: NDArray[np.int64]) -> Row:
            return Row(name, size, unit, _answers(test, words, [tags[k] for k in best], label), note)

        frequent = counts.argmax(1)
        frequent[UNKNOWN] = counts.sum(0).argmax()
        yield row("most frequent tag of each word", len(words), "words", frequent)
        # no word at all is what an unseen one is to the network; words seen once are the nearest to it in the data
        once = counts[counts.sum(1) == 1].sum(0)
        counts[UNKNOWN] = once if once.any() else counts.sum(0)
        network = FeedForward(self.hidden_size).fit(counts)
        yield row("feed-forward network on single words", network.size, "parameters", network.log_softmax().argmax(1))


class FeedForward:
    """softmax(V tanh(U x + b) + c) of a word x as 1-of-N, so that U x is a column of U; no word is x = 0.

    Its whole training set is how often each word has each tag: L = −Σ_w Σ_k n(w, k) log p(k | w), minimised over all
    words at once by Adam, 300 steps at a rate that falls from 0.03 to 0 along a line. Seeded: equal counts, equal
    answers.
    """

    def __init__(self, hidden_size: int = 100) -> None:
        self.hidden_size = hidden_size

    def fit(self, counts: ArrayLike) -> Self:
        """Learn from counts n(w, k) [1 + W, K], row 0 for no word."""
        n = torch.as_tensor(np.asarray(counts), dtype=torch.float32)
        H, (words, K) = self.hidden_size, n.shape
        generator = torch.Generator().manual_seed(0)

        def uniform(*shape: int, r: float) -> Tensor:
            return ((2 * torch.rand(*shape, generator=generator) - 1) * r).requires_grad_()

        self._parameters = [
            uniform(words - 1, H, r=0.1),  # U, a row for each word
            uniform(H, r=0.1),
            uniform(K, H, r=H**-0.5),
            torch.zeros(K, requires_grad=True),
        ]
        optimiser = torch.optim.Adam(self._parameters, lr=RATE)
        total = n.sum().clamp(min=1)
        with torch.enable_grad():
            for step in steps(range(STEPS), "training a network on single words", "steps"):
                optimiser.param_groups[0]["lr"] = RATE * (1 - step / STEPS)
                loss = -(n * self._forward()).sum() / total
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        return self

    @property
    def size(self) -> int:
        """Number of parameters."""
        return sum(p.numel() for p in self._parameters)

    def log_softmax(self) -> NDArray[np.float32]:
        """log p(k | w) of every word, [1 + W, K], row 0 for no word."""
        with torch.no_grad():
            return self._forward().numpy()

    def _forward(self) -> Tensor:
        U, b, V, c = self._parameters
        hidden = torch.tanh(F.pad(U, (0, 0, 1, 0)) + b)  # [1 + W, H]
        return F.log_softmax(F.linear(hidden, V, c), 1)


def count_tags(examples: Iterable[Example], tags: Sequence[str]) -> tuple[dict[str, int], NDArray[np.int64]]:
    """The numbers of the words, from 1, and how often each has each of `tags`: [1 + W, K], row 0 empty."""
    pairs = Counter(pair for e in examples for pair in zip(e["tokens"], e["tags"], strict=True))
    words: dict[str, int] = {}
    for word, _ in pairs:
        words.setdefault(word, len(words) + 1)
    column = {tag: k for k, tag in enumerate(tags)}
    counts = np.zeros((len(words) + 1, len(tags)), np.int64)
    for (word, tag), n in pairs.items():
        counts[words[word], column[tag]] = n
    return words, counts


def most_frequent(names: Iterable[str]) -> str | None:
    """The name that comes most often, the first in the alphabet of those that do; None for no names."""
    counts = Counter(names)
    return min(counts, key=lambda name: (-counts[name], name)) if counts else None


def _answers(
    examples: Sequence[Example], words: Mapping[str, int], best: Sequence[str], label: str | None
) -> list[dict[str, Any]]:
    extra = {} if label is None else {"label": label}
    return [{"tags": [best[words.get(word, UNKNOWN)] for word in e["tokens"]], **extra} for e in examples]
