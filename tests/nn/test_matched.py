"""Opinions weighed by held-out examples, against least squares."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recurra.nn.matched import MatchedSum


def test_weights_are_the_least_squares_and_the_spread_that_of_the_truth() -> None:
    draw = np.random.default_rng(0)
    y = draw.normal(size=50) * 2 + 5
    x = np.stack([0.5 * y + draw.normal(size=50), 0.3 * y + 0.5 * draw.normal(size=50)], 1)
    layer = MatchedSum(2, 3).double()
    layer.calibrate(1, torch.from_numpy(x), torch.from_numpy(y), spread=False)
    rows = np.concatenate([x - x.mean(0), np.eye(2)])  # the pull of the weights to a half each as two rows more
    expected = np.linalg.lstsq(rows, np.concatenate([y - y.mean(), [0.5, 0.5]]), rcond=None)[0]
    np.testing.assert_allclose(layer.weights[:, 1], expected, atol=1e-12)
    opinions = [torch.from_numpy(each)[:, None].expand(-1, 3) for each in x.T]
    assert layer(opinions)[:, 1].mean() == pytest.approx(y.mean())
    np.testing.assert_allclose(layer(opinions)[:, [0, 2]], np.stack([x.mean(1)] * 2, 1))  # other groups as they began
    layer.calibrate(1, torch.from_numpy(x), torch.from_numpy(y), spread=True)
    said = layer(opinions)[:, 1]
    assert float(said.std()) == pytest.approx(y.std(ddof=1)) and float(said.mean()) == pytest.approx(y.mean())


def test_one_opinion_is_stretched_and_few_examples_change_nothing() -> None:
    layer, y = MatchedSum(1, 1).double(), torch.arange(10.0, dtype=torch.float64)
    z = y[:, None] * 0.2 + 1
    layer.calibrate(0, z, y, spread=True)
    torch.testing.assert_close(layer([z])[:, 0], y)
    for some in (z[:5], z.new_ones(10, 1)):
        layer.calibrate(0, some, y[: len(some)], spread=True)
        assert float(layer.weights) == 1 and float(layer.offset) == 0
