"""The commands on the page about evaluating language models run, with a small run in the place of the reader's."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from recurra import cli

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "evaluate-a-language-model.md").read_text(encoding="utf-8")
PROSE = ROOT / "tests" / "fixtures" / "prose.txt"
TINY = (
    "core.hidden_size=8 embedder.size=8 batching.streams=4 batching.steps=16 training.epochs=1 "
    "training.schedule=constant training.device=cpu training.threads=1 baseline.order=3"
)
SMALL = [word for setting in TINY.split() for word in ("--set", setting)]


def commands() -> list[list[str]]:
    """The page's commands, as words behind `recurra`."""
    lines = "".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)).splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = PROSE.read_text(encoding="utf-8")
    Path("my.txt").write_text(text, encoding="utf-8")
    Path("other.txt").write_text(text[:2000], encoding="utf-8")
    assert cli.call(["train", "word-lm-small", "my.txt", "--out", "run", *SMALL]) == 0


def test_the_commands_run(here: None, capsys: pytest.CaptureFixture[str]) -> None:
    evaluating = [words for words in commands() if words[0] == "evaluate"]
    assert len(evaluating) == 5
    for words in evaluating:
        capsys.readouterr()
        assert cli.call([*words, "--device", "cpu"]) == 0
        said = capsys.readouterr().out
        for option, row in (("--dynamic", "dynamic evaluation"), ("--cache", "neural cache")):
            assert (row in said) == (option in words)
    assert [row["name"] for row in json.loads(said)["adapted"]] == ["dynamic evaluation", "neural cache"]


def test_the_settings_of_the_table_are_taken(here: None, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [shlex.split(words) for words in re.findall(r"\| `(--.*?)`", PAGE)]
    assert len(rows) == 5
    for words in rows:
        assert cli.call(["evaluate", "run", *words, "--no-baseline", "--device", "cpu"]) == 0, capsys.readouterr().err


def test_an_adaptive_softmax_trains(here: None, capsys: pytest.CaptureFixture[str]) -> None:
    (words,) = (words for words in commands() if words[0] == "train")
    assert words[-1] == "task.softmax.cutoffs=[2000,10000]"
    smaller = [*words[:-1], "task.softmax.cutoffs=[50,120]", "--out", "adaptive"]
    assert cli.call([*smaller, *SMALL, "--set", "task.softmax.factor=2"]) == 0
    assert cli.call(["evaluate", "adaptive", "--cache", "--device", "cpu"]) == 0
    assert cli.call(["predict", "adaptive", "the", "--length", "5"]) == 0
