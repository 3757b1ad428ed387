"""The ridge regression beside a score: against scikit-learn, by scale, on texts and on numbers in time."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest

from recurra import registry
from recurra.baselines.ridge import STRENGTHS, Ridge, window_statistics
from recurra.errors import ConfigError, DataError


def texts(seed: int, N: int, scales: str = "") -> list[dict[str, Any]]:
    """Numbers that depend on words, and on how long a text is; numbers of each scale are of another size."""
    draw, found = np.random.default_rng(seed), []
    for n in range(N):
        tokens = draw.choice(list("abcdefghij"), int(draw.integers(2, 30))).tolist()
        number = tokens.count("a") / len(tokens) * 5 + np.log1p(len(tokens)) + 0.1 * draw.normal()
        scale = scales[n % len(scales)] if scales else ""
        size = 10.0 if scale == "y" else 1.0
        found.append({"tokens": tokens, "number": size * number, **({"scale": scale} if scale else {})})
    return found


def answers(train: list[dict[str, Any]], test: list[dict[str, Any]], **settings: Any) -> dict[str, np.ndarray]:
    rows = registry.construct("baseline", {"kind": "ridge", **settings}).rows(train, test, {})
    return {row.name: np.array([each["number"] for each in row.predictions]) for row in rows}


def test_mean_length_and_words_each_say_more() -> None:
    train, test = texts(0, 200, "xy"), texts(1, 80, "xy")
    truth = np.array([each["number"] for each in test])
    found = answers(train, test)
    assert list(found) == ["mean of the training numbers", "a line through its length", "ridge on words and bigrams"]
    for scale in (0, 1):  # x and y in turn
        errors = [np.square(said[scale::2] - truth[scale::2]).mean() for said in found.values()]
        assert errors[0] > 1.5 * errors[1] > 3 * errors[2]
        own = [each["number"] for each in train[scale::2]]
        assert found["mean of the training numbers"][scale] == pytest.approx(np.mean(own))
        assert found["ridge on words and bigrams"][scale::2].max() <= max(own)
        x = np.log1p([len(each["tokens"]) for each in train[scale::2]])
        line = np.polyval(np.polyfit(x, own, 1), np.log1p([len(each["tokens"]) for each in test[scale::2]]))
        said = found["a line through its length"][scale::2]
        np.testing.assert_allclose(said, line.clip(min(own), max(own)), atol=1e-5)


def test_the_strength_is_that_of_a_held_out_tenth() -> None:
    train = texts(2, 100)
    *_, row = Ridge().rows(train, train[:2], {})
    strength = float(row.note.split()[1].rstrip(","))
    assert strength in STRENGTHS and row.note.endswith("chosen on a held-out tenth of the training examples")


def series(seed: int, N: int) -> list[dict[str, Any]]:
    draw, found = np.random.default_rng(seed), []
    for _ in range(N):
        slope, T = draw.normal(), int(draw.integers(5, 20))
        x = np.stack([draw.normal(size=T), slope * np.arange(T) + draw.normal()], 1)
        found.append({"series": x, "number": slope})
    return found


def test_series_are_known_by_statistics_of_windows() -> None:
    train, test = series(3, 150), series(4, 50)
    found = answers(train, test, windows=2)
    truth = np.array([each["number"] for each in test])
    assert np.square(found["ridge on statistics of 2 windows"] - truth).mean() < 0.1 * truth.var()


def test_statistics_of_windows() -> None:
    x = np.array([[0.0, 5.0], [2.0, 5.0], [4.0, 5.0], [1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    found = window_statistics(x, 2).reshape(2, 5, 2)
    deviation = np.sqrt(8 / 3)
    np.testing.assert_allclose(found[0].T, [[2, deviation, 0, 4, 2], [5, 0, 5, 5, 0]])
    np.testing.assert_allclose(found[1].T, [[1, 0, 1, 1, 0], [1, np.sqrt(2 / 3), 0, 2, 1]])
    short = window_statistics(x[:1, 0], 4).reshape(4, 5)
    assert short.tolist() == [[0, 0, 0, 0, 0]] * 4
    assert window_statistics(np.zeros((0, 2)), 3).tolist() == [0] * 30


def test_few_examples_and_a_scale_that_was_never_trained() -> None:
    found = answers(texts(5, 4), texts(6, 3))
    assert all(np.isfinite(said).all() for said in found.values())
    assert not answers(texts(5, 4), [])["ridge on words and bigrams"].size
    seen = texts(7, 30, "x")
    assert answers(seen, texts(8, 2, "y"))["mean of the training numbers"].tolist() == pytest.approx(
        [np.mean([each["number"] for each in seen])] * 2
    )


def test_what_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="ridge: no training examples"):
        list(Ridge().rows([], [], {}))
    with pytest.raises(DataError, match=r"a:1: the baseline 'ridge' expected 'number', the example has tokens, place"):
        list(Ridge().rows([{"tokens": ["a"], "place": "a:1"}], [], {}))
    for settings in ({"min_texts": 0}, {"windows": 0}):
        with pytest.raises(ConfigError, match="expected 1 or more"):
            Ridge(**settings)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"is scikit-learn's, which is not installed\. Install it"):
        Ridge()
