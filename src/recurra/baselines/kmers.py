"""Classifiers of the plain side of reading DNA: one sees which short runs of bases a sequence holds, not where; where
all sequences are equally long, another sees which base stands where, and no run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch

from recurra.baselines.row import Row, check_fields, check_train
from recurra.data.codecs.ngrams import Ngrams
from recurra.errors import ConfigError
from recurra.nn.ngrams import NgramLayer
from recurra.progress import steps
from recurra.registry import part
from recurra.types import Example

LONGEST = 8
"""Bases of a k-mer, at most: of 8 there are 65,536."""
AT_ONCE = 1024


@part("baseline", "kmers")
class Kmers:
    """The most frequent label, and logistic regression on k-mers: runs of 1 to `longest` bases, weighted by tf-idf; of
    training sequences of one length also on which base stands at which place.

    K-mers, or bases at a place, of at least two training sequences count. The regression is that of `NgramLayer`, its
    L2 strength chosen on a seeded tenth of the training sequences.

    Raises ConfigError for a `longest` out of range; `rows` DataError for no training examples and a missing field.
    """

    of_tokens: ClassVar[bool] = True
    of_bases: ClassVar[bool] = True

    def __init__(self, longest: int = 5) -> None:
        if not 1 <= longest <= LONGEST:
            raise ConfigError(f"baseline.longest = {longest}, expected 1 to {LONGEST} bases.")
        self.longest = longest

    def rows(
        self, train: Sequence[Example], test: Sequence[Example], codecs: Mapping[str, Any] | None = None
    ) -> Iterator[Row]:
        """Fit on `train` ("tokens", the bases one by one, and "label") and answer `test` ("tokens")."""
        check_train("kmers", train, "label")
        check_fields("kmers", "test", test, "tokens")
        names = sorted({str(example["label"]) for example in train})
        common = Counter(str(example["label"]) for example in train)
        best = max(names, key=common.__getitem__)  # of several, the first in the alphabet
        yield Row("most frequent label", len(names), "labels", [{"label": best} for _ in test])
        if len(names) < 2:
            return
        yield self._regression(train, test, names, self.longest, f"k-mers of 1 to {self.longest}")
        if len({len(example["tokens"]) for example in train}) == 1:
            learnt, asked = ([{**each, "tokens": _placed(each["tokens"])} for each in part] for part in (train, test))
            yield self._regression(learnt, asked, names, 1, "bases by their place")

    def _regression(
        self, train: Sequence[Example], test: Sequence[Example], names: Sequence[str], longest: int, what: str
    ) -> Row:
        """Logistic regression on runs of 1 to `longest` tokens."""
        codec = Ngrams(longest).fit(example["tokens"] for example in train)
        number = {name: k for k, name in enumerate(names)}
        labels = torch.tensor([number[str(example["label"])] for example in train])
        layer = NgramLayer(codec.size, len(names)).eval()
        seen = [codec.encode(example["tokens"]) for example in train]
        strength = layer.start(seen, torch.nn.functional.one_hot(labels, len(names)).float(), several=False)
        answers: list[dict[str, Any]] = []
        for first in steps(range(0, len(test), AT_ONCE), f"answering by {what}", "batches"):
            some = [codec.encode(example["tokens"]) for example in test[first : first + AT_ONCE]]
            fields = codec.batched(some, 0)
            with torch.no_grad():
                z = layer(*(torch.from_numpy(fields[name]) for name in ("ngrams", "ngram_counts")))
            answers += [{"label": names[k]} for k in z.argmax(1).tolist()]
        note = f"strength {strength:g}, chosen on a held-out tenth of the training sequences"
        return Row(f"logistic regression on {what}", codec.size, "features", answers, note)


def _placed(tokens: Sequence[str]) -> list[str]:
    """Bases with their places."""
    return [f"{base} {place}" for place, base in enumerate(tokens)]
