"""Marks stand apart from words, and upper case is read as lower, where the training data say so."""

from __future__ import annotations

from typing import Any

import pytest

from recurra import registry
from recurra.data.codecs.file import from_record
from recurra.data.marks import joined_marks, marks_apart
from recurra.errors import CheckpointError
from recurra.export.clients.tokens import Tokens as ClientTokens

SENTENCES = [
    ["Rain", "fell", "in", "Ulaanbaatar", ",", "Mongolia", "."],
    ["He", "'s", "in", "the", "U.S.", "(", "again", ")", ",", "is", "n't", "he", "?"],
    ["Mr.", "Ito", "said", ":", '"', "@anna", "and", "@bo", "left", ".", '"'],
    ["No", ",", "no", ",", "no", ";", "see", "#", "4", ",", "St.", "Ives", "."],
    *[["It", "rained", "."]] * 9,
]


def tokens(values: list[Any], **settings: Any) -> Any:
    return registry.construct("codec", {"kind": "tokens", "split": "space", **settings}).fit(values)


@pytest.mark.parametrize("lower", [False, True])
def test_a_text_is_split_as_the_tokens_of_training_are(lower: bool) -> None:
    codec = tokens(SENTENCES, lower=lower)
    expected = {
        "in Ulaanbaatar, Mongolia.": ["in", "Ulaanbaatar", ",", "Mongolia", "."],
        "(Darkhan), isn't \u201cit\u201d?": ["(", "Darkhan", ")", ",", "is", "n't", "\u201c", "it", "\u201d", "?"],
        "Ito's U.S. e.g. J. Erdenet...": ["Ito", "'s", "U.S.", "e.g.", "J.", "Erdenet", "..."],
        "@carl \u2014 , ...": ["@carl", "\u2014", ",", "..."],
        "": [],
    }
    for text, wanted in expected.items():
        assert codec.tokens(text) == wanted
        assert ClientTokens.tokens_of(codec.record(), text) == wanted
        assert from_record(codec.record()).tokens(text) == wanted
    assert codec.tokens(["Ulaanbaatar,"]) == ["Ulaanbaatar,"]
    assert any("Marks stand apart" in note for note in codec.notes)


@pytest.mark.parametrize(
    "values",
    [
        [["to", "Bern"], ["from", "St.Gallen"]],
        [["to", "Bern,", "please."], ["from", "Rome,", "now", "!"]],
        [" ".join(sentence) for sentence in SENTENCES],
    ],
)
def test_other_texts_are_split_at_white_space_alone(values: list[Any]) -> None:
    codec = tokens(values)
    assert codec.tokens("in Ulaanbaatar, (now)") == ["in", "Ulaanbaatar,", "(now)"]
    assert "marks" not in codec.record() and not any("Marks" in note for note in codec.notes)


def test_a_run_of_before_splits_as_it_did_and_a_broken_one_is_refused() -> None:
    record = tokens(SENTENCES).record()
    marks = record.pop("marks")
    assert from_record(record).tokens("Ulaanbaatar,") == ["Ulaanbaatar,"] and set(marks) == {"opening", "closing"}
    for wrong in ({}, {"opening": ""}, {"opening": "", "closing": 3}, [","]):
        with pytest.raises(CheckpointError, match="expected texts `opening` and `closing`"):
            from_record({**record, "marks": wrong})


def test_marks_that_mostly_stay_with_their_word_do_so() -> None:
    joined = joined_marks({",": 90, "a,": 1, "@": 1, "@a": 9, "-": 8, "x-": 9, "a": 99})
    assert joined == {"opening": "@", "closing": "-"} and joined_marks({"a": 3}) is None
    assert marks_apart("@b-,", joined, set().__contains__) == ["@b-", ","]


KINDS = [
    {"kind": "character"},
    {"kind": "spelling"},
    {"kind": "word"},
    {"kind": "tokens"},
    {"kind": "tokens", "split": "characters"},
    {"kind": "subwords", "size": 260, "min_count": 1},
]


@pytest.mark.parametrize("settings", KINDS)
def test_upper_case_is_read_as_lower_where_training_has_none(settings: dict[str, Any]) -> None:
    spelled = settings["kind"] == "spelling"

    def read(codec: Any, text: str) -> list[int]:
        return list((codec.spell(text.split()[0]) if spelled else codec.encode(text)).tolist())

    def fitted(texts: list[str]) -> Any:
        return registry.construct("codec", settings).fit([text.split() for text in texts] if spelled else texts)

    low = fitted(["the road to nowhere", "a road"])
    assert read(low, "ROAD to") == read(low, "road to") and low.record()["folds"] is True
    assert read(from_record(low.record()), "ROAD to") == read(low, "road to")
    former = {name: value for name, value in low.record().items() if name != "folds"}
    assert read(from_record(former), "ROAD") != read(low, "road")
    mixed = fitted(["The Road to nowhere", "a road"])
    assert read(mixed, "ROAD to") != read(mixed, "road to") and "folds" not in mixed.record()


def test_a_character_stays_one() -> None:
    codec = registry.construct("codec", {"kind": "character"}).fit(["ab"])
    assert len(codec.encode("\u0130a")) == 2
