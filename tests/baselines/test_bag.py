"""The bag-of-words classifiers: their features, their edges, and two real sets."""

from __future__ import annotations

import gzip
import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression

from recurra import registry
from recurra.baselines.bag import STRENGTHS, Bag, choose_strength, counts, regressions
from recurra.errors import ConfigError, DataError


def random_counts(seed: int, N: int, F: int, K: int) -> tuple[Any, np.ndarray]:
    """Counts drawn from K multinomials with classes of uneven size; the first text is empty."""
    rng = np.random.default_rng(seed)
    classes = rng.choice(K, N, p=np.arange(1, K + 1) / (K * (K + 1) / 2))
    topics = np.random.default_rng(7).dirichlet([0.3] * F, K)
    X = np.array([rng.multinomial(rng.integers(1, 20), topics[k]) for k in classes])
    X[0] = 0
    return csr_matrix(X.astype(np.float32)), classes


def one_hot(classes: np.ndarray, K: int) -> np.ndarray:
    return np.eye(K, dtype=np.float32)[classes]


def test_features_are_words_and_pairs_of_enough_texts():
    train, test = [["a", "b"], ["c", "a"], ["a", "b", "a", "b"]], [["b", "c", "a", "new"], []]
    seen, asked, size = counts(train, test, 1)
    assert (size, seen.shape, asked.shape) == (3 + 3, (3, 6), (2, 6))
    assert seen.sum(1).ravel().tolist() == [[3, 3, 7]]
    assert asked.sum(1).ravel().tolist() == [[4, 0]]  # b, c, a, c a: a pair ends with its text
    assert counts(train, test, 2)[2] == 3  # a, b, a b
    assert counts(train, test, 4)[2] == counts([[], []], test, 1)[2] == 0
    # the rare word between two others is no reason to make them neighbours
    assert counts([["a", "x", "b"], ["a", "y", "b"]], test, 2)[2] == 2


def test_regressions_are_of_weighted_counts_and_a_class_without_a_text_has_no_share():
    X, classes = random_counts(3, 200, 40, 3)
    unseen, _ = random_counts(4, 100, 40, 3)
    Y = one_hot(classes, 5)[:, [0, 3, 1, 4, 2]]
    strong, weak = regressions(X, Y, unseen, [3.0, 0.1], multi=False)
    tfidf = TfidfTransformer(sublinear_tf=True).fit(X)
    for p, strength in ((strong, 3.0), (weak, 0.1)):
        model = LogisticRegression(C=1 / strength, tol=1e-9, max_iter=10_000).fit(tfidf.transform(X), classes)
        np.testing.assert_allclose(p[:, [0, 2, 4]], model.predict_proba(tfidf.transform(unseen)), atol=0.005)
        assert not p[:, [1, 3]].any()


def test_labels_are_two_class_regressions_each():
    X, classes = random_counts(5, 200, 30, 4)
    Y = np.stack((classes == 0, classes >= 2, classes % 2 == 1, classes >= 0), 1).astype(np.float32)
    (p,) = regressions(X, Y, X, [0.5], multi=True)
    weighted = TfidfTransformer(sublinear_tf=True).fit_transform(X)
    for k in range(3):
        theirs = LogisticRegression(C=2, tol=1e-9, max_iter=10_000).fit(weighted, Y[:, k])
        np.testing.assert_allclose(p[:, k], theirs.predict_proba(weighted)[:, 1], atol=0.01)
    assert (p[:, 3] == 1).all()


@pytest.mark.parametrize("multi", [False, True])
def test_the_strength_suits_the_held_out_tenth(multi: bool):
    rng = np.random.default_rng(0)
    X, classes = random_counts(8, 400, 60, 3)
    clean, note = choose_strength(X, one_hot(classes, 3), multi)
    noise, _ = choose_strength(X, one_hot(rng.permutation(classes), 3), multi)
    assert clean in STRENGTHS and clean <= 0.3
    assert noise == max(STRENGTHS)  # nothing to learn: the strongest
    assert note == f"strength {clean:g}, chosen on a held-out tenth of the training texts"
    assert choose_strength(X[:19], one_hot(classes[:19], 3), multi) == (
        1.0,
        "strength 1: 19 texts are too few to choose it by",
    )


def topical(seed: int, n: int, **more: object) -> list[dict]:
    """Texts that are told apart by a pair of words in its order alone: "not good" and "good not"."""
    rng = np.random.default_rng(seed)
    examples = []
    for _ in range(n):
        label = ["neg", "pos"][rng.integers(2)]
        words = [f"w{w}" for w in rng.integers(0, 8, rng.integers(1, 6))]
        at = int(rng.integers(0, len(words) + 1))
        words[at:at] = ["not", "good"] if label == "neg" else ["good", "not"]
        examples.append({"tokens": words, "label": label, **more})
    return examples


