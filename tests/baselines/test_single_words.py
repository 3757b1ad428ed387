"""The taggers of single words against counting by hand, and what they cannot know."""

from __future__ import annotations

import math
from collections import Counter
from itertools import product

import numpy as np
import pytest

from recurra import registry
from recurra.baselines.single_words import FeedForward, SingleWords, count_tags, most_frequent
from recurra.errors import ConfigError, DataError


def example(tokens: str, tags: str, **more: str) -> dict:
    return {"tokens": tokens.split(), "tags": tags.split(), **more}


def random_sentences(seed: int, n: int) -> list[dict]:
    """Words w0 … w29 with tags A to D, each word with a mixture of its own; some words come once."""
    rng = np.random.default_rng(seed)
    likely = np.random.default_rng(99).dirichlet([0.5] * 4, 30)
    sentences = []
    for _ in range(n):
        words = np.minimum(rng.geometric(0.1, rng.integers(1, 9)) - 1, 29)
        sentences.append(
            {"tokens": [f"w{w}" for w in words], "tags": ["ABCD"[rng.choice(4, p=likely[w])] for w in words]}
        )
    return sentences


def accuracy(examples: list[dict], predictions: list[dict]) -> float:
    pairs = [
        p for e, said in zip(examples, predictions, strict=True) for p in zip(e["tags"], said["tags"], strict=True)
    ]
    return sum(a == b for a, b in pairs) / len(pairs)


def test_most_frequent_tag_by_hand():
    train = [example("the cat saw the saw", "D N V D N"), example("saw the cat", "V D V", label="x")]
    test = [{"tokens": ["saw", "cat", "dog"]}, {"tokens": []}]
    row, _ = registry.construct("baseline", {"kind": "single-words"}).rows(train, test)
    # cat: one N and one V, the first in the alphabet; dog is unseen: D and V come three times, N twice
    assert [p["tags"] for p in row.predictions] == [["V", "N", "D"], []]
    assert (row.name, row.size, row.unit) == ("most frequent tag of each word", 3, "words")


def test_most_frequent_label():
    train = [example("a", "O", label=label) for label in ("z", "b", "b", "z", "c")]
    rows = list(SingleWords(hidden_size=2).rows(train, [{"tokens": ["a", "a"]}]))
    assert len(rows) == 2
    for row in rows:
        assert row.predictions == [{"tags": ["O", "O"], "label": "b"}]
        assert row.note == "every label: b"
    for row in SingleWords(hidden_size=2).rows([example("a", "O")], [{"tokens": ["a"]}]):
        assert row.predictions == [{"tags": ["O"]}] and row.note == ""
    assert most_frequent([]) is None


def test_the_network_does_no_better_than_counting_on_words_it_saw():
    train, test = random_sentences(0, 300), random_sentences(1, 200)
    counted, network = SingleWords().rows(train, train)
    assert accuracy(train, counted.predictions) == pytest.approx(best_by_hand(train))
    # the network reaches the bound here, and nothing that sees single words passes it
    assert 0.999 * best_by_hand(train) <= accuracy(train, network.predictions) <= best_by_hand(train) + 1e-12
    counted, network = SingleWords().rows(train, test)
    assert abs(accuracy(test, network.predictions) - accuracy(test, counted.predictions)) < 0.03


def best_by_hand(sentences: list[dict]) -> float:
    counts: dict[str, Counter] = {}
    for sentence in sentences:
        for word, tag in zip(sentence["tokens"], sentence["tags"], strict=True):
            counts.setdefault(word, Counter())[tag] += 1
    return sum(max(c.values()) for c in counts.values()) / sum(c.total() for c in counts.values())


def test_the_network_learns_the_shares_of_each_word():
    words, counts = count_tags(random_sentences(2, 300), "ABCD")
    counts[0] = counts.sum(0)
    assert len(words) == 30 and counts.shape == (31, 4)
    p = np.exp(FeedForward().fit(counts).log_softmax())
    shares = counts / counts.sum(1, keepdims=True)
    often = counts.sum(1) >= 20
    assert often.sum() > 10
    np.testing.assert_allclose(p[often], shares[often], atol=0.02)


