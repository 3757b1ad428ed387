"""Poems: what a file holds, what a poem is asked for by, and its lines."""

from __future__ import annotations

import json
import os
import re
import runpy
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data import sets
from recurra.data.readers.poems import FORMS, MARKS, PoemReader, form_of, has_form, is_character, prompt, verses
from recurra.data.sets import DataSet, Marked, read_sources
from recurra.errors import DataError

FIXTURES = Path(__file__).parents[2] / "fixtures"
GOOD: dict[str, Any] = {
    "title": " 夜 望",
    "form": "5x4",
    "paragraphs": ["山水夜風香，石雨落秋光。", "雪月古江長，客夢起 天霜。"],
}


def write(path: Path, *poems: Any) -> Path:
    path.write_text("".join((p if isinstance(p, str) else json.dumps(p)) + "\n" for p in poems), encoding="utf-8")
    return path


def test_what_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "p", GOOD, "", {**GOOD, "author": "x", "split": "valid"})
    text = "山水夜風香，石雨落秋光。雪月古江長，客夢起天霜。"
    first, second = PoemReader().read(path)
    assert first == {"source": "5x4 夜 望", "target": text, "place": f"{path}:1"}
    assert second == {**first, "place": f"{path}:3", "split": "valid"}


def test_the_fixture_is_what_its_script_writes_and_has_its_forms() -> None:
    file = FIXTURES / "poems.jsonl"
    assert runpy.run_path(str(FIXTURES / "make_poems.py"))["poems"]() == file.read_text(encoding="utf-8")
    found = list(PoemReader().read(file))
    assert Counter(poem["split"] for poem in found) == {"train": 48, "valid": 6, "test": 6}
    assert all(has_form(poem["target"], *form_of(poem["source"])) for poem in found)
    assert {poem["source"][:3] for poem in found} == set(FORMS)


BROKEN: dict[str, tuple[Any, str]] = {
    "no JSON": ('{"title": ', "no JSON (Expecting value, column 11), expected one whole object in each line."),
    "no object": ("[1]", 'a list, \'[1]\', expected an object like {"title": …, "form": "5x8", "paragraphs": […]}.'),
    "no title": ({"form": "5x4"}, "'title' is to be a string that holds something, found only 'form'. Mend this"),
    "a blank title": ({**GOOD, "title": " "}, "'title' holds nothing. Write one, or leave the line out."),
    "no text": ({**GOOD, "paragraphs": []}, "'paragraphs' is to be a list of strings that holds something, found '[]'"),
    "a number": ({**GOOD, "paragraphs": [1]}, "'paragraphs' is to be a list of strings that holds something, found"),
    "another form": ({**GOOD, "form": "6x4"}, "'form' is '6x4', expected 5x4, 7x4, 5x8, 7x8: characters of a line x"),
    "another length": (
        {**GOOD, "form": "7x4"},
        "line 1 of the poem, '山水夜風香，', has 5 characters, expected 7: it is not in its form, 7x4. Mend the text",
    ),
    "too few lines": ({**GOOD, "form": "5x8"}, "a poem of 4 lines is not in its form, 5x8. Mend the text or its"),
    "too many lines": ({**GOOD, "paragraphs": GOOD["paragraphs"] * 2}, "a poem of 8 lines is not in its form, 5x4"),
    "a mark within": (
        {**GOOD, "paragraphs": ["山水「風香，石雨落秋光。雪月古江長，客夢起天霜。"]},
        "line 1 of the poem, '山水「風香，', has '「' among its characters: it is not in its form",
    ),
    "no mark at the end": (
        {**GOOD, "paragraphs": ["山水夜風香，石雨落秋光。雪月古江長，客夢起天霜"]},
        f"line 4 of the poem, '客夢起天霜', ends with none of {MARKS}: it is not",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_line_is_named(case: str, tmp_path: Path) -> None:
    poem, message = BROKEN[case]
    path = write(tmp_path / "p", GOOD, poem)
    with pytest.raises(DataError, match=f"^{re.escape(f'{path}:2: {message}')}"):
        list(PoemReader().read(path))


def test_sniff(tmp_path: Path) -> None:
    assert PoemReader().sniff(FIXTURES / "poems.jsonl") == "a JSON object with paragraphs a line"
    assert PoemReader().sniff(write(tmp_path / "a", '{"text": "paragraphs"}')) is None


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("7x4 春望", "7x4 春望"),
        (" 7 × 4  春望  一 ", "7x4 春望 一"),
        ("7X8春望", "7x8 春望"),
        ("春望", "5x8 春望"),
        ("5 rivers", "5x8 5 rivers"),
    ],
)
def test_a_prompt_is_as_training_saw_it(asked: str, expected: str) -> None:
    assert prompt(asked) == expected
    assert form_of(expected) == (int(expected[0]), int(expected[2]))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("6x4 春望", "6x4 in '6x4 春望' is a form no poem is written in, expected 5x4, 7x4, 5x8, 7x8: characters of a"),
        ("55x4 春望", "55x4 in '55x4 春望' is a form no poem is written in"),
        ("7x4 ", "no title in '7x4 ', expected one behind the form: \"7x4 春望\"."),
    ],
)
def test_a_prompt_that_cannot_be(asked: str, message: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(message)}"):
        prompt(asked)


