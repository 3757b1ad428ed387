"""Programs that ask an exported model: they read texts as the run does, need no torch, and say what the run says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recurra import registry
from recurra.errors import ConfigError
from recurra.export.client import client
from recurra.export.clients import characters, lines, octets, subwords, tokens
from recurra.export.write import export

from .conftest import TEXT, fitted, make_model, run_of

TEXTS = [
    "the dogs' 2nd home\n(isn't big)",
    "Où est-elle ? 12½ ٣ ², 中文字 und_so…",
    "",
    " a  b\t\n",
    "i'm you'll WE'VE 🎉🎈",
]
BLOCK = "import sys; sys.modules.update(torch=None, recurra=None, sympy=None); import runpy; "


@pytest.mark.parametrize(
    ("module", "settings"),
    [
        (characters, {"kind": "character"}),
        (octets, {"kind": "byte"}),
        (lines, {"kind": "word"}),
        (lines, {"kind": "word", "split": "words", "lower": True, "digits": True}),
    ],
)
def test_long_texts_are_read_and_written_as_by_the_vocabulary(module: Any, settings: dict[str, Any]) -> None:
    vocabulary = fitted(settings)
    for text in [TEXT, *TEXTS]:
        numbers = vocabulary.encode(text).tolist()
        assert module.numbers_of(vocabulary.to_json(), text) == numbers
        assert module.text_of(vocabulary.to_json(), numbers) == vocabulary.decode(numbers)


@pytest.mark.parametrize(
    ("module", "settings"),
    [
        (tokens, {"kind": "tokens", "split": "words", "lower": True, "digits": True}),
        (tokens, {"kind": "tokens", "split": "space"}),
        (tokens, {"kind": "tokens", "split": "characters"}),
        (subwords, {"kind": "subwords"}),
        (subwords, {"kind": "subwords", "model": "unigram", "lower": True, "size": 290}),
    ],
)
def test_texts_that_come_one_by_one_are_read_and_written_as_by_the_vocabulary(
    module: Any, settings: dict[str, Any]
) -> None:
    if settings.get("model") == "unigram":
        vocabulary = registry.construct("vocabulary", settings).fit_texts([TEXT, *TEXTS])
    else:
        vocabulary = fitted(settings)
    for text, numbers in zip([TEXT, *TEXTS], vocabulary.encode_texts([TEXT, *TEXTS]), strict=True):
        assert module.numbers_of(vocabulary.to_json(), text) == numbers.tolist()
        assert module.text_of(vocabulary.to_json(), numbers.tolist()) == vocabulary.text(numbers)


RUNS: list[tuple[str, dict[str, Any], str]] = [
    ("char-lm", {}, "the dogs"),
    ("char-lm", {"core": {"kind": "transformer", "hidden_size": 8, "heads": 2, "causal": True, "span": 6}}, "the "),
    ("slots", {}, "where did 2 dogs go home"),
    ("classifier", {"core.bidirectional": False, "task.pooling": "last"}, "where did the cat go ?"),
    ("fill", {}, "where did ___ go home"),
    ("translate-characters", {}, "the dogs ran home."),
    ("pronounce", {}, "the cat"),
    ("answer", {}, "the cat ran home. the dogs ran. where did the cat go?"),
]


@pytest.mark.parametrize(("recipe", "settings", "text"), RUNS)
def test_a_client_without_torch_says_what_the_run_says(
    recipe: str, settings: dict[str, Any], text: str, here: Path
) -> None:
    run = run_of(make_model(recipe, settings), here / "run")
    report = here / "run" / "report.json"
    report.parent.mkdir()
    report.write_text("{}", encoding="utf-8")
    export(run, here / "out")
    program = f"{BLOCK}sys.argv = ['client.py', {text!r}]; runpy.run_path('out/client.py', run_name='__main__')"
    environment = {**os.environ, "PYTHONPATH": "", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout.rstrip("\n")
    if run.does == "write":
        assert said == (text + run.predict(text, length=200, temperature=0.8)).rstrip("\n")
    elif run.does == "translate":
        assert said == run.predict(text, beam=5, length_penalty=0.6)[0]["target"]
    elif run.does == "fill":
        (blank,) = run.predict(text)[0]["blanks"]
        expected = {side: {one["symbol"]: round(one["p"], 4) for one in blank[side]} for side in ("both", "left")}
        assert [list(found) for found in json.loads(said)[0].values()] == [list(one) for one in expected.values()]
    elif recipe == "answer":
        assert said == run.predict(text)[0]["label"]
    else:
        assert json.loads(said) == run.predict(text)[0]


def test_a_client_is_short_and_holds_only_what_it_needs() -> None:
    program = client("generate", {"input": fitted({"kind": "character"})})
    assert len(program.splitlines()) < 90 and "recurra." not in program
    assert "join_words" not in program and "import re" not in program


def test_a_vocabulary_that_no_client_can_read_is_refused() -> None:
    class Mine:
        def to_json(self) -> dict[str, Any]:
            return {"kind": "mine"}

    with pytest.raises(ConfigError, match=r"cannot read the vocabulary 'mine', which is a plugin's. It reads"):
        client("tag", {"input": Mine()})
