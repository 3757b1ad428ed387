"""How a text is parted: scripts with combining marks, joiners, directions of writing, and runs of the former way."""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data import words
from recurra.data.codecs import file as codec_file
from recurra.data.codecs.tokens import Tokens
from recurra.data.codecs.word import Word
from recurra.data.words import MARKS, split_words
from recurra.errors import CheckpointError
from recurra.export.clients.lines import Lines as lines_client
from recurra.export.clients.tokens import Tokens as tokens_client

TEXTS = [
    ("हिन्दी में लिखा है।", ["हिन्दी", "में", "लिखा", "है", "।"]),
    ("বাংলা ভাষায়, হ্যাঁ!", ["বাংলা", "ভাষায়", ",", "হ্যাঁ", "!"]),
    ("தமிழ் மொழி", ["தமிழ்", "மொழி"]),
    ("น้ำ ภาษาไทย", ["น้ำ", "ภาษาไทย"]),
    ("ภาษา\u200bไทย", ["ภาษา", "ไทย"]),
    ("שָׁלוֹם עוֹלָם", ["שָׁלוֹם", "עוֹלָם"]),
    ("مُحَمَّدٌ رَسُولٌ", ["مُحَمَّدٌ", "رَسُولٌ"]),
    ("l'e\u0301te\u0301 nai\u0308f", ["l'e\u0301te\u0301", "nai\u0308f"]),
    ("می\u200cخواهم، بله", ["می\u200cخواهم", "،", "بله"]),
    ("ന്‍ ശരി", ["ന്‍", "ശരി"]),
    ("\u200fשלום\u200f! Zu\u00adsammen", ["שלום", "!", "Zusammen"]),
    ("\u202bא 3.5\u202c", ["א", "3.5"]),
    ("👩🏽\u200d🚀 ❤\ufe0f!! 1\ufe0f\u20e3", ["👩🏽\u200d🚀", "❤\ufe0f", "!", "!", "1\ufe0f\u20e3"]),
    ("葛\U000e0100城 1.5\u20dd", ["葛\U000e0100", "城", "1.5\u20dd"]),
    (" \u0301a", ["\u0301", "a"]),
]


@pytest.mark.parametrize(("text", "words"), TEXTS)
def test_marks_and_joiners_stay_with_their_letter(text: str, words: list[str]) -> None:
    assert split_words(text, "words") == words
    for vocabulary in (Tokens("words").fit([words]), Word(split="words").fit([text])):
        record = json.loads(json.dumps(vocabulary.record()))
        client = tokens_client if isinstance(vocabulary, Tokens) else lines_client
        found = vocabulary.encode(words) if isinstance(vocabulary, Tokens) else vocabulary.encode(text)
        assert client.numbers_of(record, text) == found.tolist()
        assert [vocabulary.symbols[number] for number in found] == words


def test_all_marks_of_unicode_are_marks_here() -> None:
    signs = [chr(c) for c in range(sys.maxunicode + 1) if unicodedata.category(chr(c)) in ("Mn", "Mc", "Me")]
    assert len(signs) > 2000 and all(re.fullmatch(f"[{MARKS}]", sign) for sign in signs)


def test_a_no_break_space_parts_no_words_as_in_columns() -> None:
    text = "10\u00a0000 euros\tà\u202f3\u3000x"
    assert split_words(text, "space") == ["10\u00a0000", "euros", "à\u202f3\u3000x"]
    assert split_words("Quoi\u00a0?", "words") == ["Quoi", "?"]


@pytest.mark.parametrize("kind", ["tokens", "word"])
@pytest.mark.parametrize("split", ["space", "words"])
def test_a_run_of_the_former_splitter_is_asked_by_it(tmp_path: Path, kind: str, split: str) -> None:
    """Its words were cut at marks: it would know none of the whole ones."""
    text, cut = ("लिखा 10\u00a0000", ["ल", "ि", "ख", "ा", "10", "000"])
    former = cut if split == "words" else ["लिखा", "10", "000"]
    settings = {"split": split, "lower": False, "digits": False, "min_count": 1, "max_size": None}
    settings |= {"vectors": None} if kind == "tokens" else {"end_of_line": "<eos>"}
    symbols = ["<unk>", *former] if kind == "tokens" else ["<unk>", "<eos>", *former]
    record = {"version": 2, "vocabularies": {"input": {"kind": kind, "settings": settings, "symbols": symbols}}}
    (tmp_path / "codecs.json").write_text(json.dumps(record), encoding="utf-8")
    loaded = codec_file.load(tmp_path / "codecs.json")["input"]
    ids = loaded.encode(loaded.tokens(text)) if kind == "tokens" else loaded.encode(text)
    assert [loaded.symbols[number] for number in ids] == former
    client = tokens_client if kind == "tokens" else lines_client
    assert client.numbers_of(record["vocabularies"]["input"], text) == ids.tolist()
    codec_file.save({"input": loaded}, tmp_path / "again.json")  # as a resumed training does
    again = codec_file.load(tmp_path / "again.json")["input"]
    assert again.splitter == 1 and again.record() == loaded.record()


@pytest.mark.parametrize("splitter", [0, 3, "2", True, None, 1.5])
def test_a_splitter_that_is_not_here_is_refused(splitter: object) -> None:
    record = {**Tokens().record(), "splitter": splitter}
    with pytest.raises(CheckpointError, match=r"this recurra has 1 to 2\. Use the recurra that wrote it"):
        codec_file.from_record(record)


SIGNS = st.text(
    st.one_of(st.characters(), st.sampled_from("a字1.'’ \t\n\x1c\x85\xa0\u3000\u0301\u093f\u200d\u200b\xad👩"))
)


@given(SIGNS)
def test_a_text_without_any_of_these_is_parted_by_the_quicker_way_alike(text: str) -> None:
    seen = words.INVISIBLE.sub("", text.replace(words.BREAK, " "))
    assert split_words(text, "words") == words._WORD.findall(seen)
    assert split_words(text, "space") == words._APART.findall(text)
