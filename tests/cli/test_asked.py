"""What is asked besides: symbols that a run does not know, inputs that are empty, and how likely answers are."""

from __future__ import annotations

import io
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import recurra
from recurra import cli
from recurra.answers.notes import NOTHING
from recurra.decoding.sample import sample
from recurra.errors import ConfigError
from recurra.runs.about import about
from recurra.runs.writing import Prose, Target, Writing

RUNS = Path(__file__).parent.parent / "fixtures" / "runs"
NAMED = "the run does not know 'Ulan' (line 1, {unit} {place})"
OTHERS = ["tagger", "classifier", "topics", "translator", "poet", "filler", "answerer", "slots"]


def run(name: str) -> Any:
    return recurra.load(RUNS / name, device="cpu")


def piped(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8"))


@pytest.mark.parametrize("name", OTHERS)
def test_nothing_is_answered_by_nothing(
    name: str, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, path = run(name), str(RUNS / name)
    assert [dict(each) for each in opened.predict("", " \t\u200b", [])] == [{"notes": [NOTHING]}] * 3
    for words in ([path, ""], [path, " "]):
        assert cli.call(["predict", *words]) == 0
        assert capsys.readouterr() == ("\n", f"recurra: {NOTHING}\n")
    (tmp_path / "lines.txt").write_text("\n \n", encoding="utf-8")
    for source in (str(tmp_path / "lines.txt"), "-"):
        piped(monkeypatch, "\n \n")
        assert cli.call(["predict", path, "--input", source, "--json"]) == 0
        out, err = capsys.readouterr()
        assert json.loads(out) == [{"notes": [NOTHING]}] * 2
        assert err == "recurra: lines 1, 2 are empty, so nothing is answered.\n"


def test_a_stream_says_what_is_empty_and_unknown(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said = f"recurra: line 2 is empty, so nothing is answered.\nrecurra: {NAMED.format(unit='token', place=3)}.\n"
    for words in ([], ["--json"], ["--json", "--each"]):
        piped(monkeypatch, "to from Ulan\n \nto Ulan\n")
        assert cli.call(["stream", str(RUNS / "tagger"), *words]) == 0
        out, err = capsys.readouterr()
        assert err == said
        if words:
            rows = [json.loads(line) for line in out.splitlines()]
            assert {"line": 2, "text": " ", "notes": [NOTHING]} in rows
            assert any(row.get("unknown") in (True, ["Ulan"]) for row in rows)
    piped(monkeypatch, "the dög\n\nö\n")
    assert cli.call(["stream", str(RUNS / "writer")]) == 0
    assert capsys.readouterr().err == "recurra: the run does not know 'ö' (line 1, character 6).\n"


@pytest.mark.parametrize(("name", "unit", "place"), [("tagger", "token", 2), ("writer", "character", 6)])
def test_many_unknown_symbols_are_one_sentence(name: str, unit: str, place: int, capsys: Any) -> None:
    text = " ".join(["to", *(("Ü" if unit == "token" else "") + chr(0x4E00 + k) for k in range(60))])
    assert cli.call(["predict", str(RUNS / name), text]) == 0
    (said,) = capsys.readouterr().err.splitlines()
    assert said.endswith(", ….") and said.count(unit) == 5
    (answer,) = run(name).predict(text)
    assert len(answer["unknown"]) == len(answer["unknown_places"]) == 60
    assert run(name).predict("to")[0].unknown == ()


def certain(log_p: np.ndarray) -> Any:
    """A step that gives the same log-probabilities always."""
    return lambda state, token: (log_p, state)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_what_has_no_name_is_not_drawn(temperature: float, monkeypatch: pytest.MonkeyPatch) -> None:
    log_p = np.log(np.array([0.98, 0.01, 0.01]))
    assert 0 in sample(certain(log_p), None, [1], 20, temperature=temperature)
    drawn = sample(certain(log_p), None, [1], 20, temperature=temperature, never=0)
    assert not (drawn == 0).any() and log_p[0] == np.log(0.98)
    opened = run("writer")
    with torch.no_grad():
        opened.model.task.bias[0] += 50.0  # nothing but the unknown symbol, if it could be drawn
    session = opened.session()
    session.feed("the ")
    found = [opened.predict("the ", length=20, temperature=temperature)[0]["text"]]
    found.append(session.write(20, temperature=temperature))
    writing = Writing("the ", {"length": 20, "temperature": temperature, "top": 3})
    found.append(written(writing, Prose(opened.model, "the ", opened.session())))
    assert len(set(found)) == 1 and "\ufffd" not in found[0]
    assert not any(one["symbol"] == "\ufffd" for _, event in writing.events[:-1] for one in event["alternatives"])


def written(writing: Writing, voice: Any) -> str:
    writing.begin(voice)
    while not writing.further():
        pass
    writing.end(None)
    symbols = "".join(event["text"] for name, event in writing.events if name == "symbol")
    text: str = writing.events[-1][1]["text"]
    assert symbols == text
    return text


def test_what_a_decoder_has_no_name_for_is_copied_or_not_written() -> None:
    for name, source in (("translator", "the platypus sings ."), ("poet", "5x4 platypus"), ("speller", "OXAB")):
        opened = run(name)
        codec = opened.model.codecs["target"]
        with torch.no_grad():
            opened.model.task.bias[codec.unknown] += 50.0
        for options in ({"beam": 1}, {"beam": 3}, {"temperature": 1.0}):
            (answer,) = opened.predict(source, longest=5, **options)
            assert codec.symbols[codec.unknown] not in answer["target"] and "⁇" not in answer["target"]
            if name == "translator":
                assert set(answer["target"].replace(".", " .").split()) <= set(source.split())
        writing = Writing(source, {"length": 5, "temperature": 0.0})
        (answer,) = opened.predict(source, beam=1, longest=5)
        assert written(writing, Target(opened, source, opened.options().form)) == answer["target"]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("tagger", "to Boston", r"to\tO\t0\.\d{3}\tO 0\.\d{3}  \S+ 0\.\d{3}\nBoston\t\S+\t0\.\d{3}\t.*\n\n"),
        ("slots", "to Boston", r"# label = \w+\t\w+ 0\.\d{3}  \w+ 0\.\d{3}\nto\tO\t0\.\d{3}\t.*\nBoston(?s:.*)"),
        ("classifier", "the soup", r"(\w+)\t\1 0\.\d{3}  \w+ 0\.\d{3}\tthe soup\n"),
        ("topics", "the soup", r"[\w ()]+\t\w+ 0\.\d{3}  \w+ 0\.\d{3}\tthe soup\n"),
        ("answerer", "Ann went to the yard. Where is Ann?", r"(\w+)\t\1 0\.\d{3}  \w+ 0\.\d{3}\tAnn went.*\n"),
        ("filler", "the ___ sells", r"the ___ sells\n  both sides  \S+ 0\.\d{3}  \S+ 0\.\d{3}\n  left only .*\n"),
        ("translator", "the red fox", r"(-\d+\.\d{4}\t-\d+\.\d{4}\t.*\n){2}\n"),
        ("poet", "5x4 x", r"# 5x4 x\t-\d+\.\d{4}\n(.{5}[，。]\n){4}# -\d+\.\d{4}\t-\d+\.\d{4}\t.{24}\n\n"),
        ("writer", "the ", r"the (?s:.*)\n\n(\S+\t0\.\d{3}\t\S+ 0\.\d{3}  \S+ 0\.\d{3}\n){300}"),
    ],
)
def test_every_task_says_how_likely_its_answers_are(name: str, text: str, expected: str, capsys: Any) -> None:
    assert cli.call(["predict", str(RUNS / name), text, "--top", "2"]) == 0
    shown = capsys.readouterr().out
    assert re.fullmatch(expected, shown), shown
    assert cli.call(["predict", str(RUNS / name), text, "--top", "2", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    several = [found.get(key) for key in ("likeliest", "hypotheses")] + [
        *found.get("likeliest_tags", ()),
        *(blank["both"] for blank in found.get("blanks", ())),
        *(symbol["alternatives"] for symbol in found.get("symbols", ())),
    ]
    several = [each for each in several if each is not None]
    assert several and all(len(each) == 2 for each in several)
    for one, other in several:
        first, second = (each["p"] if "p" in each else each["score"] for each in (one, other))
        assert first >= second
    assert all(each["log_p"] < 0 for each in found.get("hypotheses", ()))
    without = run(name).predict(text)[0]
    for key in ("tags", "label", "labels", "text"):
        assert found.get(key) == without.get(key)


def test_a_beam_is_as_wide_as_what_it_is_to_give() -> None:
    opened = run("translator")
    assert len(opened.predict("the red fox", top=7, beam=2)[0]["hypotheses"]) == 7
    with pytest.raises(ConfigError, match=r"search.top and search.n_best say the same"):
        opened.predict("the red fox", top=3, n_best=2)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("writer", "A character model of prose.txt, LSTM 1×8, 30 seconds"),
        ("tagger", "A tagger of train.conll, LSTM 1×8, 2.5 minutes"),
        ("topics", "A classifier of train.topics.jsonl, LSTM 1×8 both ways, 3 hours"),
    ],
)
def test_a_run_says_what_it_is_of_its_data(name: str, line: str) -> None:
    opened = run(name)
    minutes = {"writer": 0.5, "tagger": 2.5, "topics": 180.0}[name]
    assert about(opened, {"minutes": {"training": minutes, "around": 9.0}}) == line
    assert about(opened, {"minutes": minutes}) == line and about(opened, {}) == line.rpartition(", ")[0]
    data = {"train": ["a/one.txt", "two.txt", "three.txt"]}
    several = replace(opened, config={**opened.config, "data": data})
    assert " of one.txt, two.txt and 1 more, " in about(several, {})
    assert " of atis, " in about(replace(opened, config={**opened.config, "data": {"set": "atis"}}), {})
