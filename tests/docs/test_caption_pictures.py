"""docs/how-to/caption-pictures.md names what there is, and its commands can be planned."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from recurra.config import load_recipe
from recurra.data.readers.sniff import CAPTIONED
from recurra.data.sets import set_names
from recurra.registry import construct, defaults, find

from .commands import HOW_TO, check, commands

PAGE = (HOW_TO / "caption-pictures.md").read_text(encoding="utf-8")


def test_every_command_can_be_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = find("reader", "jsonl-captions").sample.files
    (tmp_path / "captions.jsonl").write_bytes(files["a.jsonl"])
    (tmp_path / "pictures.zip").write_bytes(files["a.zip"])
    found = commands(PAGE)
    (tmp_path / "features.npz").write_bytes(find("reader", "npz-jsonl").sample.files["a.npz"])
    assert len(found) == 3
    for words in found:
        check(words, tmp_path / "captions.jsonl")


def test_the_parts_named_are_there() -> None:
    (line,) = re.findall(r"Sets known by name: (.*)\.", PAGE)
    assert {*re.findall(r"`([^`]+)`", line)} <= {*set_names()}
    assert re.findall(r"^\| `([a-z-]+-captions)` \|", PAGE, re.MULTILINE) == ["jsonl-captions", *CAPTIONED[::2]]
    recipe = load_recipe("caption")
    for block in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL):
        ((section, settings),) = tomllib.loads(block).items()
        assert construct({"input": "codec"}.get(section, section), settings)
        assert {key: recipe[section][key] for key in settings} == settings
    known = defaults("embedder", "regions")
    rows = re.findall(r"^\| ((?:`[a-z]+`(?:, )?)+) \|", PAGE.partition("changed, each time anew")[2], re.MULTILINE)
    assert {name for row in rows for name in re.findall("[a-z]+", row)} == {*known} - {
        *("channels", "depth", "patch", "size", "norm", "dropout")
    }
