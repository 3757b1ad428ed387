"""docs/how-to/write-music-and-draw.md names what there is, and its commands can be planned."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from recurra.data.sets import set_names
from recurra.registry import construct, find

from .commands import HOW_TO, check, commands

PAGE = (HOW_TO / "write-music-and-draw.md").read_text(encoding="utf-8")


def test_every_command_can_be_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "songs").mkdir()
    (tmp_path / "songs" / "a.mid").write_bytes(find("reader", "midi").sample.files["a.mid"])
    (tmp_path / "drawings.npz").write_bytes(find("reader", "pen-strokes").sample.files["a.npz"])
    found = commands(PAGE)
    assert len(found) == 3
    for words in found:
        check([word.rstrip("/") for word in words], tmp_path / ("songs" if "music" in words else "drawings.npz"))


def test_the_sets_and_parts_named_are_there() -> None:
    (line,) = re.findall(r"Sets known by name: (.*)\.", PAGE)
    assert {*re.findall(r"`([^`]+)`", line)} <= {*set_names()}
    for kind in re.findall(r'^kind = "(roll|pen)"', PAGE, re.MULTILINE):
        assert construct("codec", {"kind": kind})
    assert len(re.findall(r'emission = \{kind = "(bernoulli|pen)"', PAGE)) == 2


def test_a_beginning_as_the_page_types_it() -> None:
    assert construct("codec", {"kind": "roll"}).read("C4 E4 G4 | C4 F4 A4") == [[60, 64, 67], [60, 65, 69]]
    assert np.array_equal(construct("codec", {"kind": "pen"}).read("1 2 0"), [[1, 2, 0]])
