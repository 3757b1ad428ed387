"""The commands of the page on trees are such as the program takes, and its tables say what is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from recurra import registry
from recurra.config import load_recipe

from .commands import HOW_TO, check, commands, with_options

PAGE = (HOW_TO / "label-trees.md").read_text(encoding="utf-8")
FILES = {
    "my.trees": "(3 (2 It) (4 (2 's) (4 good)))\n",
    "my.conllu": "1\tIt\tit\tPRON\tPRP\t_\t2\tnsubj\t_\t_\n2\tworks\twork\tVERB\tVBZ\t_\t0\troot\t_\t_\n",
}


@pytest.mark.parametrize(
    "words", [*commands(PAGE), *with_options(PAGE, "recurra", "train", "tree-sentiment", "my.trees")], ids=str
)
def test_a_command(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = words[: words.index("--out")] if "--out" in words else words
    file = next(word for word in words if word in FILES)
    Path(file).write_text(FILES[file])
    check(words, Path(file))


def test_the_table_is_the_recipe() -> None:
    recipe = load_recipe("tree-sentiment")
    rows = re.findall(r"^\| `(\w+)\.(\w+)` \| ([\w.-]+) \|", PAGE, re.MULTILINE)
    assert len(rows) == 6
    for section, key, value in rows:
        known = recipe[section].get(key, registry.defaults(section, recipe[section]["kind"]).get(key))
        assert str(known) == value, key