def test_size_and_determinism():
    train = random_sentences(3, 40)
    words = {w for e in train for w in e["tokens"]}
    first, again = (list(SingleWords(hidden_size=7).rows(train, random_sentences(4, 40)))[1] for _ in range(2))
    assert first == again
    assert first.size == len(words) * 7 + 7 + 4 * 7 + 4
    assert first.unit == "parameters"


def test_an_unseen_word_is_answered_from_the_words_seen_once():
    train = [example("of of of of of of of Rome Oslo Bern", "O O O O O O O B B B")]
    counted, network = SingleWords().rows(train, [{"tokens": ["Riga", "of"]}])
    assert counted.predictions == [{"tags": ["O", "O"]}]
    assert network.predictions == [{"tags": ["B", "O"]}]


CITIES = {"English": ["Taipei", "Tainan", "Oslo", "Kyoto"], "Chinese": ["台北", "台南", "上海", "东京"]}
DATES = {"English": ["August 2nd", "June 30th", "May 1st"], "Chinese": ["八月 二日", "六月 三十日", "五月 一日"]}


def travels(language: str) -> list[dict]:
    """Every city is arrived in as often as it is left."""
    sentences = []
    for city, date in product(CITIES[language], DATES[language]):
        if language == "English":
            sentences.append(example(f"arrive in {city} on {date}", "O O B-to O B-month B-day"))
            sentences.append(example(f"leave {city} on {date}", "O B-from O B-month B-day"))
        else:
            sentences.append(example(f"{date} 到达 {city}", "B-month B-day O B-to"))
            sentences.append(example(f"{date} 离开 {city}", "B-month B-day O B-from"))
    return sentences


@pytest.mark.parametrize("language", ["English", "Chinese"])
def test_single_words_cannot_tell_arriving_from_leaving(language):
    sentences = travels(language)
    for row in SingleWords().rows(sentences, sentences):
        right = Counter()
        said: dict[str, set[str]] = {}
        for sentence, answer in zip(sentences, row.predictions, strict=True):
            for word, tag, guess in zip(sentence["tokens"], sentence["tags"], answer["tags"], strict=True):
                if word in CITIES[language]:
                    right[tag == guess] += 1
                    said.setdefault(word, set()).add(guess)
                else:
                    assert tag == guess
        assert right[True] == right[False] == len(sentences) / 2  # chance, of two slots
        assert all(len(tags) == 1 and tags <= {"B-to", "B-from"} for tags in said.values())


def test_the_network_is_undecided_about_the_city():
    words, counts = count_tags(travels("English"), ["B-day", "B-from", "B-month", "B-to", "O"])
    counts[0] = 1
    log_p = FeedForward().fit(counts).log_softmax()
    for city in CITIES["English"]:
        assert log_p[words[city], [1, 3]] == pytest.approx([math.log(0.5)] * 2, abs=0.02)


def test_empty_sentences_only():
    rows = list(SingleWords(hidden_size=3).rows([example("", "")], [{"tokens": ["a"]}]))
    assert [row.predictions for row in rows] == [[{"tags": ["O"]}]] * 2


def test_errors():
    baseline = SingleWords()
    with pytest.raises(DataError, match=r"single-words: no training examples, expected at least 1"):
        baseline.rows([], [])
    with pytest.raises(
        DataError, match=r"a.txt:7: the baseline 'single-words' expected 'tags', the example has tokens, "
    ):
        baseline.rows([{"tokens": ["a"], "place": "a.txt:7"}], [])
    with pytest.raises(
        DataError, match=r"training example 1: the baseline 'single-words' expected 'tokens', .* has tags"
    ):
        baseline.rows([{"tags": ["a"]}], [])
    with pytest.raises(DataError, match=r"test example 1: .* expected 'tokens', the example has nothing"):
        baseline.rows([example("a", "O")], [{}])
    with pytest.raises(DataError, match=r"b.txt:3: 1 tags, expected 2, one a token"):
        baseline.rows([example("a b", "O O"), example("a b", "O", place="b.txt:3")], [])
    with pytest.raises(ConfigError, match=r"baseline.hidden_size = 0, expected 1 or more"):
        SingleWords(hidden_size=0)
    with pytest.raises(ConfigError, match=r"did you mean 'hidden_size'"):
        registry.construct("baseline", {"kind": "single-words", "hiden_size": 3})
