"""`recurra export`, and `recurra predict` of what it wrote."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from recurra import cli

from .conftest import answered, sentence

pytestmark = pytest.mark.usefixtures("here")


def test_an_exported_run_writes_what_the_run_writes(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.call(["export", str(run), "--to", "onnx", "--out", "files"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert re.search(r"^files/model\.onnx: \d\.\d MB; LSTM; differs from torch by \S+ at most$", said[0])
    assert said[2].startswith('ask it: recurra predict files "…", or without recurra and torch: python files/client.py')
    words = ("The", "--length", "40", "--seed", "2", "--temperature", "0.7")
    expected = answered(capsys, "predict", str(run), *words)
    for path in ("files", "files/model.onnx", "files/step.onnx"):
        assert answered(capsys, "predict", path, *words) == expected


def test_eight_bits_say_what_they_cost(run: Path, runs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    found = answered(capsys, "export", str(run), "--out", "small", "--int8")["rounded"]
    assert found["metric"] == "nats_per_symbol" and found["data"] == "test"
    assert found["rounded"] == pytest.approx(found["score"], rel=0.05)
    assert cli.call(["export", runs[2], "--out", "labels", "--int8"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^weights in eight bits: accuracy \S+ on test, \S+ before \([+-]\S+\)$", said, re.MULTILINE)


def test_what_cannot_be_exported_is_one_sentence(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "unknown format 'tflite'. Known: onnx." in sentence(capsys, "export", str(run), "--to", "tflite")
    assert "nothing is no run. A run is the folder" in sentence(capsys, "export", "nothing")
    Path("full").mkdir()
    Path("full/notes").touch()
    assert "full holds something else than an export" in sentence(capsys, "export", str(run), "--out", "full")
    assert "gone.onnx is no run. A run is" in sentence(capsys, "predict", "gone.onnx", "The")


def test_a_run_of_a_stranger_exports_nowhere_else(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = shutil.copytree(run, tmp_path / "copied")
    (tmp_path / "own").mkdir()
    (copied / "onnx").symlink_to(tmp_path / "own")
    assert "onnx is a link, expected a folder of the run's own" in sentence(capsys, "export", str(copied))
    (copied / "onnx").unlink()
    (copied / "onnx").mkdir()
    (copied / "onnx" / "model.onnx").write_bytes(b"")
    (copied / "onnx" / "codecs.json").symlink_to(tmp_path / "mine")
    said = sentence(capsys, "export", str(copied))
    assert "codecs.json cannot be written: it is a link to " in said
    assert list((tmp_path / "own").iterdir()) == [] and not (tmp_path / "mine").exists()
