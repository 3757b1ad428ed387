"""N-grams of texts, against scikit-learn's counts."""

from __future__ import annotations

import random

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer

from recurra.data.codecs.ngrams import Ngrams
from recurra.errors import CheckpointError, ConfigError, DataError


def test_counts_those_of_scikit_learn() -> None:
    draw = random.Random(3)
    texts = [[draw.choice("abcDé中") for _ in range(draw.randint(0, 9))] for _ in range(40)]
    codec = Ngrams(order=3, min_texts=2).fit(texts)
    oracle = CountVectorizer(tokenizer=str.split, token_pattern=None, lowercase=False, ngram_range=(1, 3), min_df=2)
    table = oracle.fit_transform(map(" ".join, texts)).toarray()
    assert set(codec.known) == set(oracle.vocabulary_) and codec.size == table.shape[1]
    for text, row in zip(texts, table, strict=True):
        array = codec.encode(text)
        assert {codec.known[k]: n for k, n in array.tolist()} == {
            w: row[c] for w, c in oracle.vocabulary_.items() if row[c]
        }
        assert sorted(codec.decode(array)) == sorted(w for w, c in oracle.vocabulary_.items() for _ in range(row[c]))
    held = (table > 0).sum(0)
    assert [held[oracle.vocabulary_[w]] for w in codec.known] == sorted(held, reverse=True)
    assert Ngrams(order=3, max_size=5).fit(texts).known == codec.known[:5]


def test_a_batch_is_padded_with_what_counts_nothing() -> None:
    codec = Ngrams().fit([["a", "b"], ["a", "b"]])
    fields = codec.batched([codec.encode(["b", "a", "a"]), codec.encode(["x"])], 3)
    assert codec.known == ["a", "a b", "b"]
    assert fields["ngrams"].tolist() == [[0, 2], [3, 3]] and fields["ngram_counts"].tolist() == [[2, 1], [1, 1]]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"ngrams.order = 0, expected 1 or more"):
        Ngrams(order=0)
    with pytest.raises(DataError, match=r"no word stands in 2 of the 2 training texts"):
        Ngrams().fit([["a"], ["b"]])
    with pytest.raises(CheckpointError, match="distinct"):
        Ngrams().take(["a", "a"])
    with pytest.raises(DataError, match="outside the vocabulary"):
        Ngrams().fit([["a"], ["a"]]).decode(np.array([[1, 1]]))
