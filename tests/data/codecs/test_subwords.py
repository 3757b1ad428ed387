"""Subwords: any text comes back exactly, the same text gives the same pieces, and what is saved is what was learnt."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, trainers
from tokenizers.pre_tokenizers import ByteLevel

from recurra.data.codecs.contract import unknown_share
from recurra.data.codecs.file import from_record, load, save
from recurra.data.codecs.subwords import BYTE_OF, SMALLEST, Subwords
from recurra.errors import CheckpointError, ConfigError, DataError
from recurra.export.clients.subwords import Subwords as subwords
from recurra.registry import construct

PROSE = (Path(__file__).parents[2] / "fixtures" / "prose.txt").read_text(encoding="utf-8").splitlines()
SCRIPTS = [
    "我放弃。你想去旅游吗？",
    "שלום עולם",
    "مرحبا بالعالم",
    "Être naïve: e\u0301",
    " \ta  b ",
    "👩‍👩‍👧 <unk> \ufffd",
    "\n",
    " ",
    "",
]
ANY = st.text(st.characters(exclude_categories=["Cs"]))
MODELS = ("bpe", "unigram")


def fitted(model: str, texts: list[str] = PROSE, size: int = 500, **settings: Any) -> Subwords:
    vocabulary: Subwords = construct("codec", {"kind": "subwords", "model": model, "size": size, **settings})
    return vocabulary.fit(texts)


LEARNT = {model: fitted(model) for model in MODELS}


def same(one: list[Any], other: list[Any]) -> bool:
    return len(one) == len(other) and all(map(np.array_equal, one, other))


@pytest.mark.parametrize("model", MODELS)
@settings(deadline=None)
@given(st.lists(ANY | st.sampled_from(SCRIPTS + PROSE), max_size=4))
def test_every_text_comes_back_exactly(model: str, texts: list[str]) -> None:
    vocabulary = LEARNT[model]
    ids = vocabulary.encode_all(texts)
    assert [vocabulary.decode(each) for each in ids] == texts
    for each, text in zip(ids, texts, strict=True):
        assert each.dtype == np.int64 and (each > 0).all() and (each < len(vocabulary)).all()
        assert unknown_share(vocabulary, [each]) == 0 and (len(each) > 0) == bool(text)


@pytest.mark.parametrize("model", MODELS)
def test_text_of_other_scripts_is_learnt(model: str) -> None:
    vocabulary = fitted(model, SCRIPTS * 99, 600)
    ids = vocabulary.encode_all(SCRIPTS)
    assert [vocabulary.decode(each) for each in ids] == SCRIPTS
    if model == "bpe":
        assert len(ids[0]) < len(SCRIPTS[0].encode()) / 2


@pytest.mark.parametrize("model", MODELS)
def test_words_are_cut_into_known_pieces(model: str) -> None:
    vocabulary = LEARNT[model]
    (ids,) = vocabulary.encode_all([PROSE[0]])
    assert "".join(vocabulary.pieces(ids)) == "▁" + PROSE[0].replace(" ", "▁")
    assert len(ids) < (0.3 if model == "bpe" else 0.7) * len(PROSE[0]) and len(vocabulary) <= 500
    assert vocabulary.pieces([0]) == ["\ufffd"] and vocabulary.decode([0]) == "\ufffd"
    half = vocabulary.encode("é")[-1:]
    assert vocabulary.pieces(half) == ["\ufffd"] and vocabulary.decode(half) == "\ufffd", "half a character"


def test_the_library_cuts_byte_pairs_the_same_way() -> None:
    learnt = Tokenizer(models.BPE())
    learnt.pre_tokenizer = ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=499, min_frequency=2, initial_alphabet=ByteLevel.alphabet(), show_progress=False
    )
    learnt.train_from_iterator([f" {line}" for line in PROSE], trainer)
    expected = [learnt.encode(f" {line}").tokens if line else [] for line in PROSE]
    vocabulary = LEARNT["bpe"]
    assert [[vocabulary.symbols[i] for i in ids] for ids in vocabulary.encode_all(PROSE)] == expected
    assert set(BYTE_OF) == set(ByteLevel.alphabet())


@pytest.mark.parametrize("model", MODELS)
def test_a_saved_vocabulary_encodes_the_same(model: str, tmp_path: Path) -> None:
    vocabulary = LEARNT[model]
    save({"input": vocabulary, "target": vocabulary}, tmp_path / "v")
    for again in load(tmp_path / "v").values():
        assert type(again) is Subwords and again.record() == vocabulary.record()
        assert same(again.encode_all([*PROSE, *SCRIPTS]), vocabulary.encode_all([*PROSE, *SCRIPTS]))


@pytest.mark.parametrize("model", MODELS)
def test_training_again_learns_the_same(model: str) -> None:
    code = (
        "import hashlib, sys; from pathlib import Path; from recurra.data.codecs.subwords import Subwords\n"
        "texts = Path(sys.argv[1]).read_text(encoding='utf-8').splitlines()\n"
        "print(hashlib.sha256(repr(Subwords(600, sys.argv[2]).fit(texts).record()).encode()).hexdigest())"
    )
    prose = Path(__file__).parents[2] / "fixtures" / "prose.txt"
    found = {
        subprocess.run(
            [sys.executable, "-c", code, prose, model],
            env={**os.environ, "RAYON_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2", "3")
    }
    assert len(found) == 1
    assert "TOKENIZERS_PARALLELISM" not in os.environ


def test_settings() -> None:
    assert len(fitted("bpe", size=5000, min_count=9)) < len(fitted("bpe", size=5000, min_count=2))
    lower = fitted("bpe", lower=True)
    assert lower.decode(lower.encode_all(["Abc ÉTÉ"])[0]) == "abc été"
    assert not any(piece.isascii() and piece != piece.lower() for piece in lower.symbols[1:] if len(piece) > 1)
    ids = lower.encode_all([["two", "words"], "two words"])
    assert np.array_equal(*ids), "tokens are joined by spaces"


def test_half_characters_are_replaced() -> None:
    vocabulary = LEARNT["bpe"]
    assert vocabulary.decode(vocabulary.encode_all(["a\udc80b"])[0]) == "a\ufffdb"


def test_before_fit_every_byte_is_a_piece() -> None:
    for model in MODELS:
        vocabulary = Subwords(model=model)
        assert len(vocabulary) == 257 and len(vocabulary.encode_all(["né"])[0]) == 4
        assert vocabulary.decode(vocabulary.encode_all(["né"])[0]) == "né"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": SMALLEST - 1}, r"vocabulary.size = 257, expected 258 or more: .*, the 256 bytes, a piece\."),
        ({"min_count": 0}, r"vocabulary.min_count = 0, expected 1 or more"),
        ({"model": "unigram", "min_count": 1}, r"vocabulary.min_count is for vocabulary.model = 'bpe'\. Leave it away"),
        ({"model": "bpee"}, r"vocabulary.model = 'bpee': did you mean 'bpe'"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        construct("codec", {"kind": "subwords", **settings}, where="vocabulary")


def test_nothing_to_learn_from() -> None:
    with pytest.raises(DataError, match=r"the training examples hold no text\. Is the right field read"):
        Subwords().fit(["", ""])


def test_a_number_that_is_no_symbol() -> None:
    for write in (LEARNT["bpe"].decode, LEARNT["bpe"].pieces):
        with pytest.raises(DataError, match=r"symbol number 500 is outside the vocabulary \(0 to 499\)"):
            write([1, 500])


@pytest.mark.parametrize(
    ("model", "change", "message"),
    [
        ("bpe", {"symbols": ["a"]}, r"is U\+FFFD and then distinct pieces"),
        ("bpe", {"symbols": ["\ufffd", *BYTE_OF, "a"]}, r"is U\+FFFD and then distinct pieces"),
        ("bpe", {"symbols": ["\ufffd", *list(BYTE_OF)[1:]]}, r"written in the 256 characters for bytes, each one of"),
        ("bpe", {"symbols": ["\ufffd", *BYTE_OF, "字"]}, r"written in the 256 characters for bytes, each one of"),
        ("unigram", {"scores": [0.0]}, r"a unigram vocabulary of [0-9]+ subwords has as many scores"),
        (
            "unigram",
            {"scores": ["a"] * len(LEARNT["unigram"])},
            r"scores.0. is .a., expected a finite number",
        ),
    ],
)
def test_records_that_are_none(model: str, change: dict[str, Any], message: str) -> None:
    record = json.loads(json.dumps(LEARNT[model].record()))
    with pytest.raises(CheckpointError, match=message):
        from_record({**record, **change})
    if model == "unigram":
        del record["scores"]
        with pytest.raises(CheckpointError, match="has as many scores"):
            from_record(record)


@pytest.mark.parametrize("model", ["bpe", "unigram"])
def test_pieces_go_over_combining_marks(model: str) -> None:
    """Of the former splitter none did; a run of then is asked by it."""
    texts = ["हिन्दी में लिखा हिन्दी हिन्दी में"] * 9 + ["می\u200cخواهم"] * 9
    vocabulary = Subwords(size=400, model=model).fit(texts)
    pieces = {piece for ids in vocabulary.encode_all(texts) for piece in vocabulary.pieces(ids)}
    assert any("ि" in piece and len(piece) > 1 for piece in pieces)
    assert model == "unigram" or {"▁हिन्दी", "▁می\u200cخواهم"} <= pieces
    record = vocabulary.record()
    del record["splitter"]
    former = from_record(record)
    assert former.splitter == 1 and former.record()["splitter"] == 1
    ids = former.encode_all(["हिन्दी"])[0]
    assert len(ids) > 1 and former.decode(ids) == "हिन्दी"
    assert subwords.numbers_of(record, "हिन्दी x") == former.encode_all(["हिन्दी x"])[0].tolist()
