"""Codecs of labelled sequences: every field's arrays, spelling, unknown labels, and examples that do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recurra.data.codecs.file import load, save
from recurra.data.codecs.spelling import LONGEST_WORD
from recurra.data.fields import Codecs
from recurra.errors import ConfigError, DataError, UnknownName
from recurra.types import IGNORED, Field

TRAIN: list[dict[str, Any]] = [
    {"tokens": ["Ann", "saw", "Bo"], "tags": ["B", "O", "B"], "label": "see", "place": "t:1"},
    {"tokens": ["Bo", "ran"], "tags": ["B", "O"], "label": "run", "place": "t:5"},
    {"tokens": [], "tags": [], "label": "run", "place": "t:8"},
]
TOKENS = {"kind": "tokens"}
LABELS = {
    "tags": Field(("tags",), {"kind": "tags"}, along=True, learned=True),
    "label": Field(("label",), {"kind": "label"}, learned=True),
    "labels": Field(("labels",), {"kind": "label-set"}, learned=True, record="label"),
}


def fields(learned: list[str], characters: bool = True) -> dict[str, Field]:
    spelled = {"characters": Field((), {"kind": "spelling"}, along=True)} if characters else {}
    return {"input": Field(("tokens", "text"), TOKENS), **spelled, **{name: LABELS[name] for name in learned}}


def fitted(learned: list[str], examples: list[dict[str, Any]] = TRAIN, characters: bool = True) -> Codecs:
    return Codecs(fields(learned, characters)).fit(examples)


def test_every_field_is_encoded() -> None:
    encoder = fitted(["tags", "label"])
    assert list(encoder.saved) == ["input", "characters", "tags", "label"]
    for example in TRAIN:
        encoded = encoder.encode(example)
        symbols = {name: vocabulary.symbols for name, vocabulary in encoder.saved.items()}
        assert [symbols["input"][i] for i in encoded["input"]] == example["tokens"]
        assert encoded["characters"].tolist() == example["tokens"]
        assert [symbols["tags"][i] for i in encoded["tags"]] == example["tags"]
        assert symbols["label"][encoded["label"]] == example["label"]
        assert encoded["place"] == example["place"]
        assert encoded["input"].dtype == encoded["tags"].dtype == encoded["label"].dtype == np.int64


def test_what_nobody_asked_for_is_left_out() -> None:
    assert fitted(["tags"], characters=False).encode(TRAIN[0]).keys() == {"input", "tags", "place"}
    assert fitted([], characters=False).encode(TRAIN[0]).keys() == {"input", "place"}


def test_an_example_to_be_labelled() -> None:
    encoded = fitted(["tags", "label"]).encode({"text": "Ann fled."})
    assert encoded.keys() == {"input", "characters", "place"}
    assert (encoded["characters"].tolist(), (encoded["input"] == 0).tolist()) == (
        ["Ann", "fled", "."],
        [False, True, True],
    )


def test_unknown_labels_are_ignored_and_counted() -> None:
    encoder = fitted(["tags", "label"])
    encoded = encoder.encode({"tokens": ["Bo", "x"], "tags": ["NEW", "O"], "label": "fly"})
    assert encoded["tags"][0] == encoded["label"] == IGNORED and encoded["tags"][1] >= 0
    shares = encoder.unknown_shares([encoded, encoder.encode(TRAIN[1])])
    assert shares == {"input": 0.25, "tags": 0.25, "label": 0.5}
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
    assert encoder.encode({"text": "a", "labels": ["new", "x"]})["labels"].tolist() == [1, 0]
    only = [{"text": "a b", "labels": ["x"]}, {"text": "b", "labels": []}]
    assert fitted(["labels"], only).encode(only[1])["labels"].tolist() == [0], "one label may be there or not"


def test_words_are_spelled() -> None:
    encoder = fitted(["tags"])
    spell, symbols = encoder["characters"].spell, encoder["characters"].symbols

    def written(word: str) -> str:
        return "".join(symbols[number] for number in spell(word))

    assert spell("Ann") is spell("Ann"), "each word once"
    for word in ("Ann", "saw", "Bo"):
        assert written(word) == word
    assert spell("").tolist() == [0]
    assert spell("A§").tolist() == [symbols.index("A"), 0]
    long = "A" * 200 + "n" * 200
    assert written(long) == "A" * (LONGEST_WORD // 2) + "n" * (LONGEST_WORD // 2)
    assert "characters" not in fitted(["tags"], characters=False)


def test_a_saved_encoder_encodes_the_same(tmp_path: Path) -> None:
    encoder = fitted(["tags", "label"])
    save(encoder.saved, tmp_path / "v")
    again = Codecs(fields(["tags", "label"]), known=load(tmp_path / "v"))
    for example in [*TRAIN, {"tokens": ["Ann", "?"], "tags": ["X", "O"], "label": "?"}]:
        one, other = encoder.encode(example), again.encode(example)
        assert one.keys() == other.keys()
        assert all(np.array_equal(one[name], other[name]) for name in one)
        spells = [each["characters"].spell for each in (encoder, again)]
        assert all(np.array_equal(spells[0](word), spells[1](word)) for word in example["tokens"])


def test_a_sentence_of_100_000_tokens() -> None:
    long = {"tokens": ["Ann", "x"] * 50_000, "tags": ["B", "O"] * 50_000}
    encoded = fitted(["tags"]).encode(long)
    assert len(encoded["input"]) == len(encoded["tags"]) == 100_000
    assert (encoded["input"] == 0).sum() == 50_000


def test_vectors_pass_through(tmp_path: Path) -> None:
    assert fitted(["tags"])["input"].vectors is None
    path = tmp_path / "vectors.txt"
    path.write_text("bo 1 2\n")
    encoder = Codecs(fields(["tags"], False), {"input": {**TOKENS, "vectors": str(path)}}).fit(TRAIN)
    assert encoder["input"].vectors[encoder.encode(TRAIN[1])["input"][0]].tolist() == [1, 2]


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
            fitted(["tags"], [{"tokens": words, "tags": ["O", "B"]}])


def test_more_tags_than_tokens() -> None:
    with pytest.raises(DataError, match=r"^here:1: 1 tags, expected one for each of 2 tokens\. Is the text split"):
        fitted(["tags"]).encode({"text": "Ann ran", "tags": ["B"], "place": "here:1"})


@pytest.mark.parametrize(("kind", "learned"), [("subwords", ["tags"]), ("subwords", []), ("character", [])])
def test_symbols_that_are_no_tokens(kind: str, learned: list[str]) -> None:
    along = "tags" if learned else "characters"
    with pytest.raises(
        ConfigError,
        match=rf"^vocabulary.kind = '{kind}' has symbols that are no tokens, but {along} go along .* kind = \"tokens\"",
    ):
        Codecs(fields(learned, not learned), {"input": {"kind": kind}})


def test_tags_of_characters() -> None:
    made = Codecs(fields(["tags"], False), {"input": {"kind": "character"}})
    encoded = made.fit([{"text": "ab", "tags": ["B", "I"]}]).encode({"text": "ba", "tags": ["I", "B"]})
    assert len(encoded["input"]) == len(encoded["tags"]) == 2


def test_a_kind_nobody_registered() -> None:
    with pytest.raises(UnknownName, match="did you mean 'tokens'"):
        Codecs(fields(["tags"]), {"input": {"kind": "token"}})


def test_neither_tokens_nor_text() -> None:
    with pytest.raises(DataError, match=r"^a.csv:3: no tokens or text in this example, only label\. Name a reader"):
        fitted(["tags"]).encode({"place": "a.csv:3", "label": "x"})


def test_two_fields_of_one_codec_have_one_setting() -> None:
    both = {"input": Field(("text",), TOKENS), "target": Field(("target",), TOKENS, record="input")}
    made = Codecs(both)
    assert made["input"] is made["target"] and list(made.saved) == ["input"]
    with pytest.raises(ConfigError, match=r"^the fields input and target have one codec, but the settings .*: 'byte'"):
        Codecs(both, {"target": {"kind": "byte"}})


SERIES: dict[str, Field] = {
    "input": Field(("series",), {"kind": "scaled"}),
    "hour": Field(("hour",), {"kind": "integers"}, along=True),
    "goal": Field(("goal",), {"kind": "vectors"}, learned=True),
}


def test_series_of_numbers(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    examples = [
        {"series": random.normal(3, 2, (n, 2)), "hour": range(n), "goal": float(n), "place": f"s:{n}"} for n in (3, 5)
    ]
    made = Codecs(SERIES).fit(examples)
    assert list(made.saved) == ["input", "goal"], "whole numbers as they are have nothing to be saved"
    encoded = made.encode_all(examples)
    rows = np.concatenate([each["input"] for each in encoded])
    assert rows.dtype == np.float32 and np.allclose(rows.mean(0), 0, atol=1e-6) and np.allclose(rows.std(0), 1)
    for example, each in zip(examples, encoded, strict=True):
        assert np.allclose(made.decode("input", each["input"]), example["series"], atol=1e-6)
        assert (made.decode("goal", each["goal"]), each["goal"].shape) == (example["goal"], (1,))
    save(made.saved, tmp_path / "codecs.json")
    again = Codecs(SERIES, known=load(tmp_path / "codecs.json"))
    for one, other in zip(encoded, again.encode_all(examples), strict=True):
        assert all(np.array_equal(one[name], other[name]) for name in one)
    layouts = made.layouts
    assert (layouts["input"].shape, layouts["goal"].shape, layouts["hour"].along) == ((None, 2), (1,), True)
    assert made.unknown_shares(encoded) == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"series": np.zeros((2, 3))},
            r"^s:1: an array of float64 and the shape \[2, 3\], expected 2 numbers a",
        ),
        (
            {"series": np.zeros(2)},
            r"^s:1: an array of float64 and the shape \[2\], expected 2 numbers a step",
        ),
        ({"series": [["a", "b"]]}, r"^s:1: an array of str.* and the shape \[1, 2\], expected numbers\."),
        ({"series": np.array([[1, np.nan]])}, r"^s:1: 1 of 2 numbers are not finite\. Fill the gaps, or leave"),
        ({"hour": [1]}, r"^s:1: 1 hour, expected one for each of 2 tokens\."),
        ({"hour": [0.5, 1]}, r"^s:1: an array of float64 and the shape \[2\], expected whole numbers, one a step"),
    ],
)
def test_series_that_do_not_fit(change: dict[str, Any], message: str) -> None:
    example = {"series": np.ones((2, 2)), "hour": [1, 2], "goal": 1.0, "place": "s:1"}
    made = Codecs(SERIES).fit([example])
    with pytest.raises(DataError, match=message):
        made.encode({**example, **change})


@pytest.mark.parametrize("by", ["deviation", "quartiles"])
def test_scaling_is_learned_from_what_was_seen(by: str) -> None:
    random = np.random.default_rng(0)
    fields = {"input": Field(("series",), {"kind": "scaled", "by": by})}
    whole, seen = random.normal(3, 2, (60, 2)), random.integers(0, 2, (60, 2))
    codec = Codecs(fields).fit([{"series": np.where(seen, whole, 1e6), "seen": seen, "place": "s:1"}])["input"]
    for k in range(2):
        alone = Codecs(fields).fit([{"series": whole[seen[:, k] > 0, k : k + 1], "place": "s:1"}])["input"]
        assert np.isclose(codec.mean[k], alone.mean[0], rtol=1e-12)
        assert np.isclose(codec.spread[k], alone.spread[0], rtol=1e-12)
    never = np.stack((np.ones(60), np.zeros(60)), 1)
    with pytest.raises(DataError, match=r"number 2 of the 2 of a step was never measured in the training data\. Leave"):
        Codecs(fields).fit([{"series": whole, "seen": never, "place": "s:1"}])
    with pytest.raises(DataError, match=r"s:1: what was seen has the shape \[60\], the values \[60, 2\], expected as"):
        Codecs(fields).fit([{"series": whole, "seen": never[:, 0], "place": "s:1"}])
