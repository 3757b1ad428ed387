"""docs/gallery.md: each picture is there, by commands that there are; the README shows four of them."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from recurra.config import load_recipe, parse_settings, with_settings
from recurra.data.sets import set_names
from recurra.model import make_parts

from .commands import HOW_TO, commands

DOCS = HOW_TO.parent
PAGE = (DOCS / "gallery.md").read_text(encoding="utf-8")
PICTURES = re.findall(r"!\[[^\]]+\]\((images/gallery/[^)]+)\)", PAGE)


def test_every_picture_is_there_and_shown() -> None:
    assert len(PICTURES) >= 10
    assert {Path(each).name for each in PICTURES} == {each.name for each in (DOCS / "images" / "gallery").iterdir()}
    for each in PICTURES:
        if each.endswith(".svg"):
            assert ElementTree.parse(DOCS / each).getroot().tag.endswith("svg")
        else:
            assert (DOCS / each).read_bytes().startswith(b"\x89PNG")


def test_the_readme_shows_four_of_them() -> None:
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"!\[[^\]]+\]\(docs/(images/gallery/[^)]+)\)", readme)
    assert len(shown) == 4 and {*shown} <= {*PICTURES}


@pytest.mark.parametrize("words", commands(PAGE), ids=shlex.join)
def test_a_command_names_what_there_is(words: list[str]) -> None:
    settings = parse_settings(after for before, after in pairwise(words) if before == "--set")
    assert settings.get("data.set", "kanji") in set_names()
    make_parts(with_settings(load_recipe(words[2]), settings))
