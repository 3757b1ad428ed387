"""The commands of the page on movements are such as the program takes, what it says of the recipe is so, and the
example makes what it says."""

from __future__ import annotations

import re
import runpy
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from recurra import registry
from recurra.config import load_recipe

from .commands import HOW_TO, check, commands

PAGE = (HOW_TO / "label-movements.md").read_text(encoding="utf-8")
EXAMPLE = Path(__file__).parents[2] / "examples" / "moving_digits.py"


@pytest.mark.parametrize("words", commands(PAGE), ids=str)
def test_a_command(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.csv").write_text("sequence,a,label\n1,2,x\n")
    check([word for word in words if not word.startswith("--out")], Path("my.csv"))


def test_the_table_is_the_recipe() -> None:
    recipe = load_recipe("activity")
    rows = re.findall(r"^\| (`[^|]*) \| ([\w.]+) \|", PAGE, re.MULTILINE)
    assert len(rows) == 7
    for names, value in rows:
        for name in re.findall(r"`([\w.]+)`", names):
            section, key = name.split(".")
            kind = recipe[section].get("kind")
            known = recipe[section].get(key, registry.defaults(section, kind).get(key) if kind else None)
            assert str(known).lower() == value, name


def test_moving_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(0)
    for part in ("train", "t10k"):
        pictures = np.zeros((20, 28, 28), np.uint8)
        pictures[:, 7:21, 7:21] = random.integers(100, 255, (20, 14, 14))
        labels = (np.arange(20) % 10).astype(np.uint8)
        for what, array in (("images-idx3", pictures), ("labels-idx1", labels)):
            raw = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
            (tmp_path / f"{part}-{what}-ubyte.gz").write_bytes(raw)
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), str(tmp_path), str(tmp_path / "out"), "--sequences", "10"])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    reader = registry.construct("reader", {"kind": "npz"})
    train, test = (list(reader.read(tmp_path / "out" / f"{part}.npz")) for part in ("train", "test"))
    assert (len(train), len(test)) == (10, 1)
    for example in (*train, *test):
        assert example["vectors"].shape == (20, 32 * 32) and len(set(example["tags"])) <= 2
        bright = example["vectors"].reshape(20, -1).max(1)
        assert (bright > 50).all()  # in every picture there is a digit
    assert any(len(set(example["tags"])) == 2 for example in train)
