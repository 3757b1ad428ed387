"""Encoders: every field's numbers, spelling, unknown labels, and examples that do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recurra.data.encode import IGNORED, LONGEST_WORD, Encoder
from recurra.data.codecs.file import load, save
from recurra.errors import ConfigError, DataError, UnknownName

TRAIN: list[dict[str, Any]] = [
    {"tokens": ["Ann", "saw", "Bo"], "tags": ["B", "O", "B"], "label": "see", "place": "t:1"},
    {"tokens": ["Bo", "ran"], "tags": ["B", "O"], "label": "run", "place": "t:5"},
    {"tokens": [], "tags": [], "label": "run", "place": "t:8"},
]
TOKENS = {"kind": "tokens"}


def fitted(fields: list[str], examples: list[dict[str, Any]] = TRAIN, characters: bool = True) -> Encoder:
    return Encoder.make(TOKENS, characters, fields).fit(examples)


def test_every_field_is_encoded() -> None:
    encoder = fitted(["tags", "label"])
    assert list(encoder.vocabularies) == ["input", "characters", "tags", "label"]
    for example in TRAIN:
        encoded = encoder.encode(example)
        symbols = {name: vocabulary.symbols for name, vocabulary in encoder.vocabularies.items()}
        assert [symbols["input"][i] for i in encoded["input"]] == example["tokens"] == encoded["words"]
        assert [symbols["tags"][i] for i in encoded["tags"]] == example["tags"]
        assert symbols["label"][encoded["label"]] == example["label"]
        assert encoded["place"] == example["place"]
        assert encoded["input"].dtype == encoded["tags"].dtype == encoded["label"].dtype == np.int64


def test_what_nobody_asked_for_is_left_out() -> None:
    assert fitted(["tags"], characters=False).encode(TRAIN[0]).keys() == {"input", "tags", "place"}
    assert fitted([], characters=False).encode(TRAIN[0]).keys() == {"input", "place"}


def test_an_example_to_be_labelled() -> None:
    encoded = fitted(["tags", "label"]).encode({"text": "Ann fled."})
    assert encoded.keys() == {"input", "words", "place"}
    assert (encoded["words"], (encoded["input"] == 0).tolist()) == (["Ann", "fled", "."], [False, True, True])


def test_unknown_labels_are_ignored_and_counted() -> None:
    encoder = fitted(["tags", "label"])
    encoded = encoder.encode({"tokens": ["Bo", "x"], "tags": ["NEW", "O"], "label": "fly"})
    assert encoded["tags"][0] == encoded["label"] == IGNORED and encoded["tags"][1] >= 0
    shares = encoder.unknown_shares([encoded, encoder.encode(TRAIN[1])])
    assert shares == {"input": 0.25, "tags": 0.25, "label": 0.5}
    assert encoder.label_counts([encoded, *map(encoder.encode, TRAIN)]) == [2, 1]
    assert encoder.unknown_shares([]) == {}


def test_several_labels() -> None:
    examples: list[dict[str, Any]] = [
        {"text": "a b", "labels": ["y", "x"]},
        {"text": "b", "labels": []},
        {"text": "c", "labels": ["x"]},
    ]
    encoder = fitted(["labels"], examples)
    encoded = [encoder.encode(example) for example in examples]
    assert [e["labels"].tolist() for e in encoded] == [[1, 1], [0, 0], [1, 0]]
    assert encoded[0]["labels"].dtype == np.float32
    assert encoder.label_counts(encoded) == [2, 1]
    assert encoder.encode({"text": "a", "labels": ["new", "x"]})["labels"].tolist() == [1, 0]
    only = [{"text": "a b", "labels": ["x"]}, {"text": "b", "labels": []}]
    assert fitted(["labels"], only).encode(only[1])["labels"].tolist() == [0], "one label may be there or not"


def test_words_are_spelled() -> None:
    encoder = fitted(["tags"])
    spell, characters = encoder.spell, encoder.vocabularies["characters"]
    assert spell is not None and spell("Ann") is spell("Ann"), "each word once"
    for word in ("Ann", "saw", "Bo"):
        assert characters.decode(spell(word)) == word
    assert spell("").tolist() == [0]
    assert spell("A§").tolist() == [characters.symbols.index("A"), 0]
    long = "A" * 200 + "n" * 200
    assert characters.decode(spell(long)) == "A" * (LONGEST_WORD // 2) + "n" * (LONGEST_WORD // 2)
    assert fitted(["tags"], characters=False).spell is None


def test_a_saved_encoder_encodes_the_same(tmp_path: Path) -> None:
    encoder = fitted(["tags", "label"])
    save_all(encoder.vocabularies, tmp_path / "v")
    again = Encoder(load_all(tmp_path / "v"))
    assert again.spell is not None and encoder.spell is not None
    for example in [*TRAIN, {"tokens": ["Ann", "?"], "tags": ["X", "O"], "label": "?"}]:
        one, other = encoder.encode(example), again.encode(example)
        assert one.keys() == other.keys()
        assert all(np.array_equal(one[name], other[name]) for name in one)
        assert all(np.array_equal(encoder.spell(word), again.spell(word)) for word in example["tokens"])


def test_a_sentence_of_100_000_tokens() -> None:
    long = {"tokens": ["Ann", "x"] * 50_000, "tags": ["B", "O"] * 50_000}
    encoded = fitted(["tags"]).encode(long)
    assert len(encoded["input"]) == len(encoded["tags"]) == 100_000
    assert (encoded["input"] == 0).sum() == 50_000


def test_vectors_pass_through(tmp_path: Path) -> None:
    assert fitted(["tags"]).vectors is None
    path = tmp_path / "vectors.txt"
    path.write_text("bo 1 2\n")
    encoder = Encoder.make({**TOKENS, "vectors": str(path)}, False, ["tags"]).fit(TRAIN)
    assert encoder.vectors is not None and encoder.vectors[encoder.encode(TRAIN[1])["input"][0]].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("fields", "change", "message"),
    [
        (["tags"], {"tags": None}, r"^t:5: no tags in this training example, only tokens, label\. Name a reader that"),
        (["labels"], {}, r"^t:1: no labels in this training example, only tokens, tags, label\."),
        (["tags"], {"tags": ["B"] * 2}, r"every tag of the training examples is 'B': nothing to learn\. Expected two"),
        (["label"], {"label": "see"}, r"every label of the training examples is 'see': nothing"),
    ],
)
def test_training_examples_that_do_not_serve(fields: list[str], change: dict[str, Any], message: str) -> None:
    first = TRAIN[0] if "tags" not in change or change["tags"] is None else {**TRAIN[0], "tags": ["B"] * 3}
    second = {name: value for name, value in {**TRAIN[1], **change}.items() if value is not None}
    with pytest.raises(DataError, match=message):
        fitted(fields, [first, second])


def test_nothing_to_spell() -> None:
    for words, letters in ((["b", "bb"], r"one character, 'b'"), (["", ""], "none")):
        with pytest.raises(DataError, match=rf"written with {letters}: no spelling .* --set embedder.spelling=none"):
            Encoder.make(TOKENS, True, ["tags"]).fit([{"tokens": words, "tags": ["O", "B"]}])


def test_more_tags_than_tokens() -> None:
    with pytest.raises(DataError, match=r"^here:1: 1 tags, expected one for each of 2 tokens\. Is the text split"):
        fitted(["tags"]).encode({"text": "Ann ran", "tags": ["B"], "place": "here:1"})


def test_a_vocabulary_of_one_long_text() -> None:
    with pytest.raises(ConfigError, match=r"vocabulary.kind = 'character' is not for examples .* kind = \"tokens\""):
        Encoder.make({"kind": "character"}, False, ["tags"])
    with pytest.raises(UnknownName, match="did you mean 'tokens'"):
        Encoder.make({"kind": "token"}, False, ["tags"])
