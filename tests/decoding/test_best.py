"""The k best of a row: those of a stable sort."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recurra.decoding.best import CHUNK, best


@pytest.mark.parametrize("V", [1, 2, 7, CHUNK, 4 * CHUNK - 1, 4 * CHUNK, 9 * CHUNK + 5, 40 * CHUNK])
@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("different", [1, 3, 300, 10**6])
def test_is_the_beginning_of_a_stable_sort(V: int, k: int, different: int) -> None:
    generator = np.random.default_rng(V + k)
    x = -generator.integers(different, size=(6, V)).astype(np.float32)
    x[1:3, 1:][generator.random((2, V - 1)) < 0.9] = -np.inf
    values, symbols = best(torch.from_numpy(x), k)
    order = np.argsort(-x, axis=1, kind="stable")[:, :k]
    expected = np.take_along_axis(x, order, 1)
    assert np.array_equal(values, expected)
    assert np.array_equal(np.where(expected > -np.inf, symbols, 0), np.where(expected > -np.inf, order, 0))
    assert values.dtype == np.float64
    assert symbols.dtype == np.int64


@pytest.mark.parametrize("k", [2, 4])
def test_of_equals_in_several_chunks_the_first_is_taken(k: int) -> None:
    x = -np.random.default_rng(k).integers(1000, size=(400, 24 * CHUNK + 50)).astype(np.float32)
    expected = np.argsort(-x, axis=1, kind="stable")[:, :k]
    assert np.array_equal(best(torch.from_numpy(x), k)[1], expected)


@pytest.mark.parametrize("V", [9, 20 * CHUNK])
def test_what_is_no_number_comes_first(V: int) -> None:
    x = torch.randn(4, V)
    x[2, V // 2] = torch.nan
    values, symbols = best(x, 2)
    assert np.isnan(values).tolist() == [[False] * 2, [False] * 2, [True, False], [False] * 2]
    assert symbols[2, 0] == V // 2


def test_rows_need_not_lie_side_by_side() -> None:
    x = torch.randn(20 * CHUNK, 6).T
    values, symbols = best(x, 3)
    expected = x.sort(-1, descending=True)
    assert np.array_equal(values, expected.values[:, :3].numpy())
    assert np.array_equal(symbols, expected.indices[:, :3].numpy())
