"""What a sequence can be turned into without reading it as one: itself, the commonest answer, its words one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from recurra.baselines.row import Row, check_fields
from recurra.data.codecs.tokens import Tokens
from recurra.data.join import join_words
from recurra.errors import ConfigError, DataError
from recurra.progress import steps as counted
from recurra.registry import part
from recurra.types import Example

LINKS = 20_000_000
"""Words of a source times words of its target, over the pairs a table is learnt from: 2 GB of memory at most."""
NOTHING = 0
"""The number of the word that stands in every source for what no word of it says."""

Split = Literal["words", "characters", "space"]
Ids = NDArray[np.int64]


@part("baseline", "copy")
class Copy:
    """The source as it is.

    `rows` raises DataError for no training examples and for a field that is missing.
    """

    def rows(
        self, train: Sequence[Example], test: Sequence[Example], codecs: Mapping[str, Any] | None = None
    ) -> Iterator[Row]:
        """Answer `test` ("source"); nothing is learnt."""
        _check("copy", train, test)
        return iter([Row("the source itself", 0, "words", [{"target": example["source"]} for example in test])])


@part("baseline", "frequent")
class Frequent:
    """The most frequent target of the training examples, or transcript, to whatever is asked; of several the first in
    the alphabet.

    `rows` raises DataError for no training examples and for a field that is missing.
    """

    def rows(
        self, train: Sequence[Example], test: Sequence[Example], codecs: Mapping[str, Any] | None = None
    ) -> Iterator[Row]:
        """Count the targets of `train` ("target" or "targets", or "transcript") and answer `test`."""
        field = "transcript" if train and "transcript" in train[0] else "target"
        if not train:
            raise _nothing("frequent")
        check_fields("frequent", "training", train, field, "targets")
        counts = Counter(target for example in train for target in example.get("targets", [example.get(field)]))
        best = min(counts, key=lambda target: (-counts[target], target))
        note = f"{counts[best]:,} of {counts.total():,}: {best}"
        return iter([Row("most frequent answer", len(counts), "answers", [{field: best} for _ in test], note)])


@part("baseline", "word-table")
class WordTable:
    """Every word of the source in the place where it stands, as the word it goes with most often; see `Table`.

    `source` and `target` say what a word is on each side: "words" (a Chinese character is one, a mark, too),
    "characters", or what stands between white space ("space"). Each of several allowed targets is learnt from. A word
    that training never saw is looked up in lower case; one that it never saw so either stays as it is.

    Raises ConfigError for steps below 1; `rows` DataError for no training examples, for a field that is missing and
    where no pair has a word on both sides.
    """

    def __init__(self, source: Split = "words", target: Split = "words", steps: int = 10) -> None:
        if steps < 1:
            raise ConfigError(f"baseline.steps = {steps}, expected 1 or more. 10 is the default.")
        self.source = Tokens(split=source)
        self.target = Tokens(split=target)
        self.join = {"words": join_words, "characters": "".join, "space": " ".join}[target]
        self.steps = steps

    def rows(
        self, train: Sequence[Example], test: Sequence[Example], codecs: Mapping[str, Any] | None = None
    ) -> Iterator[Row]:
        """Learn a table from `train` ("source", and "target" or "targets") and translate `test` ("source")."""
        _check("word-table", train, test)
        pairs = [
            (self.source.tokens(s), self.target.tokens(t))
            for s, t in counted([*_pairs(train)], "splitting into words", "pairs")
        ]
        return self._rows([pair for pair in pairs if all(pair)], test)

    def _rows(self, pairs: list[tuple[list[str], list[str]]], test: Sequence[Example]) -> Iterator[Row]:
        table = Table(self.steps).fit(pairs)
        answers = []
        for example in test:
            words = self.source.tokens(example["source"])
            said = (table.best.get(word, table.best.get(word.lower(), word)) for word in words)
            answers.append({"target": self.join(said)})
        some = "" if table.learnt == len(pairs) else f", learnt from {table.learnt:,} of {len(pairs):,} pairs"
        note = f"IBM model 1, {self.steps} steps{some}"
        yield Row("word-for-word table", len(table.best), "words", answers, note)


class Table:
    """Which word of the target each word of the source goes with: `best`, the t of the largest p(t | s).

    IBM model 1: every word t of a target comes from one word s of its source, or from none, each with the same chance;
    p(t | s) is what makes the targets likeliest, found by expectation–maximisation from equal chances:
    n(s, t) = Σ over pairs and the t in them of p(t | s) / Σ_{s′ of the source} p(t | s′),
    p(t | s) = n(s, t) / Σ_t n(s, t).
    Of equally likely words the one seen first.

    Source: Brown et al. 1993, The mathematics of statistical machine translation, section 4.1.
    """

    def __init__(self, steps: int = 10) -> None:
        self.steps = steps
        self.best: dict[str, str] = {}
        self.learnt = 0
        """How many of the pairs it was learnt from: the first, whose links are no more than `LINKS`."""

    def fit(self, pairs: Sequence[tuple[Sequence[str], Sequence[str]]]) -> Self:
        """Learn from the words of pairs. Raises DataError where there are none."""
        sources: dict[str, int] = {"": NOTHING}
        targets: dict[str, int] = {}
        each, groups, links = [], [], 0  # links (s, t) as s · 2³² + t; which target's word each link is of
        words = 0
        for source, target in counted(pairs, "pairing words", "pairs"):
            links += (len(source) + 1) * len(target)
            if links > LINKS and self.learnt:
                break
            s = np.array([NOTHING, *(sources.setdefault(word, len(sources)) for word in source)], np.int64)
            t = np.array([targets.setdefault(word, len(targets)) for word in target], np.int64)
            each.append(((s << 32) + t[:, None]).ravel())  # [J · (1 + I)]
            groups.append(np.repeat(words + np.arange(len(t)), len(s)))
            words += len(t)
            self.learnt += 1
        if not words:
            raise DataError("word-table: no training pair has a word on both sides. Are the right files read?")
        codes, link = np.unique(np.concatenate(each), return_inverse=True)
        best = _most_likely(codes >> 32, link, np.concatenate(groups), self.steps)
        names = list(targets)
        chosen = dict(zip((codes >> 32)[best].tolist(), (codes & 0xFFFFFFFF)[best].tolist(), strict=True))
        self.best = {word: names[chosen[s]] for word, s in sources.items() if s != NOTHING}
        return self


def _most_likely(source: Ids, link: Ids, group: Ids, steps: int) -> Ids:
    """The likeliest entry of each source word, among entries ordered by their `source` words.

    `link` and `group` [L]: the entry of each link, and the target's word it is one of the chances of.
    """
    p = np.ones(len(source))
    for _ in counted(range(steps), "learning a table of words", "steps"):
        chance = p[link]
        chance /= np.bincount(group, chance)[group]
        n = np.bincount(link, chance, len(source))  # of each (s, t)
        p = n / np.bincount(source, n)[source]
    order = np.lexsort((-p, source))
    return order[np.flatnonzero(np.diff(source[order], prepend=-1))]


def _pairs(train: Sequence[Example]) -> Iterator[tuple[str, str]]:
    for example in train:
        for target in example["targets"] if "targets" in example else [example["target"]]:
            yield example["source"], target


def _check(baseline: str, train: Sequence[Example], test: Sequence[Example]) -> None:
    """Raise DataError where there are no training examples, or an example lacks what it is to be learnt from."""
    if not train:
        raise _nothing(baseline)
    check_fields(baseline, "training", train, "source")
    check_fields(baseline, "training", train, "target", "targets")
    check_fields(baseline, "test", test, "source")


def _nothing(baseline: str) -> DataError:
    return DataError(f"{baseline}: no training examples, expected at least 1. Is the training file empty?")
