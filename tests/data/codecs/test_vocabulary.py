"""Vocabularies: round trips, unknown symbols, files."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.codecs.characters import Byte, Character
from recurra.data.codecs.contract import Vocabulary, forms_of, unknown_share
from recurra.data.codecs.file import find, from_record, load, records_of, save
from recurra.data.codecs.folding import all_lower, folded
from recurra.data.codecs.labels import Labels
from recurra.data.codecs.tokens import Tokens
from recurra.data.codecs.word import Word
from recurra.data.mark import mark_of
from recurra.errors import CheckpointError, ConfigError, DataError, UnknownName
from recurra.registry import construct, names

PROSE = (Path(__file__).parents[2] / "fixtures" / "prose.txt").read_text(encoding="utf-8")
OF_ONE_TEXT = [kind for kind in names("codec") if forms_of(kind) == ("text",) and kind != "texts"]
ANY = st.text(st.characters(), min_size=2).filter(lambda text: len(set(text)) > 1)  # surrogates too
WORDS = st.lists(st.sampled_from(["a", "b", "Être", "<unk>", "字", "\n", "\n", "c'est"]), min_size=2)


def fitted(kind: str, text: str = PROSE, **settings: Any) -> Vocabulary:
    vocabulary: Vocabulary = construct("codec", {"kind": kind, **settings})
    return vocabulary.fit([text])


@given(ANY)
def test_characters_round_trip(text: str) -> None:
    vocabulary = Character().fit([text])
    ids = vocabulary.encode(text)
    assert ids.dtype == np.int64 and ids.shape == (len(text),)
    assert vocabulary.decode(ids) == text
    assert [vocabulary.symbols[i] for i in ids] == list(text)


@given(ANY, ANY)
def test_unseen_characters_are_unknown(seen: str, unseen: str) -> None:
    vocabulary = Character().fit([seen])
    read = folded(unseen) if all_lower([seen]) else unseen
    expected = [c if c in seen else "\ufffd" for c in read]
    ids = vocabulary.encode(unseen)
    assert vocabulary.decode(ids) == "".join(expected)
    assert unknown_share(vocabulary, [ids]) == expected.count("\ufffd") / len(expected)


@given(st.text(min_size=2).filter(lambda text: len(set(text)) > 1))
def test_bytes_round_trip(text: str) -> None:
    vocabulary = Byte().fit([text])
    ids = vocabulary.encode(text)
    assert ids.dtype == np.int64 and ids.tolist() == list(text.encode())
    assert vocabulary.decode(ids) == text
    assert vocabulary.unknown is None and unknown_share(vocabulary, [ids]) == 0.0


def test_bytes_that_are_no_text() -> None:
    assert Byte().decode([0x61, 0xFF, 0x62]) == "a\ufffdb"
    assert len(Byte().encode("\udcff")) == 3


@given(WORDS)
def test_words_round_trip(words: list[str]) -> None:
    vocabulary = fitted("word", "a b Être 字 c'est\n")
    text = " ".join(words).replace(" \n", "\n").replace("\n ", "\n")
    ids = vocabulary.encode(text)
    assert [vocabulary.symbols[i] for i in ids] == [word.replace("\n", "<eos>") for word in words]
    assert vocabulary.decode(ids) == text


@given(st.lists(st.integers(0, 6)))
def test_any_word_numbers_come_back(ids: list[int]) -> None:
    vocabulary = fitted("word", "a b c d e\n")
    assert vocabulary.encode(vocabulary.decode(ids)).tolist() == ids


def test_words_against_a_plain_count() -> None:
    vocabulary = fitted("word", min_count=3)
    words = [word for line in PROSE.split("\n")[:-1] for word in [*line.split(), "<eos>"]]
    counts = Counter(words)
    kept = {word for word, n in counts.items() if n >= 3}
    assert set(vocabulary.symbols) == kept | {"<unk>"}
    ids = vocabulary.encode(PROSE)
    assert [vocabulary.symbols[i] for i in ids] == [word if word in kept else "<unk>" for word in words]
    assert unknown_share(vocabulary, [ids]) == pytest.approx(sum(n for n in counts.values() if n < 3) / len(words))
    often = np.bincount(ids, minlength=len(vocabulary))
    assert (np.diff(often) <= 0).all(), "the most frequent come first"


def test_word_order_does_not_hang_on_hashing() -> None:
    assert fitted("word", "d c b a b\n").symbols == ["b", "<eos>", "a", "c", "d", "<unk>"]


def test_largest_size() -> None:
    vocabulary = fitted("word", "x x x y y z\n", max_size=4)
    assert vocabulary.symbols == ["x", "y", "<eos>", "<unk>"]
    assert vocabulary.decode(vocabulary.encode("x z y")) == "x <unk> y"


def test_lower_case() -> None:
    vocabulary = fitted("word", "The the THE cat\n", lower=True)
    assert vocabulary.symbols == ["the", "<eos>", "cat", "<unk>"]
    assert vocabulary.decode(vocabulary.encode("The CAT")) == "the cat"


def test_line_ends() -> None:
    vocabulary = fitted("word", "a b\n\nb\n", end_of_line="</s>")
    assert [vocabulary.symbols[i] for i in vocabulary.encode("a\n\nb")] == ["a", "</s>", "</s>", "b"]
    assert vocabulary.decode(vocabulary.encode("\n a \n\n b \n")) == "\na\n\nb\n"


def test_unknown_in_the_text_is_the_unknown_symbol() -> None:
    vocabulary = fitted("word", "the <unk> sat\n")
    assert len(vocabulary) == 4
    assert vocabulary.unknown == vocabulary.encode("<unk>")[0] == vocabulary.encode("unseen")[0]


def test_rare_characters_are_unknown() -> None:
    vocabulary = fitted("character", "aaabbc", min_count=2)
    assert vocabulary.symbols == ["\ufffd", "a", "b"]
    assert vocabulary.decode(vocabulary.encode("abcd")) == "ab\ufffd\ufffd"


@pytest.mark.parametrize("kind", OF_ONE_TEXT)
def test_every_vocabulary(kind: str, tmp_path: Path) -> None:
    vocabulary = fitted(kind)
    ids = vocabulary.encode(PROSE)
    assert len(vocabulary) == len(vocabulary.symbols) == len(set(vocabulary.symbols))
    assert vocabulary.decode(ids) == PROSE
    assert unknown_share(vocabulary, [ids]) == unknown_share(vocabulary, []) == 0.0
    assert vocabulary.encode("").tolist() == [] and vocabulary.decode([]) == ""
    for wrong in (-1, len(vocabulary)):
        with pytest.raises(DataError, match=rf"symbol number {wrong} is outside the vocabulary \(0 to .*another run"):
            vocabulary.decode([0, wrong])
    path = tmp_path / "codecs.json"
    save({"input": vocabulary}, path)
    again = load(path)["input"]
    assert type(again) is type(vocabulary) and again.record() == vocabulary.record()
    assert again.unknown == vocabulary.unknown
    assert (again.encode(PROSE + "§") == vocabulary.encode(PROSE + "§")).all()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", OF_ONE_TEXT)
@pytest.mark.parametrize(("text", "said"), [("", "has no"), ("aaaa", "over and over, '")])
def test_a_text_of_one_symbol_is_refused(kind: str, text: str, said: str) -> None:
    with pytest.raises(
        DataError, match=rf"^the text .*{said}.*: nothing to predict\. Use a text of two {kind}s or more\.$"
    ):
        fitted(kind, text)


@pytest.mark.parametrize("kind", ["character", "word"])
def test_a_text_of_rare_symbols_only_is_refused(kind: str) -> None:
    with pytest.raises(DataError, match=r"has 3 distinct .*s, all of them unknown: .*\. Lower vocabulary\.min_count"):
        fitted(kind, "a b" if kind == "character" else "a b c", min_count=9)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("character", {"min_count": 0}, "vocabulary.min_count = 0, expected 1 or more."),
        ("word", {"min_count": -1}, "vocabulary.min_count = -1, expected 1 or more."),
        ("word", {"max_size": 2}, "vocabulary.max_size = 2, expected 3 or more"),
        ("word", {"end_of_line": "a b"}, "vocabulary.end_of_line = 'a b', expected a word without white space"),
        ("word", {"end_of_line": ""}, "vocabulary.end_of_line = '', expected a word"),
        ("word", {"end_of_line": "<unk>"}, "vocabulary.end_of_line = '<unk>', expected a word.* not <unk>"),
    ],
)
def test_settings_out_of_range(kind: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        construct("codec", {"kind": kind, **settings})


def test_the_file_is_open_json_one_symbol_a_line(tmp_path: Path) -> None:
    path = tmp_path / "codecs.json"
    save({"input": fitted("character", "aß\n\ud83d", min_count=1)}, path)
    lines = [line.strip(" ,") for line in path.read_text(encoding="utf-8").splitlines()]
    assert lines[-9:] == ['"\ufffd"', '"\\n"', '"a"', '"ß"', '"\\ud83d"', "]", "}", "}", "}"]
    assert load(path)["input"].symbols == ["\ufffd", "\n", "a", "ß", "\ud83d"]
    assert json.loads(path.read_text(encoding="utf-8"))["version"] == 3


def test_settings_are_kept_in_the_file(tmp_path: Path) -> None:
    vocabulary = fitted("word", "A a b\n", lower=True, end_of_line="</s>", max_size=9)
    save({"input": vocabulary}, tmp_path / "v")
    assert load(tmp_path / "v")["input"].encode("B\n").tolist() == vocabulary.encode("b\n").tolist()


GOOD: dict[str, Any] = {"version": 1, **Character().fit(["ab"]).record()}
"""As runs wrote it that had the vocabulary of the input alone."""


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (json.dumps(GOOD)[:-9], "no JSON .* Copy the run again or train anew"),
        (b"\xff", "1: byte 0xff is not valid UTF-8"),
        (json.dumps([1]), "it is a list of 1, expected an object"),
        (
            json.dumps({**GOOD, "version": 4}),
            "codecs of version 4, expected 1 to 3. Use the recurra of then or train anew",
        ),
        (json.dumps({"version": 1, "kind": "byte"}), "settings is missing, expected an object. Copy the run again"),
        (json.dumps({**GOOD, "symbols": [1]}), r"symbols.0. is 1, expected a string. Copy"),
        (json.dumps({**GOOD, "settings": []}), "settings is a list of 0, expected an object"),
        (json.dumps({**GOOD, "kind": 3}), "kind is 3, expected a string"),
        (json.dumps({**GOOD, "symbols": ["a", "b"]}), "is U.FFFD and then distinct single characters. Copy"),
        (json.dumps({**GOOD, "symbols": ["\ufffd", "a", "a"]}), "distinct single characters"),
        (json.dumps({**GOOD, "symbols": ["\ufffd", "", "ab"]}), "distinct single characters"),
        (
            json.dumps({"version": 1, "kind": "byte", "settings": {}, "symbols": ["a"]}),
            "the 256 symbols <0x00> to <0xFF>",
        ),
        (
            json.dumps({"version": 1, "kind": "word", "settings": {}, "symbols": ["a", "<unk>"]}),
            "is a list of distinct words with <unk> and <eos> among them. Copy",
        ),
    ],
)
def test_files_that_are_no_vocabulary(tmp_path: Path, written: str | bytes, message: str) -> None:
    path = tmp_path / "codecs.json"
    path.write_bytes(written.encode() if isinstance(written, str) else written)
    with pytest.raises(CheckpointError, match=f"^{path}:.*{message}"):
        load(path)


def test_vocabularies_of_several_fields(tmp_path: Path) -> None:
    made = {
        "input": Tokens(vectors="glove-100d-subset", lower=True).take(["<unk>", "a", "\u2028", "\udc80", '"']),
        "characters": Character().fit(["ab\udc80"]),
        "tags": Labels().fit([["O", "B-x", "O"]]),
    }
    save(made, tmp_path / "v")
    again = load(tmp_path / "v")
    assert list(again) == list(made)
    for name, vocabulary in again.items():
        assert type(vocabulary) is type(made[name])
        assert vocabulary.record() == made[name].record()
    assert [file.name for file in tmp_path.iterdir()] == ["v"]


def test_vocabularies_of_former_runs_are_read(tmp_path: Path) -> None:
    records = {
        "input": Tokens().fit(["a b"]).record(),
        "characters": Character().fit(["ab"]).record(),
        "tags": {"kind": "labels", "settings": {}, "symbols": ["O", "B-x"]},
    }
    path = tmp_path / "vocabulary.json"
    path.write_text(json.dumps({"version": 2, "vocabularies": records}), encoding="utf-8")
    found = load(find(tmp_path))
    assert found["tags"].encode(["B-x", "new"]).tolist() == [1, -100]
    assert mark_of(records_of(found)) == mark_of(records), "weights of then still know their vocabularies"
    save(found, tmp_path / "codecs.json")
    assert find(tmp_path).name == "codecs.json"
    assert mark_of(records_of(load(find(tmp_path)))) == mark_of(records)


def test_one_vocabulary_is_that_of_the_input(tmp_path: Path) -> None:
    (tmp_path / "v").write_text(json.dumps(GOOD), encoding="utf-8")
    (name, vocabulary), *others = load(tmp_path / "v").items()
    assert (name, vocabulary.symbols, others) == ("input", ["\ufffd", "a", "b"], [])


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"version": 4}, "codecs of version 4, expected 1 to 3. Use the recurra of then"),
        ({"version": 3}, "expected an object `codecs`, name to record. Copy the run again"),
        ({"version": 2}, "expected an object `vocabularies`, name to record. Copy the run again"),
        ({"version": 2, "vocabularies": {}}, "expected an object `vocabularies`"),
        ({"version": 3, "codecs": {"tags": 1}}, "codec 'tags': a codec's record: it is 1, expected"),
        (
            {"version": 2, "vocabularies": {"tags": {"kind": "labels", "settings": {}, "symbols": ["O", "O"]}}},
            "codec 'tags': a vocabulary of labels is a list of distinct names. Copy",
        ),
        (
            {"version": 3, "codecs": {"input": {"kind": "tokens", "settings": {}, "symbols": ["a"]}}},
            "codec 'input': a vocabulary of tokens is <unk> and then distinct tokens. Copy",
        ),
        (
            {"version": 3, "codecs": {"input": {"kind": "tokens", "settings": {}}}},
            "codec 'input': a vocabulary's record: symbols is missing, expected a list",
        ),
        (
            {"version": 3, "codecs": {"input": {"kind": "scaled", "settings": {}, "axes": 2, "size": 1, "arrays": 1}}},
            "codec 'input': expected an object `arrays`, name to fingerprint. Copy",
        ),
        (
            {"version": 3, "codecs": {"input": {"kind": "vectors", "settings": {}, "axes": 7, "size": 1}}},
            "codec 'input': a record of numbers says its axes, 0 to 2, and its size. Copy",
        ),
    ],
)
def test_files_that_are_no_vocabularies(tmp_path: Path, written: dict[str, Any], message: str) -> None:
    path = tmp_path / "codecs.json"
    path.write_text(json.dumps(written))
    with pytest.raises(CheckpointError, match=f"^{path}: {message}"):
        load(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"absent: cannot be read \(No such file or directory\)\. Is its folder whole"
    ):
        load(tmp_path / "absent")


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"v cannot be written \(No such file or directory\)\. Name another folder with --out"
    ):
        save({"input": Byte()}, tmp_path / "absent" / "v")


def test_a_kind_nobody_registered() -> None:
    with pytest.raises(UnknownName, match="did you mean 'character'"):
        from_record({"kind": "charakter", "settings": {}, "symbols": []})


def test_before_fit_all_is_unknown() -> None:
    assert Character().decode(Character().encode("ab")) == "\ufffd\ufffd"
    assert Word().decode(Word().encode("a b\n")) == "<unk> <unk>\n"
