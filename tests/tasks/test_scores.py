"""Scores against conlleval's own output, seqeval and scikit-learn."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import pytest
from seqeval import metrics as seqeval
from sklearn import metrics as sklearn
from sklearn.preprocessing import MultiLabelBinarizer

from recurra.errors import DataError
from recurra.tasks import scores
from recurra.tasks.scores import perplexity

PRINTED = """
B-LOC/B-LOC I-LOC/I-LOC O/O B-PER/I-PER I-PER/I-PER B-PER/B-PER
I-ORG/B-ORG O/I-ORG B-LOC/B-ORG I-LOC/I-LOC O/O O/B-MISC
B-ORG/O B-ORG/I-ORG I-PER/I-PER
O/O B-LOC/B-LOC I-LOC/O B-LOC/B-LOC
"""
"""Sentences of true/predicted tags, malformed ones among them, that conlleval (2004-01-26) was run on."""


def sentences(text: str) -> tuple[list[list[str]], list[list[str]]]:
    pairs = [[word.split("/") for word in line.split()] for line in text.strip().splitlines()]
    return [[g for g, _ in s] for s in pairs], [[p for _, p in s] for s in pairs]


def test_what_conlleval_prints() -> None:
    """processed 19 tokens with 10 phrases; found: 11 phrases; correct: 6."""
    gold, predicted = sentences(PRINTED)
    found = scores.span_scores(gold, predicted)
    assert found.metrics == pytest.approx({"precision": 54.5454545455, "recall": 60, "f1": 57.1428571429}, abs=1e-9)
    table = found.tables["types"]
    assert table["columns"] == ["type", "precision", "recall", "f1", "gold", "predicted", "correct"]
    third = pytest.approx(100 / 3)
    assert table["rows"] == [
        ["LOC", 50, 50, 50, 4, 4, 2],
        ["MISC", 0, 0, 0, 0, 1, 0],
        ["ORG", third, third, third, 3, 3, 1],
        ["PER", 100, 100, 100, 3, 3, 3],
    ]
    flat = [t for s in gold for t in s], [t for s in predicted for t in s]
    assert scores.accuracy(*flat) == pytest.approx(57.8947368421, abs=1e-9)


@pytest.mark.parametrize(
    ("gold", "predicted", "f1"),
    [
        ("B-A I-A O", "B-A I-A O", 100),
        ("B-A I-A O", "I-A I-A O", 100),  # a chunk begins with I after O
        ("B-A I-A O", "B-A O O", 0),  # half a chunk is none
        ("B-A I-A", "B-A I-B", 0),  # another type ends the chunk, and begins one
        ("B-A B-A", "I-A B-A", 100),
        ("B-A B-A", "B-A I-A", 0),
        ("B-A O B-A", "B-A O O", 200 / 3),
        ("O O", "O O", 0),  # nothing to find: 0, as conlleval says
        ("O O", "O B-A", 0),
        ("B-a-b I-a-b", "B-a-b I-a-b", 100),  # a type may have hyphens
    ],
)
def test_small_cases(gold: str, predicted: str, f1: float) -> None:
    found = scores.span_scores([gold.split()], [predicted.split()])
    assert found.metrics["f1"] == pytest.approx(f1)


def random_tags(random: Random, tags: list[str], count: int = 40) -> tuple[list[list[str]], list[list[str]]]:
    gold = [[random.choice(tags) for _ in range(random.randint(1, 12))] for _ in range(count)]
    return gold, [[t if random.random() < 0.7 else random.choice(tags) for t in s] for s in gold]


@pytest.mark.parametrize("seed", range(20))
def test_spans_are_those_of_seqeval(seed: int) -> None:
    """On random tags, most of them malformed: I after O, I after another type; letters of BIO or of BIOES."""
    letters = "BI" if seed % 2 else "BIES"
    tags = ["O", *(f"{p}-{t}" for p in letters for t in ("PER", "LOC", "ORG")[: 1 + seed % 3])]
    gold, predicted = random_tags(Random(seed), tags)
    found = scores.span_scores(gold, predicted)
    for name in ("precision", "recall", "f1"):
        oracle = getattr(seqeval, f"{name}_score")(gold, predicted)
        assert found.metrics[name] == pytest.approx(100 * oracle, abs=1e-10), name
    report: Any = seqeval.classification_report(gold, predicted, output_dict=True)
    for kind, precision, recall, f1, support, _, _ in found.tables["types"]["rows"]:
        line = report[kind]
        theirs = (line["precision"], line["recall"], line["f1-score"])
        assert (precision, recall, f1) == pytest.approx([100 * value for value in theirs], abs=1e-10)
        assert support == line["support"]


@pytest.mark.parametrize("seed", range(5))
def test_labels_are_those_of_scikit_learn(seed: int) -> None:
    random = Random(seed)
    gold = [random.choice("abcd") for _ in range(50)]
    predicted = [g if random.random() < 0.6 else random.choice("abcde") for g in gold]
    found = scores.label_scores(gold, predicted)
    oracle = sklearn.f1_score(gold, predicted, average="macro", zero_division=0)
    assert found.metrics == pytest.approx(
        {"accuracy": 100 * sklearn.accuracy_score(gold, predicted), "macro_f1": 100 * oracle}
    )
    names = sorted({*gold, *predicted})
    table = found.tables["confusion"]
    assert table["columns"] == ["label", *names]
    counts = sklearn.confusion_matrix(gold, predicted, labels=names).tolist()
    assert table["rows"] == [[n, *row] for n, row in zip(names, counts, strict=True)]
    precision, recall, f1, support = sklearn.precision_recall_fscore_support(
        gold, predicted, labels=names, zero_division=0
    )
    for k, row in enumerate(found.tables["labels"]["rows"]):
        assert row[0] == names[k]
        assert row[1:5] == pytest.approx([100 * precision[k], 100 * recall[k], 100 * f1[k], support[k]])


@pytest.mark.parametrize("seed", range(5))
def test_sets_of_labels_are_those_of_scikit_learn(seed: int) -> None:
    random = Random(seed)
    gold = [{n for n in "abcd" if random.random() < 0.4} for _ in range(50)]
    predicted = [{n for n in "abcd" if random.random() < (0.7 if n in g else 0.2)} for g in gold]
    found = scores.label_set_scores([sorted(g) for g in gold], predicted).metrics
    marks = MultiLabelBinarizer(classes=list("abcd"))
    g, p = marks.fit_transform(gold), marks.fit_transform(predicted)
    assert found == pytest.approx(
        {
            "micro_f1": 100 * sklearn.f1_score(g, p, average="micro", zero_division=0),
            "macro_f1": 100 * sklearn.f1_score(g, p, average="macro", zero_division=0),
            "exact_match": 100 * sklearn.accuracy_score(g, p),
        }
    )


def test_sets_that_are_empty_may_be_right() -> None:
    found = scores.label_set_scores([[], []], [[], []]).metrics
    assert found == {"micro_f1": 0, "macro_f1": 0, "exact_match": 100}


GOLD = [
    {"tokens": ["to", "new", "york"], "tags": ["O", "B-city", "I-city"], "label": "flight", "place": "test:1"},
    {"tokens": ["what", "fare"], "tags": ["O", "O"], "label": "flight#fare", "place": "test:2"},
    {"tokens": ["bwi"], "tags": ["B-airport"], "label": "abbreviation", "place": "test:3"},
]
SAID = [
    {"tags": ["O", "B-city", "I-city"], "label": "flight"},
    {"tags": ["O", "O"], "label": "flight"},
    {"tags": ["B-city"], "label": "abbreviation"},
]


def test_tags_and_label_together() -> None:
    found = scores.tag_scores(GOLD, SAID, with_label=True)
    third = 100 / 3
    expected = {
        "f1": 50,
        "precision": 50,
        "recall": 50,
        "accuracy": 500 / 6,
        "intent_accuracy": 2 * third,
        "sentence_accuracy": third,
    }
    assert found.metrics == pytest.approx(expected)
    assert list(found.metrics) == list(expected)
    assert set(found.tables) == {"types", "labels"}
    without = scores.tag_scores(GOLD, SAID)
    assert without.metrics["sentence_accuracy"] == pytest.approx(2 * third)
    assert set(without.tables) == {"types"} and "intent_accuracy" not in without.metrics
    plain = scores.tag_scores(GOLD, SAID, with_spans=False)
    assert plain.metrics == pytest.approx({"accuracy": 500 / 6, "sentence_accuracy": 2 * third})


def test_predictions_may_be_tags_or_labels_alone() -> None:
    tags, labels = ([{name: e[name]} for e in SAID] for name in ("tags", "label"))
    known = {"tags": ["O"], "label": ["flight"]}
    found = scores.tag_scores(GOLD, tags, with_label=True, known=known).metrics
    assert list(found) == ["f1", "precision", "recall", "accuracy", "unseen_tags"]
    found = scores.tag_scores(GOLD, labels, with_label=True, known=known).metrics
    assert found == pytest.approx({"intent_accuracy": 200 / 3, "unseen_labels": 2})


def test_names_that_training_never_saw_are_counted() -> None:
    known = {"tags": ["O", "B-city", "I-city"], "label": ["flight", "abbreviation"]}
    found = scores.tag_scores(GOLD, SAID, with_label=True, known=known).metrics
    assert (found["unseen_tags"], found["unseen_labels"]) == (1, 1)
    assert "unseen_labels" not in scores.tag_scores(GOLD, SAID, known=known).metrics


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match=r"2 predictions, expected 3: one for each example, in their order"):
        scores.tag_scores(GOLD, SAID[:2])
    with pytest.raises(DataError, match=r"test:2: 1 predicted tags, expected 2: one for each word"):
        scores.tag_scores(GOLD, [SAID[0], {"tags": ["O"]}, SAID[2]])
    with pytest.raises(DataError, match=r"sentence 1: 1 predicted tags, expected 2"):
        scores.span_scores([["O", "O"]], [["O"]])
    with pytest.raises(DataError, match=r"test:3: the prediction has no 'label', it has tags"):
        scores.tag_scores(GOLD, [*SAID[:2], {"tags": ["O"]}], with_label=True)
    with pytest.raises(DataError, match=r"test:1: the prediction has no 'tags', it has nothing"):
        scores.tag_scores(GOLD, [{}, {}, {}])
    with pytest.raises(DataError, match=r"example 1: no 'label' to compare with. Score a file that has it, or predict"):
        scores.tag_scores([{"tags": ["O"]}], [{"tags": ["O"], "label": "x"}], with_label=True)
    with pytest.raises(DataError, match=r"1 predicted names, expected 2: one for each true one"):
        scores.accuracy(["a", "b"], ["a"])
    with pytest.raises(DataError, match=r"a score over 0 names means nothing. Evaluate on one sequence or more"):
        scores.label_scores([], [])
    with pytest.raises(DataError, match=r"a score over 0 examples means nothing"):
        scores.label_set_scores([], [])


def test_perplexity_is_infinite_where_no_float_holds_it() -> None:
    assert perplexity(0.0) == 1.0 and perplexity(math.log(7)) == pytest.approx(7)
    assert perplexity(1000.0) == math.inf
