"""Tokens and labels: what is a token, which are symbols, vectors and their coverage, round trips."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.codecs.contract import unknown_share
from recurra.data.codecs.file import from_record
from recurra.data.codecs.labels import Labels
from recurra.data.codecs.tokens import Tokens
from recurra.data.words import INVISIBLE
from recurra.errors import CheckpointError, ConfigError, DataError
from recurra.registry import construct
from recurra.types import IGNORED

SENTENCES = st.lists(st.lists(st.sampled_from(["a", "B", "b", "1998", "Être", "字", "<unk>", ""]), max_size=9))


@pytest.fixture
def vectors(tmp_path: Path) -> str:
    path = tmp_path / "vectors.txt"
    path.write_text("the 1 2\neu 3 4\n1990 5 6\nzürich 7 8\n1998 9 10\n", encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("split", "text", "tokens"),
    [
        ("space", "It's  a\tdog.\n", ["It's", "a", "dog."]),
        ("characters", "a 字\n", ["a", " ", "字", "\n"]),
        ("words", "It's a well-known dog.", ["It's", "a", "well", "-", "known", "dog", "."]),
        ("words", "3.5% of 1,000 at 10:30, end.No", ["3.5", "%", "of", "1,000", "at", "10:30", ",", "end", ".", "No"]),
        ("words", "bad.<br /><br />Good <unk> a<b", ["bad", ".", "<br />", "<br />", "Good", "<unk>", "a", "<", "b"]),
        ("words", "酒店很好GOOD，3星", ["酒", "店", "很", "好", "GOOD", "，", "3", "星"]),
        ("words", "«Ça va?» 안녕 naïve", ["«", "Ça", "va", "?", "»", "안녕", "naïve"]),
        ("words", " \n", []),
    ],
)  # fmt: skip
def test_a_text_is_split(split: str, text: str, tokens: list[str]) -> None:
    assert construct("codec", {"kind": "tokens", "split": split}).tokens(text) == tokens


@given(st.text())
def test_words_leave_out_nothing_but_white_space_and_what_says_how_to_set_it(text: str) -> None:
    joined = "".join(Tokens().tokens(text))
    assert re.sub(r"\s", "", joined) == re.sub(r"[\s\u200b]", "", INVISIBLE.sub("", text))


def test_an_examples_own_tokens_are_taken_as_they_are() -> None:
    assert Tokens("characters", lower=True).tokens(["A b", ""]) == ["A b", ""]


@given(SENTENCES.filter(lambda sentences: any(token != "<unk>" for tokens in sentences for token in tokens)))
def test_symbols_are_the_tokens_by_their_frequency(sentences: list[list[str]]) -> None:
    vocabulary = Tokens().fit(sentences)
    counts = Counter(token for tokens in sentences for token in tokens if token != "<unk>")
    assert vocabulary.symbols[0] == "<unk>"
    assert sorted(vocabulary.symbols[1:]) == sorted(counts)
    frequencies = [counts[symbol] for symbol in vocabulary.symbols[1:]]
    assert frequencies == sorted(frequencies, reverse=True)
    for tokens in sentences:
        ids = vocabulary.encode(tokens)
        assert ids.dtype == np.int64 and [vocabulary.symbols[i] for i in ids] == tokens
    again = from_record(vocabulary.record())
    assert (again.symbols, again.record()) == (vocabulary.symbols, vocabulary.record())


def test_case_and_digits() -> None:
    vocabulary = Tokens(lower=True, digits=True).fit([["In", "1998", "in", "2001"]])
    assert vocabulary.symbols == ["<unk>", "0000", "in"]
    assert vocabulary.encode(["IN", "1234", "12"]).tolist() == [2, 1, 0]


def test_rare_tokens_are_unknown() -> None:
    sentences = [["a", "a", "b"], ["b", "c", "a"]]
    assert Tokens(min_count=2).fit(sentences).symbols == ["<unk>", "a", "b"]
    assert Tokens(max_size=2).fit(sentences).symbols == ["<unk>", "a"]
    vocabulary = Tokens(min_count=3).fit(sentences)
    assert unknown_share(vocabulary, [vocabulary.encode(["a", "b", "z", "a"])]) == 0.5
    assert unknown_share(vocabulary, []) == 0.0


def test_before_fit_all_is_unknown() -> None:
    assert Tokens().encode(["a", "<unk>"]).tolist() == [0, 0]


def test_vectors_join_the_symbols(vectors: str) -> None:
    vocabulary = Tokens(vectors=vectors).fit([["The", "EU", "eu", "of", "eu"], ["of", "The", "the", "xx"]])
    assert vocabulary.symbols == ["<unk>", "The", "eu", "of", "EU", "the", "xx", "1990", "zürich", "1998"]
    assert vocabulary.vectors is not None and vocabulary.vectors.dtype == np.float32
    rows = [[0, 0], [1, 2], [3, 4], [0, 0], [3, 4], [1, 2], [0, 0], [5, 6], [7, 8], [9, 10]]
    assert vocabulary.vectors.tolist() == rows
    assert vocabulary.coverage == (4 / 6, 6 / 9)
    ids = vocabulary.encode(["ZÜRICH", "THE", "EU", "Of", "nowhere"])
    assert [vocabulary.symbols[i] for i in ids] == ["zürich", "the", "EU", "of", "<unk>"], "lower case before unknown"


def test_the_words_of_vectors_are_looked_up_as_tokens_are(vectors: str) -> None:
    vocabulary = Tokens(lower=True, digits=True, vectors=vectors, min_count=2).fit([["The", "2020", "x", "EU"]])
    assert vocabulary.symbols == ["<unk>", "the", "eu", "0000", "zürich"]
    assert vocabulary.vectors is not None
    assert vocabulary.vectors[3].tolist() == [5, 6], "the first of several"
    assert vocabulary.coverage == (3 / 4, 3 / 4)


def test_a_saved_vocabulary_needs_no_vectors(vectors: str) -> None:
    vocabulary = Tokens(vectors=vectors).fit([["The", "x"]])
    Path(vectors).unlink()
    again = from_record(vocabulary.record())
    assert again.encode(["The", "Zürich", "X"]).tolist() == vocabulary.encode(["The", "Zürich", "X"]).tolist()
    assert again.vectors is None


@pytest.mark.parametrize(
    ("settings", "sentences", "message"),
    [
        ({}, [[], []], r"the training examples hold no token\. Is the right field read as text"),
        ({}, [["<unk>"]], r"the training examples hold only <unk>\. Is"),
        ({"min_count": 3}, [["a", "b"]], r"all 2 distinct tokens are unknown, seen fewer than 3 times\. Lower voc"),
    ],
)
def test_nothing_to_learn_from(settings: dict[str, int], sentences: list[list[str]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Tokens(**settings).fit(sentences)


def test_settings_out_of_range() -> None:
    with pytest.raises(ConfigError, match=r"vocabulary.min_count = 0, expected 1 or more"):
        Tokens(min_count=0)
    with pytest.raises(ConfigError, match=r"vocabulary.max_size = 1, expected 2 or more \(<unk>, a token\)"):
        Tokens(max_size=1)


@given(
    st.lists(st.lists(st.sampled_from("OBISE"))).filter(
        lambda found: len({name for names in found for name in names}) > 1
    )
)
def test_labels_round_trip(sequences: list[list[str]]) -> None:
    labels = Labels().fit(sequences)
    counts = Counter(name for names in sequences for name in names)
    assert labels.symbols == sorted(counts, key=lambda name: (-counts[name], name))
    for names in sequences:
        assert labels.decode(labels.encode(names)) == names
    assert from_record(labels.record()).symbols == labels.symbols


def test_labels_that_are_none() -> None:
    labels = Labels().fit([["O", "O", "B"]])
    assert labels.encode(["B", "never", "O"]).tolist() == [1, IGNORED, 0]
    for number in (-1, 2):
        with pytest.raises(DataError, match=rf"label number {number} is outside the 2 labels\. Is it another run's"):
            labels.decode([0, number])
    with pytest.raises(DataError, match=r"hold no label\. Are they labelled, and is the right field read"):
        Labels().fit([[], []])
    with pytest.raises(CheckpointError, match="distinct names"):
        Labels().take(["a", "a"])
    with pytest.raises(CheckpointError, match="<unk> and then distinct tokens"):
        Tokens().take([])


@pytest.mark.parametrize(
    ("split", "text"),
    [("space", "T UW K"), ("characters", "你好 שלום é"), ("words", "It's a dog, isn't it (yes)?")],
)
def test_texts_come_back(split: str, text: str) -> None:
    vocabulary = construct("codec", {"kind": "tokens", "split": split})
    tokens = vocabulary.tokens(text)
    assert vocabulary.fit([text, ["further", "tokens"]]) is vocabulary
    assert {*tokens, "further", "tokens", "<unk>"} == set(vocabulary.symbols)
    one, other = (vocabulary.encode(value) for value in (text, tokens))
    assert np.array_equal(one, other) and np.array_equal(one, vocabulary.encode(tokens))
    assert vocabulary.decode(one) == text and vocabulary.pieces(one) == tokens
    assert vocabulary.pieces([0]) == ["<unk>"] and vocabulary.decode([]) == ""
    for write in (vocabulary.decode, vocabulary.pieces):
        with pytest.raises(DataError, match=r"symbol number -1 is outside the vocabulary"):
            write([-1])
