"""Pairs as numbers: both sides, one vocabulary or two, several targets, end marks, segments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recurra.data.codecs.file import load, records_of, save
from recurra.data.fields import Codecs
from recurra.data.mark import mark_of
from recurra.data.sides import has_empty_side, source_of, targets_of
from recurra.errors import ConfigError, DataError
from recurra.types import Field
from recurra.workflow.material import one_each

TRAIN: list[dict[str, Any]] = [
    {"source": "a dog runs", "target": "ein Hund rennt .", "place": "t:1"},
    {"source": "a cat", "targets": ["eine Katze", "ein Kater"], "place": "t:2"},
    {"source": ["the", "dog"], "target": ["der", "Hund"], "place": "t:3"},
]
TOKENS = {"kind": "tokens", "split": "space"}
CHARACTERS = {"kind": "tokens", "split": "characters"}
SUBWORDS = {"kind": "subwords", "size": 300}


def fields(joint: bool = False) -> dict[str, Field]:
    record = "input" if joint else None
    return {
        "input": Field(("source", "tokens", "text"), {"kind": "tokens"}, ended=True),
        "target": Field(("target",), {"kind": "tokens"}, learned=True, ended=True, record=record, several="targets"),
        "segments": Field(("segments",), {"kind": "integers"}, along=True),
    }


def new_pair_codecs(vocabulary: dict[str, Any], target: dict[str, Any] | None = None, joint: bool = False) -> Codecs:
    return Codecs(fields(joint), {"input": vocabulary, "target": target or vocabulary})


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("vocabulary", [TOKENS, SUBWORDS])
@pytest.mark.parametrize("joint", [False, True])
def test_both_sides_come_back(vocabulary: dict[str, Any], joint: bool) -> None:
    encoder = new_pair_codecs(vocabulary, joint=joint).fit(TRAIN)
    for example in one_each(TRAIN, fields()):
        encoded = encoder.encode(example)
        assert encoded.keys() == {"input", "target", "place"} and encoded["place"] == example["place"]
        for field, side in (("input", example["source"]), ("target", example["target"])):
            ids, symbols = encoded[field], encoder[field]
            assert ids.dtype == np.int64 and (ids[-1], (ids[:-1] < len(symbols)).all()) == (len(symbols), True)
            assert ids[-1] == encoder.ends[field]
            assert symbols.decode(ids[:-1]) == (side if isinstance(side, str) else " ".join(side))
        assert encoder.decode("target", encoded["target"]) == encoder["target"].decode(encoded["target"][:-1])
    assert (encoder["input"] is encoder["target"]) == joint


def test_a_joint_vocabulary_knows_both_sides() -> None:
    alone = new_pair_codecs(TOKENS).fit(TRAIN)
    assert set(alone["input"].symbols) == {"<unk>", "a", "dog", "runs", "cat", "the"}
    assert set(alone["target"].symbols) == {"<unk>", "ein", "Hund", "rennt", ".", "eine", "Katze", "Kater", "der"}
    both = new_pair_codecs(TOKENS, joint=True).fit(TRAIN)
    assert set(both["input"].symbols) == {*alone["input"].symbols, *alone["target"].symbols}


def test_the_target_may_have_settings_of_its_own() -> None:
    encoder = new_pair_codecs(TOKENS, CHARACTERS).fit(TRAIN[:2])
    ids = encoder.encode(TRAIN[0])["target"]
    assert encoder["target"].pieces(ids[:-1]) == list("ein Hund rennt .")
    assert encoder.decode("target", [*ids, 1, 2]) == "ein Hund rennt .", "what stands behind the end mark is not read"
    assert encoder.decode("target", ids[:4]) == "ein "
    same_settings = new_pair_codecs(TOKENS, dict(TOKENS), joint=True)
    assert same_settings["input"] is same_settings["target"]


def test_of_several_targets_the_first_is_encoded() -> None:
    encoder = new_pair_codecs(TOKENS).fit(TRAIN)
    assert encoder.decode("target", encoder.encode(TRAIN[1])["target"]) == "eine Katze"
    each = one_each(TRAIN, fields())
    assert [targets_of(e) for e in each] == [["ein Hund rennt ."], ["eine Katze"], ["ein Kater"], [["der", "Hund"]]]
    assert [source_of(e) for e in each] == ["a dog runs", "a cat", "a cat", ["the", "dog"]]
    assert all("targets" not in e and "place" in e for e in each)
    assert targets_of({"source": "x"}) == []


def test_sources_without_targets() -> None:
    encoder = new_pair_codecs(TOKENS).fit(TRAIN)
    for example in ({"source": "a cow"}, {"tokens": ["a", "cow"]}, {"text": "a cow"}, {"source": ["a", "cow"]}):
        encoded = encoder.encode(example)
        assert encoded.keys() == {"input", "place"}
        assert encoded["input"].tolist() == [encoder["input"].symbols.index("a"), 0, encoder.ends["input"]]
    assert encoder.encode({"source": ""})["input"].tolist() == [encoder.ends["input"]]


def test_many_are_encoded_as_one_is(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = new_pair_codecs(SUBWORDS, joint=True).fit(TRAIN)
    examples = [*TRAIN, {"source": "no target", "place": "u:1"}, *TRAIN]
    monkeypatch.setattr("recurra.data.fields.AT_ONCE", 2)
    assert all(map(same, encoder.encode_all(iter(examples)), map(encoder.encode, examples)))
    assert encoder.encode_all([]) == []


def test_unknown_symbols_are_counted_without_the_end_marks() -> None:
    encoder = new_pair_codecs(TOKENS).fit(TRAIN)
    encoded = encoder.encode_all([{"source": "a big dog", "target": "ein Hund"}, {"source": "a"}])
    assert encoder.unknown_shares(encoded) == {"input": 0.25, "target": 0.0}
    assert encoder.unknown_shares([]) == {}


def test_segments_go_with_their_tokens() -> None:
    encoder = new_pair_codecs(TOKENS).fit(TRAIN)
    example = {"source": ["a", "dog", "runs"], "segments": [1, 1, 2], "target": "ein", "place": "s:1"}
    encoded = encoder.encode(example)
    assert encoded["segments"].tolist() == [1, 1, 2, 2] and encoded["segments"].dtype == np.int64
    assert encoder.encode({"source": [], "segments": []})["segments"].tolist() == [0]
    with pytest.raises(DataError, match=r"^s:1: 2 segments, expected one for each of 3 tokens\. Is the text sp"):
        encoder.encode({**example, "segments": [1, 2]})


@pytest.mark.parametrize("vocabulary", [TOKENS, SUBWORDS])
@pytest.mark.parametrize("joint", [False, True])
def test_a_saved_encoder_encodes_the_same(vocabulary: dict[str, Any], joint: bool, tmp_path: Path) -> None:
    encoder = new_pair_codecs(vocabulary, joint=joint).fit(TRAIN)
    assert list(encoder.saved) == (["input"] if joint else ["input", "target"])
    save(encoder.saved, tmp_path / "v")
    again = Codecs(fields(joint), known=load(tmp_path / "v"))
    assert again.ends == encoder.ends
    assert all(map(same, again.encode_all(TRAIN), encoder.encode_all(TRAIN)))


@pytest.mark.parametrize(
    ("example", "empty"),
    [
        ({"source": "a", "target": "b"}, False),
        ({"source": " ", "target": "b"}, True),
        ({"source": "a", "target": ""}, True),
        ({"source": "a", "targets": ["b", ""]}, True),
        ({"source": [], "target": "b"}, True),
        ({"source": ["a"]}, False),
        ({"text": "", "label": "x"}, False),
    ],
)
def test_empty_sides(example: dict[str, Any], empty: bool) -> None:
    assert has_empty_side(example) == empty


def test_examples_that_are_no_pairs() -> None:
    encoder = new_pair_codecs(TOKENS).fit(TRAIN)
    with pytest.raises(
        DataError,
        match=r"^x:1: no source, tokens or text in this example, only label\. Name a reader that gives source",
    ):
        encoder.encode({"label": "x", "place": "x:1"})
    with pytest.raises(
        DataError, match=r"^x:2: no target in this training example, only source\. Name a reader that g"
    ):
        encoder.fit([{"source": "x", "place": "x:2"}])


def test_a_joint_vocabulary_of_a_former_run_was_saved_for_both(tmp_path: Path) -> None:
    encoder = new_pair_codecs(TOKENS, joint=True).fit(TRAIN)
    records = {name: encoder["input"].record() for name in ("input", "target")}
    path = tmp_path / "vocabulary.json"
    path.write_text(json.dumps({"version": 2, "vocabularies": records}), encoding="utf-8")
    again = Codecs(fields(joint=True), known=load(path))
    assert again["input"] is again["target"]
    assert mark_of(records_of(again.saved)) == mark_of(records), "weights of then still know their vocabularies"
    assert all(map(same, again.encode_all(TRAIN), encoder.encode_all(TRAIN)))


def test_two_settings_of_a_joint_vocabulary() -> None:
    with pytest.raises(ConfigError, match=r"^the fields input and target have one codec, but the settings .* Leave"):
        new_pair_codecs(TOKENS, CHARACTERS, joint=True)
