"""The ridge regression on n-grams against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import Ridge

from recurra.nn.ngram_ridge import NgramRidge

F, N = 40, 160


def texts(seed: int) -> list[np.ndarray]:
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(N):
        numbers = np.unique(draw.integers(0, F, draw.integers(1, 20)))
        found.append(np.stack([numbers, draw.integers(1, 5, len(numbers))], 1))
    return found


def test_weights_are_those_of_others() -> None:
    draw, given = np.random.default_rng(1), texts(0)
    length, group = draw.normal(size=N), draw.integers(0, 2, N)
    counts = np.zeros((N, F))
    for n, text in enumerate(given):
        counts[n, text[:, 0]] = text[:, 1]
    X = np.concatenate([TfidfTransformer(sublinear_tf=True).fit_transform(counts).toarray(), length[:, None]], 1)
    y = X @ draw.normal(size=F + 1) + draw.normal(size=N)
    layer = NgramRidge(F, 2).double()
    chosen = layer.start(given, torch.from_numpy(length), torch.from_numpy(y), group)
    widest = max(map(len, given))
    numbers, held = torch.full((N, widest), F), torch.ones(N, widest)
    for n, text in enumerate(given):
        numbers[n, : len(text)], held[n, : len(text)] = torch.from_numpy(text).T
    said = layer(numbers, held, torch.from_numpy(length))
    for g in range(2):
        own = group == g
        oracle = Ridge(alpha=chosen[g]).fit(X[own], y[own])
        np.testing.assert_allclose(layer.weight[:F, g], oracle.coef_[:-1], atol=1e-4)
        np.testing.assert_allclose(said[own, g], oracle.predict(X[own]), atol=1e-4)
        order = np.random.default_rng(0).permutation(np.flatnonzero(own))
        tenth, rest = order[: len(order) // 10], order[len(order) // 10 :]
        errors = {
            strength: np.square(Ridge(alpha=strength).fit(X[rest], y[rest]).predict(X[tenth]) - y[tenth]).sum()
            for strength in (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
        }
        assert errors[chosen[g]] == pytest.approx(min(errors.values()), rel=1e-3)


def test_few_texts_and_one_without_an_ngram() -> None:
    given = [*texts(2)[:5], np.zeros((0, 2), np.int64)]
    layer, y = NgramRidge(F, 1), torch.arange(6.0)
    assert layer.start(given, torch.zeros(6), y, np.zeros(6, int)) == [1.0]
    said = layer(torch.full((1, 1), F), torch.ones(1, 1), torch.zeros(1))
    assert said[0, 0] == pytest.approx(float(layer.bias[0])) and layer.weight.isfinite().all()
