"""recurra lab"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from recurra import cli

GRADIENTS = ["lab", "gradients", "--lags", "8", "--hidden", "4", "--cells", "lstm", "gru"]
MEMORY = ["lab", "memory", "--lags", "4", "--hidden", "4", "--cells", "rnn-tanh", "--steps", "2", "--minutes", "1"]


def test_gradients(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.call([*GRADIENTS, "--out", str(tmp_path / "found")]) == 0
    told = capsys.readouterr().out
    assert "-0.105361  -0.105361" in told and "0.095310   0.095310" in told
    assert "non-normal W (σ₁ 2.31, ρ 0.90)" in told and "lstm, forget bias 1" in told
    files = sorted(file.name for file in (tmp_path / "found").iterdir())
    pictures = ["gradients-cells-at-their-start.svg", "gradients-linear.svg", "gradients-tanh.svg"]
    assert files == [*pictures, "gradients.json"]
    for name in pictures:
        picture = (tmp_path / "found" / name).read_text(encoding="utf-8")
        ET.fromstring(picture)
        bounded = name != "gradients-cells-at-their-start.svg"  # of Elman networks, which are none of these
        assert ("dashed: at most" in picture) is ('stroke-dasharray="5 4"' in picture) is bounded
    assert cli.call([*GRADIENTS, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads((tmp_path / "found" / "gradients.json").read_text(encoding="utf-8"))
    assert len(found["decays"][0]["norms"]) == 9


def test_memory(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.call([*MEMORY, "--problems", "adding", "--out", str(tmp_path)]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split()[:6] == ["problem", "lag", "cell", "clipped", "error", "baseline"]
    assert [row.split()[:4] for row in rows] == [["adding", "4", "rnn-tanh", way] for way in ("yes", "no")]
    assert all("0.1667  not solved (2 steps)" in row for row in rows)
    ET.fromstring((tmp_path / "memory-adding-4.svg").read_text(encoding="utf-8"))
    kept = json.loads((tmp_path / "memory.json").read_text(encoding="utf-8"))
    assert cli.call([*MEMORY, "--problems", "adding", "--out", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == kept
    assert cli.call([*MEMORY, "--problems", "copy", "--clipping", "off"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:4] == ["copy", "4", "rnn-tanh", "no"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lab", "gradient"], "gradient"),
        (["lab", "memory", "--cells", "lstn"], "did you mean 'lstm'"),
        (["lab", "memory", "--lags", "1"], "lag 1, expected 2 or more"),
        (["lab", "memory", "--problems", "subtracting"], "subtracting"),
        (["lab", "memory", "--minutes", "0"], "0.0 minutes"),
        (["lab", "memory", "--threads", "0"], "threads = 0"),
        (["lab", "gradients", "--minutes", "1"], "--minutes"),
        (["lab", "gradients", "--lags", "8000"], "lags = 8000, expected 3000 at most"),
        (["lab", "gradients", "--lags", "2"], "lags = 2, expected 4 or more"),
    ],
)
def test_what_is_wrong_is_said(capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    assert cli.call(words) == 2
    assert said in capsys.readouterr().err


def test_a_file_in_the_place_of_the_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    for words in (GRADIENTS, MEMORY):
        assert cli.call([*words, "--out", str(tmp_path / "taken")]) == 2
        assert "taken is a file, expected a folder" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["gradients"], ["memory"]])
def test_help(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert cli.call(["lab", *words, "--help"]) == 0
    assert "Usage: recurra lab" in capsys.readouterr().out