def test_rows():
    train, test = topical(0, 200), topical(1, 100)
    baseline = registry.construct("baseline", {"kind": "bag", "min_texts": 1})
    rows, again = list(baseline.rows(train, test)), list(baseline.rows(train, test))
    assert rows == again
    features = counts([e["tokens"] for e in train], [], 1)[2]
    assert [(r.name, r.size, r.unit) for r in rows] == [
        ("most frequent label", 2, "labels"),
        ("naive Bayes on words and bigrams", features, "features"),
        ("logistic regression on words and bigrams", features, "features"),
    ]
    right = [np.mean([p["label"] == e["label"] for p, e in zip(r.predictions, test, strict=True)]) for r in rows]
    common = max(("neg", "pos"), key=[e["label"] for e in train].count)
    assert right[0] == np.mean([e["label"] == common for e in test])
    assert right[1] > 0.9 and right[2] == 1
    assert "held-out tenth" in rows[2].note


def test_rows_of_many_labels():
    train, test = (
        [{"tokens": e["tokens"], "labels": sorted({e["label"], *e["tokens"]} & {"pos", "w0", "w1"})} for e in side]
        for side in (topical(2, 300), topical(3, 100))
    )
    assert any(not e["labels"] for e in train)
    (row,) = Bag().rows(train, test)
    assert row.name == "logistic regression on words and bigrams"
    assert np.mean([p["labels"] == e["labels"] for p, e in zip(row.predictions, test, strict=True)]) > 0.95


@pytest.mark.parametrize("labels", [["a", "a", "a"], ["a", "b", "b"], ["a", "b", "c"]])
def test_few_and_empty_texts(labels):
    train = [{"tokens": [], "label": label} for label in labels]
    for row in Bag().rows(train, [{"tokens": ["x"]}, {"tokens": []}]):
        assert row.predictions[0] == row.predictions[1]
        assert row.predictions[0]["label"] in labels
    (row,) = Bag().rows([{"tokens": [], "labels": labels}], [{"tokens": ["x"]}])
    assert row.predictions == [{"labels": sorted(set(labels))}]
    assert list(Bag().rows(train, []))[-1].predictions == []


def test_errors():
    with pytest.raises(DataError, match=r"bag: no training examples, expected at least 1"):
        Bag().rows([], [])
    with pytest.raises(DataError, match=r"r.tsv:4: the baseline 'bag' expected 'label', the example has tokens, place"):
        Bag().rows([{"tokens": [], "label": "a"}, {"tokens": [], "place": "r.tsv:4"}], [])
    with pytest.raises(
        DataError, match=r"training example 2: the baseline 'bag' expected 'labels', .* has tokens, label"
    ):
        Bag().rows([{"tokens": [], "labels": ["a"]}, {"tokens": [], "label": "a"}], [])
    with pytest.raises(DataError, match=r"test example 1: .* expected 'tokens', the example has text"):
        Bag().rows([{"tokens": [], "label": "a"}], [{"text": "x"}])
    with pytest.raises(DataError, match=r"bag: none of the 2 training examples has a label, expected at least 1"):
        Bag().rows([{"tokens": ["a"], "labels": []}] * 2, [])
    with pytest.raises(ConfigError, match=r"baseline.min_texts = 0, expected 1 or more"):
        Bag(min_texts=0)


def test_without_scikit_learn_it_is_refused_when_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        ConfigError, match=r"scikit-learn's, which is not installed. Install it, pip install scikit-learn, or train"
    ):
        Bag()


def folder(name: str) -> Path:
    path = Path(os.environ.get("RECURRA_DATA", "")) / name
    if "RECURRA_DATA" not in os.environ or not path.is_dir():
        pytest.skip(f"RECURRA_DATA names no folder with {name}/ in it")
    return path


def scores(train: list[dict], test: list[dict]) -> list[float]:
    rows = Bag().rows(train, test)
    return [
        100 * sum(p["label"] == e["label"] for p, e in zip(r.predictions, test, strict=True)) / len(test) for r in rows
    ]


def test_trec():
    def questions(name: str) -> list[dict]:
        lines = (folder("trec") / name).read_text(encoding="iso-8859-1").splitlines()
        split = [line.split(" ", 1) for line in lines]
        return [{"label": label.split(":")[0], "tokens": text.lower().split()} for label, text in split]

    common, bayes, logistic = scores(questions("train_5500.label"), questions("TREC_10.label"))
    assert common == pytest.approx(18.8)
    assert bayes > 84 and logistic > 89


def test_reuters_r8():
    def documents(part: str) -> list[dict]:
        with gzip.open(folder("reuters-r8") / f"r8-{part}-all-terms.txt.gz", "rt", encoding="utf-8") as file:
            split = [line.rstrip("\n").split("\t") for line in file]
        return [{"label": label, "tokens": text.split()} for label, text in split]

    common, bayes, logistic = scores(documents("train")[::4], documents("test"))
    assert common == pytest.approx(49.5, abs=0.1)
    assert bayes > 92 and logistic > 94
