"""JSON lines: keys, types, and every broken line with its message."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.readers.jsonl import JsonLinesReader
from recurra.errors import DataError
from recurra.registry import construct


def read(folder: Path, *lines: str, **settings: str) -> list[Any]:
    path = folder / "a.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return list(JsonLinesReader(**settings).read(path))


def test_written_objects_are_read_back(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("round") / "a.jsonl"
    texts = st.text(st.characters(codec="utf-8"))
    objects = st.fixed_dictionaries({"text": texts}, optional={"label": texts.filter(bool), "other": st.integers()})

    @given(st.lists(objects, min_size=1), st.booleans())
    def round_trip(written: list[dict[str, Any]], ascii_only: bool) -> None:
        lines = (json.dumps(o, ensure_ascii=ascii_only) + "\n" for o in written)
        path.write_text("".join(lines), encoding="utf-8", newline="")
        for k, (example, given_) in enumerate(zip(JsonLinesReader().read(path), written, strict=True)):
            wanted = {key: value for key, value in given_.items() if key != "other"}
            assert example == wanted | {"place": f"{path}:{k + 1}"}

    round_trip()


def test_what_the_keys_hold(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = (
        '{"text": "a", "label": 1, "rating": 9}',
        "",
        '{"tokens": ["a", "b"], "tags": ["O", 3], "label": null}',
        '{"text": "c", "label": ["x", true, "x"], "tokens": null}',
        '{"text": "", "tokens": [], "tags": [], "label": []}',
    )
    assert read(tmp_path, *lines) == [
        {"text": "a", "label": "1", "place": f"{path}:1"},
        {"tokens": ["a", "b"], "tags": ["O", "3"], "place": f"{path}:3"},
        {"text": "c", "labels": ["x", "true"], "place": f"{path}:4"},
        {"text": "", "tokens": [], "tags": [], "labels": [], "place": f"{path}:5"},
    ]


def test_other_keys(tmp_path: Path) -> None:
    line = '{"words": ["a"], "ner": ["O"], "intent": "x", "sentence": "a", "text": 1}'
    (example,) = read(tmp_path, line, text="sentence", label="intent", tokens="words", tags="ner")
    assert {k: v for k, v in example.items() if k != "place"} == {
        "text": "a",
        "tokens": ["a"],
        "tags": ["O"],
        "label": "x",
    }


GOOD = '{"text": "a"}'
BROKEN: dict[str, tuple[tuple[str, ...], str]] = {
    "cut off": (
        (GOOD, '{"text": "a", '),
        ":2: no JSON (Expecting property name enclosed in double quotes",
    ),
    "no JSON": (
        (GOOD, "", "hello"),
        ":3: no JSON (Expecting value, column 1), expected one whole object in each line. Mend this line; an object "
        "over several lines has to be put into one.",
    ),
    "too deep": (("[" * 100_000,), ":1: JSON that cannot be read ("),
    "too many digits": (('{"text": ' + "1" * 5000 + "}",), ":1: JSON that cannot be read ("),
    "a list": (
        ("[1, 2]",),
        ':1: a list, \'[1, 2]\', expected an object like {"text": …, "label": …}. Mend this line.',
    ),
    "null": (("null",), ":1: null, 'null', expected an object"),
    "no key": (
        (GOOD, '{"sentence": "a", "y": 1}'),
        ":2: no key 'text' or 'tokens', found 'sentence', 'y'. Name it: --set reader.kind=jsonl --set "
        "reader.text=KEY (or reader.tokens).",
    ),
    "no key at all": (("{}",), ":1: no key 'text' or 'tokens', found none. "),
    "text": (
        ('{"text": ["a"]}',),
        ":1: 'text' is a list, '[\"a\"]', expected a string. Mend this line, or name another key: --set "
        "reader.kind=jsonl --set reader.text=KEY",
    ),
    "tokens": (('{"tokens": "a b"}',), ":1: 'tokens' is a string, '\"a b\"', expected a list of strings. "),
    "a token": (('{"tokens": ["a", 1]}',), ":1: 'tokens' is a list, '[\"a\", 1]', expected a list of strings. "),
    "tags": (('{"tokens": ["a"], "tags": true}',), ":1: 'tags' is a truth value, 'true', expected a list of strings"),
    "a tag": (('{"tokens": ["a"], "tags": [0.5]}',), ":1: 'tags' is a list, '[0.5]', expected a list of strings"),
    "a tag too few": (
        (GOOD, '{"tokens": ["a", "b"], "tags": ["O"]}'),
        ":2: 1 tag, expected 2, one for each token. Mend this line.",
    ),
    "tags alone": (
        ('{"text": "a", "tags": ["O"]}',),
        ":1: 'tags' without 'tokens', expected a token for each tag. Name the key of the tokens: ",
    ),
    "label": (
        ('{"text": "a", "label": {"a": 1}}',),
        ":1: 'label' is an object, '{\"a\": 1}', expected a string, a whole number or a list of them. ",
    ),
    "a label": (('{"text": "a", "label": ["x", 0.5]}',), ":1: 'label' is a list, '[\"x\", 0.5]', expected a string"),
    "an empty label": (
        (GOOD, '{"text": "a", "label": ""}'),
        ":2: an empty name in 'label'. Write one there, or leave the line out.",
    ),
    "an empty tag": (('{"tokens": ["a"], "tags": [""]}',), ":1: an empty name in 'tags'. Write one there"),
    "half a character": (
        (GOOD, '{"text": "a\\ud83d"}'),
        ":2: '\\ud83d' is half a character (a lone surrogate), expected whole ones. Mend this line; ",
    ),
    "blank lines": (("", ""), ": no example in it, expected a JSON object a line. "),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_files_name_path_line_and_next_move(tmp_path: Path, kind: str) -> None:
    lines, message = BROKEN[kind]
    with pytest.raises(DataError, match=f"^{re.escape(str(tmp_path / 'a.jsonl') + message)}"):
        read(tmp_path, *lines)


@pytest.mark.parametrize(
    ("text", "taken"), [('\n {"a": 1}\n', True), ('{ "a": [', True), ("[1]", False), ("{a: 1}", False), ("", False)]
)
def test_sniff(tmp_path: Path, text: str, taken: bool) -> None:
    path = tmp_path / "file"
    path.write_text(text)
    reader = construct("reader", {"kind": "jsonl"})
    assert reader.sniff(path) == ("a JSON object a line" if taken else None)


def test_numbers_and_scales(tmp_path: Path) -> None:
    first, second = read(tmp_path, '{"text": "a", "stars": 4.5, "of": 7}', '{"text": "b"}', number="stars", scale="of")
    assert (first["number"], first["scale"]) == (4.5, "7") and "number" not in second
    for line, said in (
        ('{"text": "a", "number": "8"}', "'number' is a string, '\"8\"', expected a number. Mend this line"),
        ('{"text": "a", "number": true}', "'number' is a truth value"),
        ('{"text": "a", "number": NaN}', "nan as 'number' is not finite, expected a number"),
        ('{"text": "a", "scale": [1]}', "'scale' is a list"),
        ('{"text": "a", "scale": ""}', "an empty name in 'scale'"),
    ):
        with pytest.raises(DataError, match=re.escape(f":1: {said}")):
            read(tmp_path, line)
