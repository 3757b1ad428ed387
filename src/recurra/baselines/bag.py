"""Classifiers that see which words and pairs of words a text holds, not where: the plain side of classification."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from recurra.baselines.row import Row, check_fields, check_train
from recurra.errors import ConfigError, DataError
from recurra.progress import steps
from recurra.registry import part
from recurra.types import Example

STRENGTHS = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
"""The L2 strengths tried, from strong to weak: scikit-learn's 1 / C."""
FEW = 20
"""Fewer training texts than this are too few to hold out a tenth: the strength is then 1."""
STEPS = 1000
"""Of L-BFGS, at most."""

Floats = NDArray[np.float32]


@part("baseline", "bag")
class Bag:
    """The most frequent label, naive Bayes and logistic regression on words and bigrams, by scikit-learn.

    Features are the words, and the pairs of neighbouring words, of at least `min_texts` training texts. Naive Bayes
    (multinomial, one added to each count) takes their counts; logistic regression takes them weighted by tf-idf,
    (1 + ln count) · (ln((1 + N) / (1 + texts)) + 1), a text's to length 1. Its strength is the one of `STRENGTHS` with
    the least squared error of the probabilities on a seeded tenth of the training texts, learnt from the rest; then it
    learns from all. Examples with "labels", any number each, get one two-class regression a label, and its labels of
    p > ½.

    Raises ConfigError for min_texts below 1 and where scikit-learn is not installed; `rows` DataError for no training
    examples, for a field that is missing and for no label at all.
    Source of the features for classification: Wang & Manning 2012, Baselines and bigrams.
    """

    of_tokens: ClassVar[bool] = True
    of_words: ClassVar[bool] = True

    def __init__(self, min_texts: int = 2) -> None:
        if min_texts < 1:
            raise ConfigError(f"baseline.min_texts = {min_texts}, expected 1 or more. 2 is the default.")
        if importlib.util.find_spec("sklearn") is None:
            raise ConfigError(
                "the baseline 'bag' is scikit-learn's, which is not installed. Install it, pip install scikit-learn, "
                "or train without a baseline: --no-baseline"
            )
        self.min_texts = min_texts

    def rows(
        self, train: Sequence[Example], test: Sequence[Example], codecs: Mapping[str, Any] | None = None
    ) -> Iterator[Row]:
        """Fit on `train` ("tokens", and "label" or "labels") and answer `test` ("tokens"), one model after another."""
        multi = bool(train) and "labels" in train[0]
        check_train("bag", train, "labels" if multi else "label")
        check_fields("bag", "test", test, "tokens")
        if multi and not any(len(example["labels"]) for example in train):
            raise DataError(
                f"bag: none of the {len(train)} training examples has a label, expected at least 1. Name the column or "
                "key the labels stand in."
            )
        return self._rows(train, test, multi)

    def _rows(self, train: Sequence[Example], test: Sequence[Example], multi: bool) -> Iterator[Row]:
        from sklearn.naive_bayes import MultinomialNB

        given = [list(e["labels"]) if multi else [e["label"]] for e in train]
        names = sorted({name for labels in given for name in labels})
        column = {name: k for k, name in enumerate(names)}
        Y = np.zeros((len(train), len(names)), np.float32)  # [N, L] which labels each text has
        for n, labels in enumerate(given):
            Y[n, [column[name] for name in labels]] = 1
        if not multi:
            common = names[Y.sum(0).argmax()]  # of several, the first in the alphabet
            yield Row("most frequent label", len(names), "labels", [{"label": common} for _ in test])
        some = test or train[:1]  # scikit-learn wants one to answer
        seen, asked, size = counts([e["tokens"] for e in train], [e["tokens"] for e in some], self.min_texts)
        if not multi:
            best = MultinomialNB().fit(seen, Y.argmax(1)).predict(asked)[: len(test)]
            yield Row("naive Bayes on words and bigrams", size, "features", [{"label": names[k]} for k in best])
        strength, note = choose_strength(seen, Y, multi)
        p = next(regressions(seen, Y, asked, [strength], multi))[: len(test)]
        answers: list[dict[str, Any]]
        if multi:
            answers = [{"labels": [names[k] for k in np.flatnonzero(row > 0.5)]} for row in p]
        else:
            answers = [{"label": names[k]} for k in p.argmax(1)]
        yield Row("logistic regression on words and bigrams", size, "features", answers, note)


