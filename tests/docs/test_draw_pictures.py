"""docs/how-to/draw-pictures.md names what there is, and its commands can be planned and given."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import recurra
from recurra import cli
from recurra.data.readers.idx import packed
from recurra.data.sets import set_names
from recurra.registry import construct, find

from .commands import HOW_TO, check, commands

PAGE = (HOW_TO / "draw-pictures.md").read_text(encoding="utf-8")
NAME = "train-images-idx3-ubyte.gz"
SMALL = {"task.steps": 2, "task.latent": 2, "task.hidden_size": 4, "training.epochs": 1, "training.device": "cpu"}


def test_every_command_can_be_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / NAME).write_bytes(find("reader", "idx").sample.files["images"])
    found = commands(PAGE)
    assert len(found) == 3
    for words in found:
        check(words, tmp_path / NAME)


def test_what_is_drawn_with_the_words_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pictures = np.random.default_rng(0).integers(0, 256, (30, 6, 5)).astype(np.uint8)
    Path("images").write_bytes(packed(pictures))
    recurra.train("draw", "images", out="run", settings=SMALL)
    for name, picture in zip(("seven", "two"), pictures, strict=False):
        Image.fromarray(picture).save(f"{name}.png")
    told = re.findall(r"^recurra ((?:predict|inspect) run.*)$", PAGE, re.MULTILINE)
    assert len(told) == 5
    for line in told:
        assert cli.call(shlex.split(line, comments=True)) == 0, line
    assert {path.name for path in tmp_path.glob("*.[pg]*")} >= {"new.png", "new.gif", "again.png", "way.png"}
    assert "How it is drawn" in Path("inside.html").read_text(encoding="utf-8")


def test_the_sets_parts_and_settings_named_are_there() -> None:
    (line,) = re.findall(r"Sets known by name: (.*)\.", PAGE)
    assert {*re.findall(r"`([^`]+)`", line)} <= {*set_names()}
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    task = tomllib.loads(block)["task"]
    assert construct("task", task)
    for kind in ("idx", "image-folders", "digit-crops"):
        assert f"| `{kind}` |" in PAGE and "image" in find("reader", kind).fields
