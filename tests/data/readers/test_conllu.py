"""CoNLL-U: words, ranges, empty nodes, and broken files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from recurra.data.readers.conllu import ConlluReader
from recurra.errors import ConfigError, DataError
from recurra.registry import construct


def row(number: str, form: str, **cells: str) -> str:
    columns = ("lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
    return "\t".join([number, form, *(cells.get(name, "_") for name in columns)])


SENTENCES = [
    "# sent_id = 1",
    "# text = Don't see 10 000",
    row("1-2", "Don't"),
    row("1", "Do", upos="AUX", xpos="VB", lemma="do", feats="Mood=Imp", deprel="aux"),
    row("2", "n't", upos="PART", xpos="RB", lemma="not", deprel="advmod"),
    row("3", "see", upos="VERB", xpos="VB", lemma="see", deprel="root"),
    row("3.1", "it", upos="PRON"),
    row("4", "10 000", upos="NUM", xpos="CD", lemma="10000", deprel="obj"),
    "",
    "",
    row("1", "#", upos="SYM", xpos="$", lemma="#", deprel="dep"),
]


def read(folder: Path, lines: list[str], **settings: Any) -> list[Any]:
    path = folder / "ud.conllu"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return list(ConlluReader(**settings).read(path))


def test_words_alone_are_read(tmp_path: Path) -> None:
    path = tmp_path / "ud.conllu"
    assert read(tmp_path, SENTENCES) == [
        {"tokens": ["Do", "n't", "see", "10 000"], "tags": ["AUX", "PART", "VERB", "NUM"], "place": f"{path}:4"},
        {"tokens": ["#"], "tags": ["SYM"], "place": f"{path}:11"},
    ]


@pytest.mark.parametrize(
    ("tag", "tags"),
    [
        ("xpos", ["VB", "RB", "VB", "CD"]),
        ("lemma", ["do", "not", "see", "10000"]),
        ("deprel", ["aux", "advmod", "root", "obj"]),
        ("feats", ["Mood=Imp", "_", "_", "_"]),
    ],
)
def test_other_columns(tmp_path: Path, tag: str, tags: list[str]) -> None:
    assert read(tmp_path, SENTENCES, tag=tag)[0]["tags"] == tags


BROKEN = {
    "spaces": (
        ["# a", "1 a a A A _ 0 root _ _"],
        ":2: 1 column parted by tabs, expected 10 (id, form, lemma, upos, xpos, feats, head, deprel, deps, misc): "
        "'1 a a A A _ 0 root _ _'. For other columns: --set reader.kind=columns",
    ),
    "a column too many": ([row("1", "a") + "\t_"], ":1: 11 columns parted by tabs, expected 10 "),
    "a missing word": (
        [row("1", "a"), row("3", "b")],
        ":2: word number '3', expected 2. Is a word missing, or the blank line between two sentences?",
    ),
    "a missing blank line": ([row("1", "a"), row("2", "b"), row("1", "c")], ":3: word number '1', expected 3. "),
    "no number": ([row("a", "a")], ":1: word number 'a', expected 1. "),
    "words without a tag": (
        [row("1", "a", upos="X"), row("2", "b"), "", row("1-2", "cd"), row("1", "c"), row("1.1", "e")],
        ":2: 2 of 3 words have no upos ('_'), this one is the first. Name another column: --set reader.kind=conllu "
        "--set reader.tag=…; to learn '_' as a tag too: --set reader.tag=upos --set reader.empty=tag",
    ),
    "comments alone": (["# a", ""], ": no example in it, expected lines of ten columns (CoNLL-U). "),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_files_name_path_line_and_next_move(tmp_path: Path, kind: str) -> None:
    lines, message = BROKEN[kind]
    with pytest.raises(DataError, match=f"^{re.escape(str(tmp_path / 'ud.conllu') + message)}"):
        read(tmp_path, lines)


def test_the_registry_checks_its_settings() -> None:
    assert construct("reader", {"kind": "conllu", "tag": "xpos"}).tag == "xpos"
    with pytest.raises(ConfigError, match=r"reader.tag = 'pos': did you mean 'xpos' or 'upos'\? Expected one of"):
        construct("reader", {"kind": "conllu", "tag": "pos"})


@pytest.mark.parametrize(
    ("lines", "taken"),
    [(SENTENCES, True), (["# only a comment"], False), (["a\tb"], False), ([row("x", "a")], False), ([], False)],
)
def test_sniff(tmp_path: Path, lines: list[str], taken: bool) -> None:
    path = tmp_path / "file"
    path.write_text("\n".join(lines), encoding="utf-8")
    assert ConlluReader().sniff(path) == ("numbered words in ten columns (CoNLL-U)" if taken else None)


def test_values_that_are_not_given(tmp_path: Path) -> None:
    """`_` is a tag of features alone, and a lemma of itself, unless somebody says so."""
    lines = [row("1", "a", upos="X", lemma="a"), row("2", "_", lemma="_")]
    assert read(tmp_path, lines, tag="feats")[0]["tags"] == ["_", "_"]
    assert read(tmp_path, lines, tag="lemma")[0]["tags"] == ["a", "_"]
    assert read(tmp_path, lines, tag="upos", empty="tag")[0]["tags"] == ["X", "_"]
    with pytest.raises(DataError, match=r":1: 2 of 2 words have no xpos"):
        read(tmp_path, lines, tag="xpos")
