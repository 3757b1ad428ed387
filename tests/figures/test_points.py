"""Scores against a setting: points where they belong, on an axis of numbers or of words."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from recurra.figures.drawing import file_of
from recurra.figures.points import Point, points


def drawn(values: list[Any], scores: list[float], log: bool = False) -> tuple[list[tuple[float, float]], str]:
    found = [Point(value, score, f"{k:04d}") for k, (value, score) in enumerate(zip(values, scores, strict=True))]
    page = points(found, "core.hidden_size", "accuracy", "0001", log)
    places = re.findall(r'<circle class="point" cx="([\d.]+)" cy="([\d.]+)"', page)
    return [(float(x), float(y)) for x, y in places], page


def test_numbers_stand_where_they_belong() -> None:
    random = np.random.default_rng(0)
    values, scores = random.uniform(-5, 5, 9).tolist(), random.normal(size=9).tolist()
    places, page = drawn(values, scores)
    x, y = np.array(places).T
    assert np.allclose(np.corrcoef(x, values)[0, 1], 1, atol=1e-4)
    assert np.allclose(np.corrcoef(y, scores)[0, 1], -1, atol=1e-4)  # down the page
    assert page.count("fill-opacity: 1") == 1 and "0003: core.hidden_size = " in page
    assert file_of(page).startswith(b"<svg")


@pytest.mark.parametrize(("values", "log"), [([1e-4, 1e-3, 1e-2], False), ([1.0, 2.0, 4.0], True)])
def test_a_logarithmic_axis(values: list[float], log: bool) -> None:
    (a, b, c), _ = drawn(values, [1.0, 2.0, 3.0], log)
    assert b[0] - a[0] == pytest.approx(c[0] - b[0], abs=0.2)


def test_a_few_values_are_named_and_words_stand_beside_each_other() -> None:
    _, page = drawn([32, 64, 128], [1.0, 2.0, 3.0])
    assert all(f">{value}</text>" in page for value in (32, 64, 128))
    places, page = drawn(["lstm", "gru", "lstm", None, True], [1.0, 2.0, 3.0, 3.0, 1.0])
    assert places[0][0] == places[2][0] != places[1][0]
    assert all(f">{name}</text>" in page for name in ("lstm", "gru", "none", "true"))


def test_one_value_and_one_score() -> None:
    (place,), _ = drawn([3], [0.5])
    assert all(np.isfinite(place))
    assert "<script>" not in drawn(["<script>"], [0.5])[1]