def test_a_source_without_a_form() -> None:
    with pytest.raises(DataError, match=r"^'春望' begins with no form, expected 5x4, 7x4, 5x8, 7x8 before the title: "):
        form_of("春望")
    assert form_of("5 x 8   春") == (5, 8)  # its symbols, with a space between them


@given(
    st.lists(st.tuples(st.text("山水夜", max_size=8), st.sampled_from(MARKS)), max_size=9), st.text("山水", max_size=3)
)
def test_verses_are_the_text(lines: list[tuple[str, str]], rest: str) -> None:
    written = [line + mark for line, mark in lines] + ([rest] if rest else [])
    assert verses("".join(written)) == written
    width = len(lines[0][0]) if lines else 1
    right = bool(lines) and not rest and all(len(line) == width for line, _ in lines)
    assert has_form("".join(written), width, len(lines)) is right or not lines


def test_characters() -> None:
    assert all(map(is_character, "山㠁〇𠀀")) and not any(map(is_character, ("，", "□", "5x8", "1", "", "<unk>")))


def test_a_set_may_say_itself_what_is_of_which_part(monkeypatch: pytest.MonkeyPatch) -> None:
    file = FIXTURES / "poems.jsonl"
    monkeypatch.setenv("RECURRA_DATA", str(FIXTURES))
    described = {"one": {"train": {"poems.jsonl": "sum"}, "marked": True, "reader": {"kind": "poems"}}}
    monkeypatch.setattr(sets, "_table", lambda: described)
    monkeypatch.setattr(sets, "_checked", lambda name, folder, path, expected: folder / path)
    data: DataSet = sets.find_set("one")
    assert data.valid == (Marked(file, "valid"),)
    found = {part: list(read_sources(getattr(data, part), PoemReader())) for part in sets.PARTS}
    assert {part: len(examples) for part, examples in found.items()} == {"train": 48, "valid": 6, "test": 6}


@pytest.mark.skipif(not os.environ.get("RECURRA_DATA"), reason="RECURRA_DATA names no data folder")
def test_the_tang_poems_are_in_their_forms() -> None:
    data = sets.find_set("tang-poems")
    found = {part: list(read_sources(getattr(data, part), PoemReader())) for part in sets.PARTS}
    assert {part: len(poems) for part, poems in found.items()} == {"train": 32646, "valid": 1815, "test": 1802}
    poems = [poem for part in found.values() for poem in part]
    assert sum(sum(map(is_character, poem["target"])) for poem in poems) == 1_378_232
    forms = Counter(poem["source"].split()[0] for poem in poems)
    assert forms == {"5x4": 3743, "7x4": 10311, "5x8": 14315, "7x8": 7894}


def test_a_form_of_numbers_beyond_all_poems() -> None:
    with pytest.raises(DataError, match=r"999999999x4 in .* is a form no poem is written in"):
        prompt("9" * 5000 + "x4 春望")
