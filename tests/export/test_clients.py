"""Programs that ask an exported model: they read texts as the run does, need no torch, and say what the run says."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from recurra import cli, registry, workflow
from recurra.answers import notes_of
from recurra.answers.notes import NOTHING
from recurra.export.client import VOCABULARIES, client, no_client
from recurra.export.clients.bases import Bases
from recurra.export.clients.characters import Characters
from recurra.export.clients.lines import Lines
from recurra.export.clients.octets import Octets
from recurra.export.clients.subwords import Subwords
from recurra.export.clients.tokens import Tokens
from recurra.export.opened import load_export
from recurra.export.write import export

from .conftest import TEXT, fitted, make_model, run_of

TEXTS = [
    "the dogs' 2nd home\n(isn't big)",
    "Où est-elle ? 12½ ٣ ², 中文字 und_so…",
    "",
    " a  b\t\n",
    "i'm you'll WE'VE 🎉🎈",
    "हिन्दी में, লিখা น้ำ தமிழ் שָׁלוֹם مُحَمَّدٌ",
    "می\u200cخواهم l'e\u0301te\u0301 👩🏽\u200d🚀 1\ufe0f\u20e3 \u0301x Zu\u00adsammen 10\u00a0000",
]
BLOCK = "import sys; sys.modules.update(torch=None, recurra=None, sympy=None); import runpy; "


@pytest.mark.parametrize(
    ("reader", "settings"),
    [
        (Characters, {"kind": "character"}),
        (Octets, {"kind": "byte"}),
        (Lines, {"kind": "word"}),
        (Lines, {"kind": "word", "split": "words", "lower": True, "digits": True}),
    ],
)
def test_long_texts_are_read_and_written_as_by_the_vocabulary(reader: Any, settings: dict[str, Any]) -> None:
    vocabulary = fitted(settings)
    for text in [TEXT, *TEXTS]:
        numbers = vocabulary.encode(text).tolist()
        assert reader.numbers_of(vocabulary.record(), text) == numbers
        assert reader.text_of(vocabulary.record(), numbers) == vocabulary.decode(numbers)


def test_bases_are_read_and_written_as_by_the_codec() -> None:
    codec = fitted({"kind": "bases"})
    for text in ("ACGU\nnnry acgt", "", "WSKMBDHV"):
        numbers = codec.encode(text).tolist()
        assert Bases.numbers_of(codec.record(), text) == numbers
        assert Bases.tokens_of(codec.record(), text) == codec.tokens(text)
        assert Bases.text_of(codec.record(), numbers) == codec.decode(numbers)
    with pytest.raises(ValueError, match="'X' at base 3 is no base"):
        Bases.numbers_of(codec.record(), "ACX")


@pytest.mark.parametrize(
    ("reader", "settings"),
    [
        (Tokens, {"kind": "tokens", "split": "words", "lower": True, "digits": True}),
        (Tokens, {"kind": "tokens", "split": "space"}),
        (Tokens, {"kind": "tokens", "split": "characters"}),
        (Subwords, {"kind": "subwords"}),
        (Subwords, {"kind": "subwords", "model": "unigram", "lower": True, "size": 290}),
    ],
)
def test_texts_that_come_one_by_one_are_read_and_written_as_by_the_vocabulary(
    reader: Any, settings: dict[str, Any]
) -> None:
    if settings.get("model") == "unigram":
        vocabulary = registry.construct("codec", settings).fit([TEXT, *TEXTS])
    else:
        vocabulary = fitted(settings)
    for text, numbers in zip([TEXT, *TEXTS], map(vocabulary.encode, [TEXT, *TEXTS]), strict=True):
        assert reader.numbers_of(vocabulary.record(), text) == numbers.tolist()
        assert reader.text_of(vocabulary.record(), numbers.tolist()) == vocabulary.decode(numbers)


RUNS: list[tuple[str, dict[str, Any], str]] = [
    ("char-lm", {}, "the dögs"),
    ("char-lm", {"core": {"kind": "transformer", "hidden_size": 8, "heads": 2, "causal": True, "span": 6}}, "the "),
    ("slots", {}, "where did 2 dogs go Ulaanbaatar"),
    ("classifier", {"core.bidirectional": False, "task.pooling": "last"}, "where did the cat go ?"),
    ("classifier", {"task.ngrams": 3}, "where did she go home, the dogs, the dogs"),
    ("fill", {}, "where did ___ go Ulaanbaatar"),
    ("translate-characters", {}, "the dogs ran home."),
    ("translate", {"vocabulary": {"kind": "tokens"}, "task.tied": "output", "search.beam": 2}, "the Ulaanbaatar dogs"),
    ("pronounce", {}, "the cat"),
    ("pronounce", {"search.beam": 2, "search.length_penalty": 2.0, "search.longest": 9}, "the cat"),
    ("translate-characters", {"search.beam": 3, "search.no_repeat": 1, "search.length_penalty": 0.0}, "the dogs"),
    ("pronounce", {"search.beam": 1, "search.no_repeat": 2}, "the cat"),
    ("answer", {}, "the cat ran home. the dogs ran. where did the cat go?"),
]


def asked(*words: str) -> subprocess.CompletedProcess[str]:
    """The client in the folder `out`, without torch and recurra."""
    program = f"{BLOCK}sys.argv = {['client.py', *words]!r}; runpy.run_path('out/client.py', run_name='__main__')"
    environment = {**os.environ, "PYTHONPATH": "", "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, encoding="utf-8", check=False
    )


@pytest.mark.parametrize(("recipe", "settings", "text"), RUNS)
def test_a_client_without_torch_says_what_the_run_says(
    recipe: str, settings: dict[str, Any], text: str, here: Path
) -> None:
    run = run_of(make_model(recipe, settings), here / "run")
    if recipe != "pronounce" and "search" in run.config:
        with torch.no_grad():
            run.model.task.bias[0] = 1.0  # the unknown symbol, which is copied
    report = here / "run" / "report.json"
    report.parent.mkdir()
    report.write_text("{}", encoding="utf-8")
    export(run, here / "out")
    some = {"length": 1} if run.continues else {}
    top = 0 if settings else 2
    done = asked(text, *(["--top", str(top)] if top else []))
    known = [note for note in notes_of(run.predict(text, **some)) if "does not know" in note]
    assert done.returncode == 0 and done.stderr == "".join(f"{note}\n" for note in known)
    said = done.stdout.rstrip("\n")
    if top:
        sampled = {"length": 200, "temperature": 0.8} if run.continues else {}
        alike(json.loads(said), run.predict(text, top=top, **sampled)[0].json())
    elif run.continues:
        (found,) = run.predict(text, length=200, temperature=0.8)
        assert said == (text + found["text"]).rstrip("\n")
    elif "search" in run.config:
        assert said == run.predict(text)[0]["target"]
    else:
        assert json.loads(said) == run.predict(text)[0].json()


def alike(said: Any, expected: Any) -> None:
    """What a client says is what the run says: the same names, and the same numbers but for rounding."""
    if isinstance(said, dict):
        for name, value in said.items():
            alike(value, expected[name])
    elif isinstance(said, list):
        assert len(said) == len(expected)
        for one, other in zip(said, expected, strict=True):
            alike(one, other)
    else:
        assert said == (pytest.approx(expected, abs=1e-4) if isinstance(expected, float) else expected)


@pytest.mark.parametrize(
    ("recipe", "settings", "why"),
    [
        ("poem", {}, "form kept"),
        ("pronounce", {"search": {"temperature": 0.5, "seed": 3}}, "is: drawn at random, temperature 0.5, seed 3"),
    ],
)
def test_there_is_no_client_for_what_none_can_do(
    recipe: str, settings: dict[str, Any], why: str, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    model = make_model(recipe)
    model.config.update(settings)
    run = run_of(model, here / "run")
    (here / "out").mkdir()
    (here / "out" / "model.onnx").touch()
    (here / "out" / "client.py").touch()  # of an earlier export of another run
    written = export(run, here / "out")
    assert written.no_client.endswith(why) and not (here / "out" / "client.py").exists()
    told = (here / "out" / "README.md").read_text(encoding="utf-8")
    assert why in told and 'recurra predict . "…"' in told and "python client.py" not in told
    monkeypatch.setattr(workflow, "export", lambda *_, **__: written)
    assert cli.call(["export", "run"]) == 0
    *_, lacking, ask = capsys.readouterr().out.splitlines()
    assert lacking.startswith("no client.py, which could not ask it as the run is asked: ") and lacking.endswith(why)
    assert ask == f'ask it: recurra predict {here / "out"} "…"'
    choice = {"form": False} if recipe == "poem" else {}  # no symbol of these is a character of a poem
    ours, theirs = (each.predict("the cat", **choice)[0]["target"] for each in (load_export(here / "out"), run))
    assert ours == theirs


def test_a_client_without_a_text_says_how_it_is_asked(here: Path) -> None:
    export(run_of(make_model("slots"), here / "run"), here / "out")
    done = asked(" ")
    assert json.loads(done.stdout) == {"notes": [NOTHING]} and done.stderr == f"{NOTHING}\n"
    for words in ((), ("two", "words")):
        done = asked(*words)
        assert done.returncode == 1 and not done.stdout
        assert done.stderr == 'usage: python client.py "the text, in quotation marks" [--top N]\n'
    export(run_of(make_model("char-lm"), here / "run"), here / "out")
    assert asked().returncode == 0 and asked("two", "words").returncode == 1


def test_a_client_refuses_the_vocabulary_of_another_model(here: Path) -> None:
    export(run_of(make_model("char-lm"), here / "run"), here / "out")
    symbols = here / "out" / "codecs.json"
    symbols.write_text(symbols.read_text(encoding="utf-8").replace('"a"', '"ä"'), encoding="utf-8")
    done = asked("the dogs")
    assert done.returncode == 1
    assert "codecs.json is of another model than step.onnx. Copy the export's whole folder." in done.stderr


def test_a_client_is_short_and_holds_only_what_it_needs() -> None:
    program = client("continuation", ["character"])
    assert len(program.splitlines()) < 240 and "recurra." not in program
    assert "join_words" not in program and "import re" not in program


def test_there_is_no_client_for_a_vocabulary_of_a_plugins(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(make_model("slots"), here / "run")
    monkeypatch.setattr(run.model.codecs["input"], "record", lambda: {"kind": "mine"})
    assert no_client(run) == "no client reads mine"


@pytest.mark.parametrize("way", ["blanks", "continuation", "labels", "story", "translation"])
def test_what_a_client_is_put_together_from_has_no_name_twice(way: str) -> None:
    """Every vocabulary may be read by one program."""
    names: list[str] = []
    for node in ast.parse(client(way, VOCABULARIES)).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.append(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names += [n.id for each in targets for n in ast.walk(each) if isinstance(n, ast.Name)]
    made = [name for name in names if name not in ("READERS", "FILES")]  # tables that modules write into
    assert len(made) == len(set(made)) and "MARKS" in names and "answer" in names
