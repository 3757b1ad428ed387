"""Classifiers that see which words and pairs of words a text holds, not where: the plain side of classification."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from recurra.baselines.features import Counts, Features, Ids, inverse_frequency, weigh
from recurra.baselines.row import Row, check_fields, check_train
from recurra.errors import ConfigError, DataError
from recurra.registry import part
from recurra.types import Example

STRENGTHS = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
"""The L2 strengths tried, from strong to weak."""
FEW = 20
"""Fewer training texts than this are too few to hold out a tenth: the strength is then 1."""


@part("baseline", "bag")
class Bag:
    """The most frequent label, naive Bayes and logistic regression on words and bigrams.

    Features are the words, and the pairs of neighbouring words, of at least `min_texts` training texts. Naive Bayes
    (multinomial, one added to each count) takes their counts; logistic regression takes them weighted (`weigh`). Its
    strength is the one of `STRENGTHS` with the least squared error of the probabilities on a seeded tenth of the
    training texts, learnt from the rest; then it learns from all. Examples with "labels", any number each, get one
    two-class regression a label, and its labels of p > ½.

    Raises ConfigError for min_texts below 1; `rows` DataError for no training examples, for a field that
    is missing and for no label at all.
    Source of the features for classification: Wang & Manning 2012, Baselines and bigrams.
    """

    def __init__(self, min_texts: int = 2) -> None:
        if min_texts < 1:
            raise ConfigError(f"baseline.min_texts = {min_texts}, expected 1 or more. 2 is the default.")
        self.min_texts = min_texts

    def rows(self, train: Sequence[Example], test: Sequence[Example]) -> Iterator[Row]:
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
        given = [list(e["labels"]) if multi else [e["label"]] for e in train]
        names = sorted({name for labels in given for name in labels})
        Y = np.zeros((len(train), len(names)), np.float32)  # [N, L] which labels each text has
        column = {name: k for k, name in enumerate(names)}
        for n, labels in enumerate(given):
            Y[n, [column[name] for name in labels]] = 1

        def answers(said: NDArray[np.bool_] | Ids) -> list[dict[str, str | list[str]]]:
            if multi:
                return [{"labels": [names[k] for k in np.flatnonzero(row)]} for row in said]
            return [{"label": names[k]} for k in said]

        if not multi:
            common = np.full(len(test), Y.sum(0).argmax())  # of several, the first in the alphabet
            yield Row("most frequent label", len(names), "labels", answers(common))
        features = Features(self.min_texts).fit([e["tokens"] for e in train])
        seen, asked = (features.count([e["tokens"] for e in side]) for side in (train, test))
        if not multi:
            bayes = NaiveBayes().fit(seen, Y)
            said = bayes.log_joint(asked).argmax(1)
            yield Row("naive Bayes on words and bigrams", len(features), "features", answers(said))
        kind: Kind = "labels" if multi else "classes"
        strength, note = choose_strength(seen, Y, kind)
        weights = inverse_frequency(seen)
        model = Logistic(kind).fit(weigh(seen, weights), Y, strength)
        p = model.probabilities(weigh(asked, weights))
        name = "logistic regression on words and bigrams"
        yield Row(name, len(features), "features", answers(p > 0.5 if multi else p.argmax(1)), note)


class NaiveBayes:
    """Multinomial naive Bayes: p(k | x) ∝ p(k) Π_f p(f | k)^x_f with p(f | k) = (1 + n(f, k)) / (F + Σ_f n(f, k))."""

    def fit(self, X: Counts, Y: NDArray[np.float32]) -> Self:
        """Count; Y [N, K] has a 1 for the class of each text."""
        n = X.transposed_times(torch.from_numpy(Y)).double() + 1  # [F, K]
        self._features = (n / n.sum(0)).log().float()
        self._classes = torch.from_numpy(Y.mean(0)).log()
        return self

    def log_joint(self, X: Counts) -> NDArray[np.float32]:
        """log p(k, x) without the number of orders of the words, [N, K]."""
        return (X.times(self._features) + self._classes).numpy()


Kind = Literal["classes", "labels"]


class Logistic:
    """Logistic regression: the least Σ loss + ½ strength Σ W², the bias free, by L-BFGS on all texts at once.

    "classes": a text has one of K; p = softmax(X W + b), loss −log p[class]. Two classes share one column, the second's
    log-odds. "labels": each for itself, p = σ(X W + b). The strength is scikit-learn's 1 / C.
    """

    def __init__(self, kind: Kind = "classes") -> None:
        self.kind = kind
        self.K = 0
        self.parameters = torch.zeros(0, 0)
        """W [F, K] and, in the last row, b; one column for two classes."""

    def fit(self, X: Counts, Y: NDArray[np.float32], strength: float) -> Self:
        """Learn from Y [N, K] (0 or 1), from where the last `fit` ended. Ends where W is right to about 1 %: the
        objective curves by at least `strength`, so a gradient g puts W no farther off than ‖g‖ / strength."""
        self.K = Y.shape[1]
        target = torch.from_numpy(Y)[:, 1 if self._two else 0 :]
        shape = (X.F + 1, target.shape[1])
        P = (self.parameters if self.parameters.shape == shape else torch.zeros(shape)).clone().requires_grad_()
        history = int(np.clip(2e8 // max(P.numel(), 1), 2, 10))  # twice this many copies of P: 1.6 GB at most
        search = torch.optim.LBFGS(
            [P], max_iter=20, history_size=history, tolerance_grad=0, tolerance_change=0, line_search_fn="strong_wolfe"
        )

        def objective() -> Tensor:
            with torch.no_grad():
                W, b = P[:-1], P[-1]
                Z = X.times(W) + b
                if self._softmax:
                    losses = -(target * F.log_softmax(Z, 1)).sum(1)
                    error = Z.softmax(1) - target
                else:
                    losses = F.binary_cross_entropy_with_logits(Z, target, reduction="none").sum(1)
                    error = Z.sigmoid() - target
                P.grad = torch.cat((X.transposed_times(error) + strength * W, error.sum(0, keepdim=True))) / X.N
                return (losses.double().sum() + strength / 2 * W.double().square().sum()) / X.N

        for _ in range(25):
            search.step(objective)
            objective()
            if P.grad is None or P.grad.norm() * X.N <= 0.01 * strength * P[:-1].norm():
                break
        self.parameters = P.detach()
        return self

    def probabilities(self, X: Counts) -> NDArray[np.float32]:
        """Of each class or label, [N, K]."""
        Z = X.times(self.parameters[:-1]) + self.parameters[-1]
        if self._softmax:
            return Z.softmax(1).numpy()
        p = Z.sigmoid()
        return (torch.cat((1 - p, p), 1) if self._two else p).numpy()

    @property
    def _two(self) -> bool:
        return self.kind == "classes" and self.K == 2

    @property
    def _softmax(self) -> bool:
        return self.kind == "classes" and not self._two


def choose_strength(X: Counts, Y: NDArray[np.float32], kind: Kind) -> tuple[float, str]:
    """The strength of `STRENGTHS` to learn Y [N, K] from the counts X with, and how it was found.

    Each is learnt on a seeded nine tenths, from strong to weak, and judged by Σ (p − y)² on the tenth, which is bounded
    where a log-likelihood is not: a class may be in the tenth alone. Twice worse in a row ends it.
    """
    if X.N < FEW:
        return 1.0, f"strength 1: {X.N} texts are too few to choose it by"
    held = np.zeros(X.N, bool)
    held[np.random.default_rng(0).permutation(X.N)[: X.N // 10]] = True
    rest, tenth = X.take(~held), X.take(held)
    weights = inverse_frequency(rest)
    rest, tenth = weigh(rest, weights), weigh(tenth, weights)
    model = Logistic(kind)
    errors: list[float] = []
    for strength in STRENGTHS:
        model.fit(rest, Y[~held], strength)
        errors.append(float(np.square(model.probabilities(tenth) - Y[held]).sum()))
        if len(errors) > 2 and min(errors[-2:]) > min(errors):
            break
    strength = STRENGTHS[int(np.argmin(errors))]
    return strength, f"strength {strength:g}, chosen on a held-out tenth of the training texts"
