"""The page on DNA: its commands run on a small file, its table is the recipe."""

from __future__ import annotations

import json
import random
import re
import shlex
from pathlib import Path

import pytest

from recurra import cli, registry
from recurra.config import load_recipe

from .commands import HOW_TO, check, commands

PAGE = (HOW_TO / "classify-dna.md").read_text(encoding="utf-8")
SMALL = [
    *("--set", "training.epochs=2", "--set", "embedder.size=8", "--set", "core.hidden_size=6", "--threads", "1"),
    *("--set", "baseline.longest=2", "--set", "data.test_fraction=0.2"),
]


def sequences(path: Path) -> None:
    draw = random.Random(0)
    rows = []
    for k in range(60):
        motif = ("TATAAT", "GCGCGC")[k % 2]
        text = "".join(draw.choices("ACGT", k=5 + k % 3)) + motif + "".join(draw.choices("ACGTN", k=6))
        rows.append(f">s{k} class={'ab'[k % 2]}\n{text}\n")
    path.write_text("".join(rows))


@pytest.mark.parametrize("words", commands(PAGE), ids=str)
def test_a_command_is_one(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    named = next((word for word in words if word.startswith("sequences.")), "none")
    sequences(tmp_path / named)
    check([word for word in words if not word.startswith("--out")], Path(named))


def test_its_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    sequences(tmp_path / "sequences.fa")
    first = re.search(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    assert first is not None
    train, *others = [shlex.split(line, comments=True)[1:] for line in first[1].splitlines()]
    assert cli.call([*train, *SMALL]) == 0
    scores = json.loads((tmp_path / "run" / "report.json").read_text())["scores"]["test"]
    assert "mcc" in scores["model"]
    assert scores["baseline"][-1]["name"] == "logistic regression on k-mers of 1 to 2"
    for words in others:
        capsys.readouterr()
        assert cli.call(words) == 0, words
    assert "What a change of a base would do" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert (tmp_path / "exported" / "client.py").exists()
    capsys.readouterr()
    assert cli.call(["stream", "run"]) != 0
    assert "motifs" in capsys.readouterr().err


def test_the_table_is_the_recipe() -> None:
    recipe = load_recipe("dna")
    rows = re.findall(r"^\| (`[^|]*) \| ([\w.]+) \|", PAGE, re.MULTILINE)
    assert len(rows) == 7
    for names, value in rows:
        for name in re.findall(r"`([\w.]+)`", names):
            section, key = name.split(".")
            known = recipe[section].get(key, registry.defaults(section, recipe[section]["kind"]).get(key))
            assert str(known).lower() == value, name
