"""What a file of ours must hold: checked for form before it is used, with the file, the place and what was expected."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from recurra import forms
from recurra.errors import CheckpointError, ConfigError
from recurra.forms import ANYTHING, NOTHING, TRUTH, Either, Items, Number, Table, Text, Whole
from recurra.forms.files import COUNTERS, REPORT, VOCABULARY

HUGE = 10**400


def wrong(value: Any, form: forms.Form) -> str:
    with pytest.raises(CheckpointError) as error:
        forms.checked(value, form, "a.json", CheckpointError, "Mend it.")
    return str(error.value)


@pytest.mark.parametrize(
    ("value", "form", "said"),
    [
        (True, Whole(), "it is true, expected a whole number"),
        (1.0, Whole(), "it is 1.0, expected a whole number"),
        (2**63, Whole(), f"it is {2**63}, expected a whole number"),
        (HUGE, Whole(0), "it is a whole number of 1,329 bits, expected a whole number from 0"),
        (-1, Whole(0, 9), "it is -1, expected a whole number from 0 to 9"),
        ("x", Number(), 'it is "x", expected a finite number'),
        (float("nan"), Number(), "it is NaN, expected a finite number"),
        (float("inf"), Number(0), "it is Infinity, expected a number from 0"),
        (HUGE, Number(finite=False), "it is a whole number of 1,329 bits, expected a number, of 64 bits"),
        (False, Number(), "it is false, expected a finite number"),
        ("\ud800", Text(), r'it is "\ud800", expected whole characters, and no half of one (a lone surrogate)'),
        ("x" * 9, Text(8), 'it is "xxxxxxxxx", expected at most 8 characters'),
        (1, TRUTH, "it is 1, expected true or false"),
        (0, NOTHING, "it is 0, expected null"),
        ({}, Items(), "it is an object of 0 keys, expected a list"),
        ([1, [2, "x"]], Items(Either((Whole(), Items(Whole())))), '[1][1] is "x", expected a whole number'),
        ([1, 2], Items(most=1), "it is a list of 2, expected at most 1 items"),
        ([], Table(), "it is a list of 0, expected an object"),
        ({}, Table({"step": Whole(0)}), "step is missing, expected a whole number from 0"),
        ({"stp": 1}, Table(optional={"step": Whole()}, others=None), "stp is 1, expected no such key: did you mean"),
        ({"a": {"b\n": [None]}}, Table(others=Table(others=Items(Text()))), r'a."b\n"[0] is null, expected a string'),
        ("x", Either((Number(), NOTHING)), 'it is "x", expected a finite number or null'),
    ],
)
def test_a_value_of_another_form_is_named_with_its_place(value: Any, form: forms.Form, said: str) -> None:
    assert wrong(value, form).startswith(f"a.json: {said}")


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (-(2**63), Whole()),
        (7, Number()),
        (float("nan"), Number(finite=False)),
        ("\ud800", Text(halves=True)),
        ("é", Text()),
        (None, Either((Number(), NOTHING))),
        ({"x": [object]}, ANYTHING),
        ((1, 2), Items(Whole())),
    ],
)
def test_a_value_of_the_form_is_given_back(value: Any, form: forms.Form) -> None:
    assert forms.checked(value, form, "a.json", CheckpointError, "") is value


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "a.json: the file is empty, expected JSON"),
        (b" \n", "a.json: the file is empty, expected JSON"),
        (b'{"a": 1,\n', "a.json:2: no JSON (Expecting property name enclosed in double quotes, column 1)"),
        (b'{\n"\xff": 1}', "a.json:2: byte 0xff is not valid UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "a.json:1: byte 0xff is not valid UTF-8"),
        (b'{"a": 1, "b": 2, "a": 3}', 'a.json: JSON that cannot be used (the key "a" is there twice)'),
        (b"[" * 100_000, "a.json: lists or objects nested deeper than 256 levels"),
        (b"[" * 257 + b"]" * 257, "a.json: lists or objects nested deeper than 256 levels"),
        (b'{"a":' * 260 + b"1" + b"}" * 260, "a.json: lists or objects nested deeper than 256 levels"),
        (b"9" * 5000, "a.json: JSON that cannot be used (Exceeds the limit"),
    ],
)
def test_what_is_no_json_of_ours_is_refused(raw: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(raw)
    with pytest.raises(CheckpointError, match=re.escape(said)):
        forms.json_file(path)


def test_json_up_to_the_deepest_level_is_read_with_its_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"\xef\xbb\xbf" + b"[" * 32 + b"]" * 32)
    value, depth = forms.json_file(path), 0
    while value:
        value, depth = value[0], depth + 1
    assert depth == 31
    assert not forms.depth_beyond([[1], {"a": []}], 3) and forms.depth_beyond([[1], {"a": []}], 2)
    assert not forms.depth_beyond(1, 0)


def test_only_regular_files_of_a_stated_size_are_read(tmp_path: Path) -> None:
    pipe, folder, long = tmp_path / "pipe", tmp_path / "folder", tmp_path / "long"
    os.mkfifo(pipe)
    folder.mkdir()
    long.write_bytes(b"x" * 11)
    for path in (pipe, folder, Path(os.devnull)):  # none of them is waited for
        with pytest.raises(
            ConfigError, match=rf"{path}: cannot be read \(is a (pipe|folder|device), expected a regular file\)"
        ):
            forms.read_bytes(path, 10, ConfigError)
    with pytest.raises(CheckpointError, match=r"long: cannot be read \(it has 11 bytes, expected 10 at most\)"):
        forms.read_bytes(long, 10)
    with pytest.raises(CheckpointError, match=r"nowhere: cannot be read \(No such file or directory\)"):
        forms.read_bytes(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"cannot be read \(embedded null byte\)"):
        forms.read_bytes(tmp_path / "a\0b")


@pytest.mark.parametrize(
    ("form", "value", "said"),
    [
        (REPORT, {"scores": {"test": {"model": {"perplexity": "x"}}}}, "scores.test.model.perplexity is"),
        (REPORT, {"scores": {"test": {}}}, "scores.test.model is missing, expected an object"),
        (REPORT, {"minutes": {"training": float("nan")}}, "minutes.training is NaN"),
        (REPORT, {"sample": {"text": ["x"]}}, "sample.text is a list of 1, expected a string"),
        (REPORT, {"shown": [{"source": 1}]}, "shown[0].source is 1"),
        (REPORT, {"commands": "recurra"}, 'commands is "recurra", expected a list'),
        (COUNTERS, {"history": [1.0, float("inf")]}, "history[1] is Infinity, expected a finite number"),
        (COUNTERS, {"step": 1.5}, "step is 1.5, expected a whole number from 0"),
        (COUNTERS, {"steps": 1}, "steps is 1, expected no such key: did you mean 'step'"),
        (VOCABULARY, {"kind": "x", "settings": {}, "symbols": [1]}, "symbols[0] is 1, expected a string"),
    ],
)
def test_files_of_ours(form: forms.Form, value: Any, said: str) -> None:
    assert said in wrong(value, form)
