"""Matthews' correlation against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics

from recurra.registry import find


@pytest.mark.parametrize("classes", [2, 3])
def test_it_is_scikit_learn_s(classes: int) -> None:
    draw = np.random.default_rng(classes)
    gold = draw.integers(0, classes, 60)
    said = np.where(draw.random(60) < 0.6, gold, draw.integers(0, classes, 60))
    found = find("metric", "mcc")(*([{"label": str(k)} for k in side] for side in (gold, said)))
    assert 5 < found < 95
    assert found == pytest.approx(100 * sklearn.metrics.matthews_corrcoef(gold, said))


def test_of_one_class_there_is_none() -> None:
    rows = [{"label": "a"}, {"label": "b"}]
    assert find("metric", "mcc")(rows, [{"label": "a"}, {"label": "a"}]) == 0
    assert find("metric", "mcc")(rows, rows) == pytest.approx(100)
    assert find("metric", "mcc")(rows, rows[::-1]) == pytest.approx(-100)
