"""Labelled trees: words, roots, phrases, and every broken line with its message."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.readers.trees import Phrase, TreesReader, parse
from recurra.errors import DataError
from recurra.registry import construct

TREE = "(3 (2 It) (4 (2 's) (1 (0 not) (4 good))))"


def read(folder: Path, *lines: str, **settings: Any) -> list[Any]:
    path = folder / "trees.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return list(TreesReader(**settings).read(path))


LEAVES = st.tuples(
    st.sampled_from("01234"),
    st.text(st.characters(exclude_characters=" \t\r\n\0()\\", codec="utf-8"), min_size=1).filter(
        lambda word: not re.fullmatch("-[LR][RSC]B-", word)
    ),
)
TREES = st.recursive(LEAVES, lambda below: st.tuples(st.sampled_from("01234"), st.lists(below, min_size=1, max_size=3)))


def bracketed(tree: Any) -> str:
    label, inside = tree
    return f"({label} {inside if isinstance(inside, str) else ' '.join(map(bracketed, inside))})"


def listed(tree: Any, start: int = 0) -> tuple[list[str], list[Phrase]]:
    """Words and phrases of a tree, by recursion."""
    label, inside = tree
    if isinstance(inside, str):
        return [inside], [Phrase(label, start, start + 1)]
    words: list[str] = []
    phrases: list[Phrase] = []
    for below in inside:
        more, inner = listed(below, start + len(words))
        words += more
        phrases += inner
    return words, [Phrase(label, start, start + len(words)), *phrases]


@given(TREES)
def test_a_written_tree_is_parsed(tree: Any) -> None:
    assert parse(bracketed(tree), "here:1") == listed(tree)


def test_deep_trees() -> None:
    words, phrases = parse("(2 " * 20_000 + "deep" + ")" * 20_000, "here:1")
    assert words == ["deep"]
    assert phrases == [Phrase("2", 0, 1)] * 20_000


def test_roots(tmp_path: Path) -> None:
    path = tmp_path / "trees.txt"
    lines = (TREE, "", "(2 (2 so) (2 so))", r"(0(1 -LRB-)(2 1\/2 \* -rrb-))")
    assert read(tmp_path, *lines) == [
        {"tokens": ["It", "'s", "not", "good"], "label": "3", "place": f"{path}:1"},
        {"tokens": ["so", "so"], "label": "2", "place": f"{path}:3"},
        {"tokens": ["(", "1/2", "*", "-rrb-"], "label": "0", "place": f"{path}:4"},
    ]
    found = read(tmp_path, *lines, classes="two")
    assert [(e["label"], e["place"]) for e in found] == [("positive", f"{path}:1"), ("negative", f"{path}:4")]


def test_phrases(tmp_path: Path) -> None:
    found = read(tmp_path, TREE, phrases=True)
    assert [(" ".join(e["tokens"]), e["label"]) for e in found] == [
        ("It 's not good", "3"),
        ("It", "2"),
        ("'s not good", "4"),
        ("'s", "2"),
        ("not good", "1"),
        ("not", "0"),
        ("good", "4"),
    ]
    assert ["phrase" in e for e in found] == [False] + [True] * 6
    two = read(tmp_path, TREE, "(2 (4 a) (2 b))", phrases=True, classes="two")
    assert [e["label"] for e in two] == ["positive", "positive", "negative", "negative", "positive", "positive"]
    assert ["phrase" in e for e in two] == [False] + [True] * 5


BROKEN = {
    "never closed": (
        "(3 (2 It) (2 works)",
        ":2: 1 '(' without ')', expected one whole tree in a line. Mend this line, or put a tree that goes over "
        "several lines into one.",
    ),
    "closed twice": (
        "(3 (2 It)))",
        ":2: a ')' too many, expected one tree like (3 (2 It) (4 works)) in a line. Mend this line.",
    ),
    "words alone": ("It works", ":2: 'It' outside of all brackets, expected one tree like "),
    "a word after": ("(3 It) works", ":2: 'works' outside of all brackets, expected one tree"),
    "two trees": ("(3 It) (2 works)", ":2: a second tree, expected one in a line. Put it into a line of its own."),
    "another label": ("(3 (5 It))", ":2: '5' after '(', expected a label 0 to 4. Mend this line."),
    "no label": ("(3 (It works))", ":2: 'It' after '(', expected a label 0 to 4. "),
    "two brackets": ("((3 It))", ":2: '(' after '(', expected a label 0 to 4. "),
    "the line ends": ("(3 It (", ":2: \"the line's end\" after '(', expected a label 0 to 4. "),
    "no word": ("(3 (2 ) It)", ":2: no word in (2), expected one at least. Mend this line."),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_files_name_path_line_and_next_move(tmp_path: Path, kind: str) -> None:
    line, message = BROKEN[kind]
    with pytest.raises(DataError, match=f"^{re.escape(str(tmp_path / 'trees.txt') + message)}"):
        read(tmp_path, TREE, line)


def test_no_trees(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"trees.txt: no example in it, expected a labelled tree a line"):
        read(tmp_path, "", "")
    with pytest.raises(DataError, match=r"trees.txt: no tree in it is labelled 0 1 3 4, .*reader.classes=five"):
        read(tmp_path, "(2 so)", classes="two")


def test_sniff(tmp_path: Path) -> None:
    path = tmp_path / "file"
    reader = construct("reader", {"kind": "trees", "classes": "two", "phrases": True})
    for text, reason in [
        (TREE, "a labelled tree a line"),
        (f"{TREE}\n(8) so", None),
        ("(S (NP it))", None),
        ("", None),
    ]:
        path.write_text(text)
        assert reader.sniff(path) == reason