def counts(train: Sequence[Sequence[str]], test: Sequence[Sequence[str]], min_texts: int) -> tuple[Any, Any, int]:
    """How often each feature is in each text of two sides, sparse [N, F], and F: see `Bag`."""
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import CountVectorizer

    counter = CountVectorizer(analyzer=words_and_bigrams, min_df=min_texts, dtype=np.float32)
    if not any(n >= min_texts for n in Counter(word for text in train for word in set(text)).values()):
        return csr_matrix((len(train), 1), dtype=np.float32), csr_matrix((len(test), 1), dtype=np.float32), 0
    seen = counter.fit_transform(train)
    return seen, counter.transform(test), seen.shape[1]


def words_and_bigrams(text: Sequence[str]) -> list[str]:
    """The words of a text, and its pairs of neighbouring words."""
    return [*text, *(f"{a} {b}" for a, b in pairwise(text))]


def regressions(seen: Any, Y: Floats, asked: Any, strengths: Sequence[float], multi: bool) -> Iterator[Floats]:
    """The probabilities [M, L] of labels for counts `asked` [M, F], by logistic regressions of some strengths, each
    learnt from counts `seen` [N, F] and Y [N, L], from where the last one ended."""
    from sklearn.feature_extraction.text import TfidfTransformer

    tfidf = TfidfTransformer(sublinear_tf=True).fit(seen)
    seen, asked = tfidf.transform(seen), tfidf.transform(asked)
    if not multi:
        yield from _regressions(seen, Y.argmax(1), asked, strengths, Y.shape[1])
        return
    for columns in zip(*(_regressions(seen, y.astype(int), asked, strengths, 2) for y in Y.T), strict=True):
        yield np.stack([p[:, 1] for p in columns], 1)


def _regressions(seen: Any, y: Any, asked: Any, strengths: Sequence[float], classes: int) -> Iterator[Floats]:
    """The same of one class each, y [N]; a class without a text has the probability 0."""
    from sklearn.linear_model import LogisticRegression

    model, known = LogisticRegression(warm_start=True, max_iter=STEPS, tol=1e-6), np.unique(y)
    for strength in strengths:
        p = np.zeros((asked.shape[0], classes), np.float32)
        if len(known) == 1:
            p[:, known] = 1
        else:
            p[:, known] = model.set_params(C=1 / strength).fit(seen, y).predict_proba(asked)
        yield p


def choose_strength(seen: Any, Y: Floats, multi: bool) -> tuple[float, str]:
    """The strength of `STRENGTHS` to learn Y [N, L] from the counts [N, F] with, and how it was found.

    Each is learnt on a seeded nine tenths, from strong to weak, and judged by Σ (p − y)² on the tenth, which is bounded
    where a log-likelihood is not: a class may be in the tenth alone. Twice worse in a row ends it.
    """
    N = len(Y)
    if N < FEW:
        return 1.0, f"strength 1: {N} texts are too few to choose it by"
    held = np.zeros(N, bool)
    held[np.random.default_rng(0).permutation(N)[: N // 10]] = True
    errors: list[float] = []
    tried = regressions(seen[~held], Y[~held], seen[held], STRENGTHS, multi)
    for p in steps(tried, "choosing the strength of the logistic regression", "strengths", len(STRENGTHS)):
        errors.append(float(np.square(p - Y[held]).sum()))
        if len(errors) > 2 and min(errors[-2:]) > min(errors):
            break
    strength = STRENGTHS[int(np.argmin(errors))]
    return strength, f"strength {strength:g}, chosen on a held-out tenth of the training texts"
