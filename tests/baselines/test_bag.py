"""The bag-of-words classifiers against scikit-learn on the same features, and on two real sets."""

from __future__ import annotations

import gzip
import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from recurra import registry
from recurra.baselines.bag import STRENGTHS, Bag, Kind, Logistic, NaiveBayes, choose_strength
from recurra.baselines.features import Counts, Features, inverse_frequency, weigh
from recurra.errors import ConfigError, DataError


def sparse(X: np.ndarray) -> Counts:
    text, feature = np.nonzero(X)
    return Counts(text, feature, X[text, feature].astype(np.float32), *X.shape)


def dense(X: Counts) -> np.ndarray:
    full = np.zeros((X.N, X.F), np.float32)
    full[X.text, X.feature] = X.value
    return full


def random_counts(seed: int, N: int, F: int, K: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts drawn from K multinomials with classes of uneven size; the first text is empty."""
    rng = np.random.default_rng(seed)
    classes = rng.choice(K, N, p=np.arange(1, K + 1) / (K * (K + 1) / 2))
    topics = np.random.default_rng(7).dirichlet([0.3] * F, K)
    X = np.array([rng.multinomial(rng.integers(1, 20), topics[k]) for k in classes])
    X[0] = 0
    return X, classes


def random_texts(seed: int, n: int) -> list[list[str]]:
    rng = np.random.default_rng(seed)
    return [[f"w{w}" for w in np.minimum(rng.geometric(0.15, rng.integers(0, 12)), 25)] for _ in range(n)]


def one_hot(classes: np.ndarray, K: int) -> np.ndarray:
    return np.eye(K, dtype=np.float32)[classes]


@pytest.mark.parametrize("min_texts", [1, 2, 3])
def test_features_are_scikit_learn_s(min_texts):
    text = pytest.importorskip("sklearn.feature_extraction.text")
    train, test = random_texts(0, 60), random_texts(1, 30)
    train[3], test[0] = [], ["new", "w1", "w2", "new", "w1"]
    theirs = text.CountVectorizer(analyzer=words_and_bigrams, min_df=min_texts)
    expected = theirs.fit_transform(train).toarray(), theirs.transform(test).toarray()
    ours = Features(min_texts).fit(train)
    assert len(ours) == expected[0].shape[1]
    counts = ours.count(train), ours.count(test)
    for mine, wanted in zip(counts, expected, strict=True):
        assert columns(dense(mine), dense(counts[0])) == columns(wanted, expected[0])
    tfidf = text.TfidfTransformer(sublinear_tf=True).fit(expected[0])
    weights = inverse_frequency(counts[0])
    for mine, wanted in zip(counts, expected, strict=True):
        weighed = np.sort(dense(weigh(mine, weights)), 1)
        np.testing.assert_allclose(weighed, np.sort(tfidf.transform(wanted).toarray(), 1), atol=1e-6)


def words_and_bigrams(tokens: list[str]) -> list[str]:
    return [*tokens, *(f"{a} {b}" for a, b in pairwise(tokens))]


def columns(X: np.ndarray, key: np.ndarray) -> list[tuple]:
    """The columns of X with those of `key`, whatever their order."""
    return sorted((tuple(k), tuple(x)) for k, x in zip(key.T.tolist(), X.T.tolist(), strict=True))


def test_a_bigram_ends_with_its_text():
    features = Features().fit([["a", "b"], ["c", "a"]])
    assert len(features) == 3 + 2
    assert dense(features.count([["b", "c"], ["a", "b", "a", "b"]])).sum(1).tolist() == [2, 6]
    # the rare word between two others is no reason to make them neighbours
    assert len(Features(2).fit([["a", "x", "b"], ["a", "y", "b"]])) == 2


def test_products():
    import torch

    rng = np.random.default_rng(0)
    X = rng.integers(0, 3, (9, 5)) * (rng.random((9, 5)) < 0.5)
    X[[0, 4]], X[:, 2] = 0, 0
    W, G = torch.randn(5, 3), torch.randn(9, 3)
    chosen = rng.random(9) < 0.6
    np.testing.assert_allclose(sparse(X).times(W), X @ W.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(sparse(X).transposed_times(G), X.T @ G.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(dense(sparse(X).take(chosen)), X[chosen])


@pytest.mark.parametrize("K", [2, 5])
def test_naive_bayes_is_scikit_learn_s(K):
    naive_bayes = pytest.importorskip("sklearn.naive_bayes")
    X, classes = random_counts(1, 200, 40, K)
    unseen, _ = random_counts(2, 100, 40, K)
    theirs = naive_bayes.MultinomialNB().fit(X, classes)
    ours = NaiveBayes().fit(sparse(X), one_hot(classes, K))
    np.testing.assert_allclose(ours.log_joint(sparse(unseen)), theirs.predict_joint_log_proba(unseen), rtol=1e-5)
    np.testing.assert_array_equal(ours.log_joint(sparse(unseen)).argmax(1), theirs.predict(unseen))


@pytest.mark.parametrize("strength", [3.0, 0.1, 0.01])
@pytest.mark.parametrize("K", [2, 5])
def test_logistic_regression_is_scikit_learn_s(K, strength):
    linear = pytest.importorskip("sklearn.linear_model")
    X, classes = random_counts(3, 200, 40, K)
    unseen, _ = random_counts(4, 300, 40, K)
    weights = inverse_frequency(sparse(X))
    X, unseen = (dense(weigh(sparse(x), weights)) for x in (X, unseen))
    theirs = linear.LogisticRegression(C=1 / strength, tol=1e-9, max_iter=10_000).fit(X.astype(float), classes)
    ours = Logistic().fit(sparse(X), one_hot(classes, K), strength)
    W, b = ours.parameters[:-1].numpy().T, ours.parameters[-1].numpy()
    assert np.linalg.norm(W - theirs.coef_) <= 0.01 * np.linalg.norm(theirs.coef_)
    np.testing.assert_allclose(b - b.mean() * (K > 2), theirs.intercept_, rtol=0.01, atol=0.05)
    p = ours.probabilities(sparse(unseen))
    np.testing.assert_allclose(p, theirs.predict_proba(unseen), atol=0.005)
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-5)
    sure = np.diff(np.sort(p, 1)[:, -2:])[:, 0] > 0.02
    assert sure.sum() > 250
    np.testing.assert_array_equal(p.argmax(1)[sure], theirs.predict(unseen)[sure])


def test_labels_are_two_class_regressions_each():
    linear = pytest.importorskip("sklearn.linear_model")
    X, classes = random_counts(5, 200, 30, 4)
    Y = np.stack((classes == 0, classes >= 2, classes % 2 == 1), 1).astype(np.float32)
    ours = Logistic("labels").fit(sparse(X), Y, 0.5)
    p = ours.probabilities(sparse(X))
    for k in range(3):
        theirs = linear.LogisticRegression(C=2, tol=1e-9, max_iter=10_000).fit(X, Y[:, k])
        np.testing.assert_allclose(p[:, k], theirs.predict_proba(X)[:, 1], atol=0.01)


def test_a_fit_goes_on_from_the_last_one():
    X, classes = random_counts(6, 150, 30, 3)
    Y = one_hot(classes, 3)
    path = Logistic()
    for strength in (10, 1, 0.1):
        path.fit(sparse(X), Y, strength)
    fresh = Logistic().fit(sparse(X), Y, 0.1)
    W, V = path.parameters[:-1], fresh.parameters[:-1]
    assert (W - V).norm() <= 0.02 * V.norm()


@pytest.mark.parametrize("kind", ["classes", "labels"])
def test_the_strength_suits_the_held_out_tenth(kind: Kind):
    rng = np.random.default_rng(0)
    X, classes = random_counts(8, 400, 60, 3)
    clean, note = choose_strength(sparse(X), one_hot(classes, 3), kind)
    noise, _ = choose_strength(sparse(X), one_hot(rng.permutation(classes), 3), kind)
    assert clean in STRENGTHS and clean <= 0.3
    assert noise == max(STRENGTHS)  # nothing to learn: the strongest
    assert note == f"strength {clean:g}, chosen on a held-out tenth of the training texts"
    assert choose_strength(sparse(X[:19]), one_hot(classes[:19], 3), kind) == (
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
    features = len(Features().fit([e["tokens"] for e in train]))
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

    common, bayes, logistic = scores(documents("train"), documents("test"))
    assert common == pytest.approx(49.5, abs=0.1)
    assert bayes > 94 and logistic > 97
