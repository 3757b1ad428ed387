"""The texts of labelled examples as one long text: the same parts as the labels', a line each, nothing of the test."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recurra import registry
from recurra.config import Data
from recurra.data.codecs.file import from_record
from recurra.data.codecs.word import Word
from recurra.data.parts import gather, gives_examples, read, text_of
from recurra.data.readers.text import TextReader
from recurra.errors import DataError


def reader(kind: str, **settings: object) -> Any:
    return registry.construct("reader", {"kind": kind, **settings})


def joined(data: Data, reader: Any) -> Any:
    """The parts of one long text, as texts."""
    found = gather(data, reader, "time")
    return replace(found, **{part: text_of(getattr(found, part)) for part in ("train", "valid", "test")})


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.jsonl"
    rows = ({"text": f"Film {k} was\n{'good' if k % 2 else 'bad'}.", "label": str(k % 2)} for k in range(40))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_parts_are_those_of_the_labelled_examples(reviews: Path) -> None:
    data = Data(train=(str(reviews),), valid_fraction=0.1, test_fraction=0.2)
    corpus, parts = joined(data, reader("jsonl")), gather(data, reader("jsonl"), "shuffle")
    for part in ("train", "valid", "test"):
        expected = [example["text"].replace("\n", " ") for example in getattr(parts, part)]
        assert getattr(corpus, part).splitlines() == expected
        assert getattr(corpus, part).endswith("\n")
    assert (corpus.split, corpus.lines_of) == (parts.split, "texts")
    assert "The texts of the 28 training examples, a line each, make one long text" in corpus.notes[0]


def test_no_text_of_the_test_is_read_whatever_validates(reviews: Path) -> None:
    """A classifier cuts off 10 % to validate, a language model 5 %: the test is the same."""
    few, many = (Data(train=(str(reviews),), valid_fraction=share, test_fraction=0.2) for share in (0.05, 0.3))
    model, labels = joined(few, reader("jsonl")), gather(many, reader("jsonl"), "shuffle")
    seen = set((model.train + model.valid).splitlines())
    assert model.test.splitlines() == [example["text"].replace("\n", " ") for example in labels.test]
    assert not seen & set(model.test.splitlines())


def test_auto_finds_the_reader(reviews: Path) -> None:
    corpus = joined(Data(train=(str(reviews),)), reader("auto"))
    assert corpus.reader == {"kind": "jsonl", "encoding": "utf-8"}


def test_tokens_are_parted_by_blanks_and_characters_by_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text("New B\nYork I\n\nRome B\n\n" * 10, encoding="utf-8")
    corpus = joined(Data(train=(str(path),)), reader("columns"))
    assert set(corpus.train.splitlines()) == {"New York", "Rome"}
    assert corpus.lines_of == "tokens"
    path.write_text("今 S\n天 S\n\n好 S\n\n" * 10, encoding="utf-8")
    corpus = joined(Data(train=(str(path),)), reader("columns"))
    assert set(corpus.train.splitlines()) == {"今天", "好"}
    assert text_of(read([path], reader("columns"), "time")).splitlines()[:2] == ["今天", "好"]


def test_phrases_inside_of_trees_are_no_lines(tmp_path: Path) -> None:
    path = tmp_path / "trees.txt"
    path.write_text("(3 (2 It) (4 (2 's) (4 good)))\n" * 10, encoding="utf-8")
    corpus = joined(Data(train=(str(path),)), reader("trees", phrases=True))
    assert set(corpus.train.splitlines()) == {"It 's good"}


def test_plain_text_is_read_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one\ntwo\n" * 50, encoding="utf-8")
    corpus = joined(Data(train=(str(path),)), TextReader())
    assert corpus.train + corpus.valid + corpus.test == "one\ntwo\n" * 50
    assert corpus.lines_of is None
    assert text_of(read([path], TextReader(), "time")) == "one\ntwo\n" * 50
    assert not gives_examples(TextReader())


def test_pairs_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("eins\tone\n" * 20, encoding="utf-8")
    with pytest.raises(
        DataError, match=r"a\.tsv:1: a pair of a source and a target, expected a text\. To write targets"
    ):
        joined(Data(train=(str(path),)), reader("pairs"))


def test_words_of_a_text_are_the_tokens_of_an_example() -> None:
    text = "It's 3,50 <br /> good!\nIn 1999, too"
    tokens = registry.construct("codec", {"kind": "tokens", "split": "words", "lower": True, "digits": True})
    words = Word(split="words", lower=True, digits=True).fit([text])
    first, second = (tokens._keys(tokens.tokens(line)) for line in text.split("\n"))
    assert [words.symbols[i] for i in words.encode(text)] == [*first, "<eos>", *second]
    assert {"<br />", "it's", "0,00", "0000"} <= set(words.symbols)
    assert words.decode(words.encode(text)) == "it's 0,00 <br /> good!\nin 0000, too"
    again = from_record(words.record())
    assert (again.split, again.digits, again.symbols) == ("words", True, words.symbols)
    assert Word(digits=True).fit(["a 12 b"]).symbols == ["00", "a", "b", "<eos>", "<unk>"]
