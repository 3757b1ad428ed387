"""The linear layer over n-grams, against a loop and against scikit-learn's logistic regression."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from recurra.nn.ngrams import STRENGTHS, NgramLayer

F, L, N = 12, 3, 60


def texts(count: int = N) -> list[NDArray[np.int64]]:
    """Distinct n-grams [K, 2] with their counts; the first text has none."""
    random = np.random.default_rng(1)
    found = [np.zeros((0, 2), np.int64)]
    for _ in range(count - 1):
        numbers = np.sort(random.permutation(F)[: random.integers(1, 7)])
        found.append(np.stack((numbers, random.integers(1, 5, len(numbers))), 1))
    return found


def matrix(rows: list[NDArray[np.int64]]) -> NDArray[np.float64]:
    """Counts [N, F]."""
    found = np.zeros((len(rows), F))
    for row, text in zip(found, rows, strict=True):
        row[text[:, 0]] = text[:, 1]
    return found


def labels(rows: list[NDArray[np.int64]], several: bool) -> Tensor:
    random = np.random.default_rng(2)
    z = matrix(rows) @ random.normal(size=(F, L)) + random.normal(size=(len(rows), L))
    return torch.tensor(z > 0).float() if several else torch.eye(L)[torch.tensor(z.argmax(1))]


def test_is_the_loop_and_padding_counts_nothing() -> None:
    layer, rows = NgramLayer(F, L).eval(), texts(4)
    torch.nn.init.normal_(layer.weight)
    torch.nn.init.normal_(layer.bias)
    layer.rarity[:F].uniform_(1, 3)
    numbers, counts = torch.full((4, 8), F), torch.ones(4, 8, dtype=torch.int64)
    for b, text in enumerate(rows):
        numbers[b, : len(text)], counts[b, : len(text)] = torch.from_numpy(text).T
    found = layer(numbers, counts)
    for b, text in enumerate(rows):
        x = torch.stack([layer.rarity[k] * (1 + np.log(count)) for k, count in text]) if len(text) else torch.zeros(0)
        z = layer.bias + (x / x.norm() if len(text) else x) @ layer.weight[text[:, 0]]
        assert torch.allclose(found[b], z, atol=1e-6)
    found.sum().backward()
    assert layer.weight.grad is not None and not layer.weight.grad[F].any()  # the padding learns nothing


def test_in_training_some_are_left_out() -> None:
    layer = NgramLayer(F, L)
    torch.nn.init.normal_(layer.weight)
    numbers = torch.arange(F)[None]
    assert len({tuple(layer(numbers, torch.ones_like(numbers))[0].tolist()) for _ in range(9)}) > 1


@pytest.mark.parametrize("several", [False, True])
def test_starts_as_the_logistic_regression_of_others(several: bool) -> None:
    rows = texts()
    Y, layer = labels(rows, several), NgramLayer(F, L)
    strength = layer.start(rows, Y, several)
    assert strength in STRENGTHS
    x = TfidfTransformer(sublinear_tf=True).fit_transform(csr_matrix(matrix(rows)))
    model = LogisticRegression(C=1 / strength, max_iter=5000, tol=1e-8)
    if several:
        expected = np.stack([model.fit(x, y).predict_proba(x)[:, 1] for y in Y.T.numpy()], 1)
    else:
        expected = model.fit(x, Y.argmax(1)).predict_proba(x)
    with torch.no_grad():
        z = layer._sparse(rows).times(layer.weight) + layer.bias
    assert np.allclose(z.sigmoid() if several else z.softmax(1), expected, atol=0.005)
    numbers, counts = (torch.from_numpy(rows[1][None, :, k]) for k in (0, 1))
    assert torch.allclose(layer.eval()(numbers, counts)[0], z[1], atol=1e-5)


def test_few_texts_are_not_parted() -> None:
    rows = texts(5)
    assert NgramLayer(F, L).start(rows, labels(rows, False), False) == 1
