"""The baselines of sequences of numbers, against scikit-learn and the plain recursion."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from recurra.baselines.logistic import probabilities
from recurra.baselines.warped_neighbour import SHORT, WarpedNeighbour, warped_distances
from recurra.baselines.window_statistics import WindowStatistics
from recurra.data.fields import Codecs
from recurra.errors import ConfigError, DataError
from recurra.types import Field

RANDOM = np.random.default_rng(0)


def codecs(examples: list[dict[str, Any]]) -> Codecs:
    return Codecs({"input": Field(("vectors",), {"kind": "scaled"})}).fit(examples)


def shaken(count: int, random: np.random.Generator) -> list[dict[str, Any]]:
    """Movements of one mean, strong or weak."""
    found = []
    for k in range(count):
        strong = k % 2
        x = random.normal(size=(int(random.integers(5, 12)), 2)) * (3 if strong else 1) + 7
        found.append({"vectors": x, "label": "strong" if strong else "weak", "place": str(k)})
    return found


def test_regression_is_scikit_learns() -> None:
    X, k = RANDOM.normal(size=(60, 4)), RANDOM.integers(0, 3, 60)
    ours = probabilities(X, np.eye(3)[k], X[:9], 2.0)
    theirs = LogisticRegression(C=0.5, tol=1e-10, max_iter=1000).fit(X, k).predict_proba(X[:9])
    assert np.allclose(ours, theirs, atol=1e-4)


def test_statistics_tell_strong_from_weak() -> None:
    train, test = shaken(80, RANDOM), shaken(40, RANDOM)
    common, row = WindowStatistics().rows(train, test, codecs(train))
    assert common.name == "most frequent label" and {each["label"] for each in common.predictions} == {"strong"}
    right = [one["label"] == each["label"] for one, each in zip(row.predictions, test, strict=True)]
    assert np.mean(right) > 0.9 and row.size == 9 and "chosen on a held-out tenth" in row.note


def test_statistics_around_each_step() -> None:
    def tagged(random: np.random.Generator) -> dict[str, Any]:
        x = random.normal(size=(60, 1)) * np.repeat([1, 4], 30)[:, None]
        return {"vectors": x, "tags": ["weak"] * 30 + ["strong"] * 30}

    train, test = [tagged(RANDOM) for _ in range(4)], [tagged(RANDOM), {**tagged(RANDOM), "vectors": np.zeros((0, 1))}]
    test[1]["tags"] = []
    _, row = WindowStatistics(around=8).rows(train, test, codecs(train))
    assert [len(each["tags"]) for each in row.predictions] == [60, 0]
    assert np.mean([a == b for a, b in zip(row.predictions[0]["tags"], test[0]["tags"], strict=True)]) > 0.8
    with pytest.raises(ConfigError, match=r"baseline\.around = -1"):
        WindowStatistics(around=-1)


def test_several_labels() -> None:
    train = [{**each, "labels": ["all", each["label"]]} for each in shaken(60, RANDOM)]
    (row,) = WindowStatistics().rows(train, train[:10], codecs(train))
    assert all("all" in each["labels"] for each in row.predictions)


def test_what_statistics_refuse() -> None:
    with pytest.raises(DataError, match="no training examples"):
        next(WindowStatistics().rows([], [], {}))
    with pytest.raises(DataError, match="expected 'label' or 'labels' or 'tags'"):
        next(WindowStatistics().rows([{"vectors": np.zeros((2, 1))}], [], {}))


def plain(x: np.ndarray, y: np.ndarray) -> float:
    D = np.full((len(x) + 1, len(y) + 1), np.inf)
    D[0, 0] = 0
    for i in range(len(x)):
        for j in range(len(y)):
            D[i + 1, j + 1] = np.square(x[i] - y[j]).sum() + min(D[i, j], D[i, j + 1], D[i + 1, j])
    return float(D[-1, -1])


@pytest.mark.parametrize("T", [1, 2, 5, 9])
def test_warping_is_the_plain_recursion(T: int) -> None:
    x, others = RANDOM.normal(size=(T, 3)), [RANDOM.normal(size=(k, 3)) for k in (1, 2, 3, 7, 12, 5)]
    assert warped_distances(x, others) == pytest.approx([plain(x, y) for y in others])


def test_an_empty_sequence_is_near_to_another_empty_one_only() -> None:
    nothing, some = np.zeros((0, 2)), RANDOM.normal(size=(3, 2))
    assert warped_distances(nothing, [nothing, some]).tolist() == [0, np.inf]
    assert warped_distances(some, [nothing, some]) == pytest.approx([np.inf, 0], abs=1e-12)


def test_the_nearest_of_stretched_sequences() -> None:
    def drawn(name: str, steps: int) -> dict[str, Any]:
        t = np.linspace(0, 1, steps)
        return {"vectors": (np.sin(3 * t) if name == "once" else np.sin(9 * t))[:, None], "label": name}

    train = [drawn("once", 20), drawn("thrice", 20)]
    test = [drawn("thrice", 31), drawn("once", 13)]
    (row,) = WarpedNeighbour().rows(train, test, codecs(train))
    assert [each["label"] for each in row.predictions] == ["thrice", "once"] and row.note == ""


def test_what_would_take_too_long_is_made_less_and_said() -> None:
    train = [{"vectors": RANDOM.normal(size=(50, 1)), "label": "ab"[k % 2]} for k in range(10)]
    (row,) = WarpedNeighbour(most=SHORT * SHORT * 4 * 3).rows(train, train[:4], codecs(train))
    assert row.size == 3
    assert row.note == "sequences averaged down to 32 steps; compared with 3 of 10 training sequences, drawn by a seed"
    assert not [*WarpedNeighbour().rows([{"vectors": np.zeros((2, 1)), "tags": ["a", "b"]}], [], {})]
    with pytest.raises(ConfigError, match=r"baseline\.most = 0"):
        WarpedNeighbour(most=0)


def test_scaled_numbers_are_compared() -> None:
    """A number of large values does not count for more than one of small ones."""
    train = [
        {"vectors": np.array([[1000.0, 0.0]]), "label": "left"},
        {"vectors": np.array([[0.0, 1.0]]), "label": "right"},
    ]
    asked = [{"vectors": np.array([[300.0, 0.1]])}]
    (row,) = WarpedNeighbour().rows(train, asked, codecs(train))
    assert row.predictions == [{"label": "left"}]  # 1.4 + 0.2 against 0.6 + 1.8; by the numbers as they are "right"
